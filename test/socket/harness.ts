// The socket hook, loaded and attached to the lab's cgroup, with its maps filled by hand through the generated codecs.

import { formatAddr, parseAddr } from '../../src/abi/addr.js';
import { ClientType, Kind, MAPS, REASON_NAMES, Reason } from '../../src/abi/layout.gen.js';
import type { BpfObject, Native } from '../../src/native/api.js';
import { openNative } from '../../src/native/binding.js';
import { attachHook, type HookOptions, openSockObject } from './hook.js';
import { LAB, type Lab, type Letter } from './lab.js';
import { Table } from './table.js';

const PROTOCOLS = { tcp: 6, udp: 17 } as const;

export interface FrontendSpec {
  readonly address: string;
  /** 80 unless said. */
  readonly port?: number;
  /** Both unless said. */
  readonly protocols?: readonly (keyof typeof PROTOCOLS)[];
  /** enum pl_kind; a cluster IP unless said. */
  readonly kind?: number;
  /** enum pl_frontend_flags. */
  readonly flags?: number;
}

/** One Service port in one family, as far as the socket hook is concerned. */
export interface ServiceSpec {
  readonly frontends: readonly FrontendSpec[];
  readonly cluster: readonly Letter[];
  readonly local?: readonly Letter[];
  /** Seconds. */
  readonly affinity?: number;
}

/** A Service in the maps, and the ids that it was given. */
export interface Published {
  readonly id: number;
  readonly spec: ServiceSpec;
  cluster: readonly Letter[];
  clusterSet: number;
  readonly localSet: number;
}

export interface SocketEntry {
  readonly cookie: bigint;
  readonly netns: bigint;
  readonly frontend: string;
  readonly backend: string;
  readonly frontendPort: number;
  readonly backendPort: number;
  readonly service: number;
  readonly proto: number;
  readonly family: number;
}

function openTables(native: Native, object: BpfObject) {
  return {
    frontends: new Table(native, object.mapFd('frontends'), MAPS.frontends),
    slots: new Table(native, object.mapFd('slots'), MAPS.slots),
    members: new Table(native, object.mapFd('members'), MAPS.members),
    backends: new Table(native, object.mapFd('backends'), MAPS.backends),
    excluded: new Table(native, object.mapFd('excluded_netns'), MAPS.excluded_netns),
    stats: new Table(native, object.mapFd('service_stats'), MAPS.service_stats),
    reasons: new Table(native, object.mapFd('reasons'), MAPS.reasons),
    affinity: new Table(native, object.mapFd('affinity'), MAPS.affinity),
    sockets: new Table(native, object.mapFd('sockets'), MAPS.sockets),
    peers: new Table(native, object.mapFd('peers'), MAPS.peers),
  };
}

/** A backend as the maps have it, in the family of the Service's frontends. */
function backendOf(spec: ServiceSpec, letter: Letter) {
  const v6 = spec.frontends[0]!.address.includes(':');
  return { addr: parseAddr(v6 ? LAB.backend6[letter] : LAB.backend4[letter]), port: LAB.backendPort };
}

/** The attached hook and its maps. Ids are never used twice, as the agent does it. */
export class Stage {
  readonly hostCookie: bigint;
  readonly podCookie: bigint;
  readonly #native: Native;
  readonly #lab: Lab;
  readonly #links: readonly number[];
  readonly #tables: ReturnType<typeof openTables>;
  #nextId = 1;

  constructor(native: Native, lab: Lab, object: BpfObject, links: readonly number[]) {
    this.#native = native;
    this.#lab = lab;
    this.#links = links;
    this.hostCookie = native.netnsCookie(`/run/netns/${lab.host}`);
    this.podCookie = native.netnsCookie(`/run/netns/${lab.pod}`);
    this.#tables = openTables(native, object);
  }

  /** Empties what tests fill and look at. */
  async reset(): Promise<void> {
    const { reasons, ...tables } = this.#tables;
    for (const table of Object.values(tables)) await table.clear();
    for (let reason = 0; reason < Reason.REASON_MAX; reason++) reasons.set(reason, 0n);
  }

  /** Writes a Service in the agent's order: slots first, frontends last. */
  async publish(spec: ServiceSpec): Promise<Published> {
    const id = this.#nextId++;
    const service: Published = {
      id,
      spec,
      cluster: spec.cluster,
      clusterSet: this.#writeSet(id, spec, spec.cluster),
      localSet: this.#writeSet(id, spec, spec.local ?? []),
    };
    this.#tables.stats.set(id, { served: [0n, 0n, 0n], rejected: 0n, dropped: 0n });
    this.#writeFrontends(service);
    return service;
  }

  /** Gives it another cluster list, and frees the old one at once: no grace period, to make readers stumble. */
  async switchTo(service: Published, letters: readonly Letter[]): Promise<void> {
    const [oldSet, oldCount] = [service.clusterSet, service.cluster.length];
    service.clusterSet = this.#writeSet(service.id, service.spec, letters);
    service.cluster = letters;
    this.#writeFrontends(service);
    for (let index = 0; index < oldCount; index++) this.#tables.slots.delete({ set: oldSet, index });
  }

  /** The endpoint serves no longer. */
  unlist(service: Published, letter: Letter): void {
    this.#tables.backends.delete({ service: service.id, ...backendOf(service.spec, letter) });
  }

  /** Gives a slot of the cluster list to another Service. */
  takeSlot(service: Published, index: number): void {
    const set = service.clusterSet;
    const slot = { ...backendOf(service.spec, 'e'), flags: 0, set, service: service.id + 1_000_000 };
    this.#tables.slots.set({ set, index }, slot);
  }

  dropSlot(service: Published, index: number): void {
    this.#tables.slots.delete({ set: service.clusterSet, index });
  }

  exclude(netns: bigint): void {
    this.#tables.excluded.set(netns, { reason: 1 });
  }

  /** Remembers that a namespace was given an endpoint so many seconds ago. */
  setAffinity(service: Published, netns: bigint, letter: Letter, ageSeconds: number): void {
    const client = new Uint8Array(16);
    new DataView(client.buffer).setBigUint64(8, netns, true);
    this.#tables.affinity.set(
      { service: service.id, type: ClientType.NETNS, client },
      {
        // CLOCK_MONOTONIC, as the programs have it.
        seenNs: process.hrtime.bigint() - BigInt(ageSeconds) * 1_000_000_000n,
        ...backendOf(service.spec, letter),
      },
    );
  }

  async affinities(): Promise<{ netns: bigint; ageSeconds: number }[]> {
    const entries = await this.#tables.affinity.entries();
    return entries.map(([{ client }, { seenNs }]) => ({
      netns: new DataView(client.buffer, client.byteOffset).getBigUint64(8, true),
      ageSeconds: Number(process.hrtime.bigint() - seenNs) / 1e9,
    }));
  }

  async sockets(): Promise<SocketEntry[]> {
    const entries = await this.#tables.sockets.entries();
    return entries.map(([cookie, entry]) => ({
      ...entry,
      cookie,
      frontend: formatAddr(entry.frontend),
      backend: formatAddr(entry.backend),
    }));
  }

  /** SOCK_DESTROY in the pod's namespace. @returns how many sockets that were. */
  destroy(entry: SocketEntry): Promise<number> {
    const { cookie, proto: protocol } = entry;
    const family = entry.family === 6 ? 6 : 4;
    return this.#native.destroySockets(`/run/netns/${this.#lab.pod}`, [{ cookie, protocol, family }]);
  }

  async stats(service: Published): Promise<{ served: number; rejected: number; dropped: number }> {
    const sum = { served: 0, rejected: 0, dropped: 0 };
    for (const [id, one] of await this.#tables.stats.entries()) {
      if (id !== service.id) continue;
      sum.served += Number(one.served[0]);
      sum.rejected += Number(one.rejected);
      sum.dropped += Number(one.dropped);
    }
    return sum;
  }

  /** Connections and flows that the socket hook decided. */
  async served(service: Published): Promise<number> {
    return (await this.stats(service)).served;
  }

  /** Reasons counted since reset, by their words. */
  async reasons(): Promise<Record<string, number>> {
    const counts: Record<string, number> = {};
    for (const [reason, count] of await this.#tables.reasons.entries()) {
      const word = REASON_NAMES.get(reason) ?? String(reason);
      if (count > 0n) counts[word] = (counts[word] ?? 0) + Number(count);
    }
    return counts;
  }

  close(): void {
    for (const link of this.#links) this.#native.closeFd(link);
    for (const table of Object.values(this.#tables)) table.close();
  }

  /** @returns the set's id; 0 for an empty one. */
  #writeSet(service: number, spec: ServiceSpec, letters: readonly Letter[]): number {
    if (letters.length === 0) return 0;
    const set = this.#nextId++;
    letters.forEach((letter, index) => {
      const backend = backendOf(spec, letter);
      this.#tables.slots.set({ set, index }, { ...backend, flags: 0, set, service });
      this.#tables.backends.set({ service, ...backend }, { flags: 0 });
      if (spec.affinity !== undefined) this.#tables.members.set({ set, ...backend }, { index });
    });
    return set;
  }

  #writeFrontends({ id, spec, cluster, clusterSet, localSet }: Published): void {
    for (const frontend of spec.frontends) {
      for (const protocol of frontend.protocols ?? (['tcp', 'udp'] as const)) {
        const addr = parseAddr(frontend.address);
        this.#tables.frontends.set(
          { addr, port: frontend.port ?? LAB.port, proto: PROTOCOLS[protocol] },
          {
            service: id,
            clusterSet,
            clusterCount: cluster.length,
            localSet,
            localCount: spec.local?.length ?? 0,
            flags: frontend.flags ?? 0,
            affinityS: spec.affinity ?? 0,
            kind: frontend.kind ?? Kind.CLUSTER_IP,
          },
        );
      }
    }
  }
}

/** Loads the hook and attaches it to the lab's inner cgroup. */
export async function openStage(lab: Lab, options: HookOptions = {}): Promise<Stage> {
  const native = openNative();
  const object = openSockObject(native, native.netnsCookie(`/run/netns/${lab.host}`), options);
  try {
    await object.load();
    return new Stage(native, lab, object, attachHook(native, object, lab.inside));
  } finally {
    object.close();
  }
}
