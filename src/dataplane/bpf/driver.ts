// The BPF engine: plans become map entries, and what the kernel has is known at every moment.

import type { ServiceName } from '../../model/service.js';
import type { Native } from '../../native/api.js';
import type { Change, Engine, Outcome } from '../../reconcile/engine.js';
import { writeFlags } from './address-flags.js';
import { FrontendTable, type PortRange } from './addresses.js';
import { adoptState } from './adopt.js';
import { EntryWriter } from './batch.js';
import { Commit } from './commit.js';
import type { EngineState } from './engine-state.js';
import type { FrontendEntry, ServiceMapEntry } from './entries.js';
import { Ids, type NextIds } from './ids.js';
import { readKernelState } from './kernel-state.js';
import { type BpfMaps, mapFds } from './maps.js';
import { RetireQueue } from './retire.js';
import type { ProgrammedPort } from './state.js';
import { isIdle, type Work } from './work.js';

export interface BpfEngineOptions {
  readonly native: Native;
  readonly maps: BpfMaps;
  /** Option preserveClientAddress. */
  readonly preserveClientAddress?: boolean;
  /** How long old sets stay after the switch; no program runs that long. Default 1000. */
  readonly graceMs?: number;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  /** Nanoseconds of CLOCK_MONOTONIC. */
  readonly monotonicNs: () => bigint;
  /** Backends of UDP Services are gone: connected sockets to them are to be destroyed (stale-sockets.ts). */
  readonly onUdpBackendsGone?: () => void;
}

/** Retired entries that could not be deleted are tried again after this time. */
const RETRY_MS = 5000;
const GARBAGE_ORDER = ['slots', 'members', 'backends', 'source_ranges', 'services', 'service_stats'] as const;

/** Engine over the pinned maps. Beside the contract, the agent's timers call `collect` and the conntrack sweep. */
export class BpfEngine implements Engine {
  readonly name = 'bpf';
  readonly #options: BpfEngineOptions;
  readonly #writer: EntryWriter;
  readonly #graceMs: number;
  #state: EngineState;
  #garbage: readonly ServiceMapEntry[] = [];
  /** Commits, collections and sweeps come one after the other. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: BpfEngineOptions) {
    this.#options = options;
    this.#writer = new EntryWriter(options.native, mapFds(options.maps));
    this.#graceMs = options.graceMs ?? 1000;
    this.#state = emptyState(new Ids({ service: 1, set: 1 }));
  }

  adopt(): Promise<void> {
    return this.#alone(async () => {
      const kernel = await readKernelState(this.#options.maps);
      const { ports, garbage, next } = adoptState(kernel);
      const state = emptyState(new Ids(next));
      const now = this.#options.now();
      for (const address of kernel.addresses) state.table.setAddress(address.address, address, now);
      for (const frontend of kernel.frontends) {
        // A frontend that no packet can reach counts as missing: it is written again, behind its address.
        if (!state.table.reaches(frontend)) continue;
        state.table.put(frontend);
      }
      for (const { address } of kernel.addresses) state.unflagged.add(address);
      state.table.suspectAll(now);
      for (const [name, own] of ports) state.ports.set(name, own);
      this.#state = state;
      this.#garbage = garbage;
    });
  }

  commit(changes: readonly Change[]): Promise<readonly Outcome[]> {
    return this.#alone(() => this.#commit(changes));
  }

  prune(keep: ReadonlySet<ServiceName>): Promise<readonly Outcome[]> {
    return this.#alone(async () => {
      const gone = [...this.#state.ports.keys()].filter((name) => !keep.has(name));
      const outcomes = await this.#commit(gone.map((name) => ({ name, plan: undefined })));
      const error = await this.#pruneGarbage();
      return error ? [...outcomes, { name: '(entries without a Service)', error }] : outcomes;
    });
  }

  /**
   * Deletes retired entries whose grace period is over.
   * @returns how many were deleted
   */
  collect(): Promise<number> {
    return this.#alone(async () => {
      const now = this.#options.now();
      let deleted = 0;
      for (const entries of this.#state.retired.takeDue(now)) {
        const due = entries.filter((entry) => !this.#wantedAgain(entry));
        const failed: ServiceMapEntry[] = [];
        await this.#writer.delete(due, (i) => failed.push(due[i]!));
        this.#state.retired.add(failed, now + RETRY_MS);
        deleted += due.length - failed.length;
      }
      return deleted;
    });
  }

  /** When `collect` has something to do, on the clock `now`; undefined: nothing waits. */
  get nextCollectMs(): number | undefined {
    return this.#state.retired.nextMs;
  }

  /** What the kernel has of each Service, as last acknowledged. */
  get programmed(): ReadonlyMap<ServiceName, readonly ProgrammedPort[]> {
    return this.#state.ports;
  }

  /** Addresses that the conntrack sweep is to look at: see `tightenAddresses`. Ask before the flows are read. */
  slackAddresses(): readonly string[] {
    return this.#state.table.slack(this.#options.now(), this.#graceMs);
  }

  /**
   * Narrows or deletes the entries of slack addresses, but for the ports that live flows use.
   * @param addresses what `slackAddresses` said before the flows were read
   * @returns how many entries were narrowed or deleted
   */
  tightenAddresses(addresses: readonly string[], flows: ReadonlyMap<string, PortRange>): Promise<number> {
    return this.#alone(async () => {
      const { table } = this.#state;
      const now = this.#options.now();
      const due = new Set(table.slack(now, this.#graceMs));
      const verdicts = table.tighten(
        addresses.filter((a) => due.has(a)),
        flows,
      );
      const gone = [...verdicts].filter(([, entry]) => !entry).map(([address]) => table.written(address));
      const deletes = gone.filter((entry) => entry !== undefined);
      const puts = [...verdicts.values()].filter((entry) => entry !== undefined);
      const failed = new Set<string>();
      await this.#writer.put(puts, (i) => failed.add(puts[i]!.address));
      await this.#writer.delete(deletes, (i) => failed.add(deletes[i]!.address));
      for (const [address, entry] of verdicts)
        if (failed.has(address)) table.suspect(address, now);
        else table.setAddress(address, entry, now);
      return verdicts.size - failed.size;
    });
  }

  async #commit(changes: readonly Change[]): Promise<readonly Outcome[]> {
    const { native, maps, preserveClientAddress = false, now } = this.#options;
    const infos = new Map<string, number>();
    const commit = new Commit(this.#state, {
      writer: this.#writer,
      preserveClientAddress,
      graceMs: this.#graceMs,
      writeMeta: (ids) => this.#writeMeta(ids),
      maxEntries: (map) => {
        const known = infos.get(map) ?? native.mapInfo(maps[map].fd).maxEntries;
        infos.set(map, known);
        return known;
      },
      now,
    });
    const works = await commit.run(changes);
    if (!works.every(isIdle)) this.#writeMeta(this.#state.ids.written);
    if (works.some(lostUdpBackends)) this.#options.onUdpBackendsGone?.();
    return works.map(({ change: { name }, error }) => (error ? { name, error } : { name }));
  }

  async #pruneGarbage(): Promise<Error | undefined> {
    const { table } = this.#state;
    const frontends = this.#garbage.filter(
      // Unless a Service has taken it over meanwhile.
      (e): e is FrontendEntry => e.map === 'frontends' && !table.isForeign(e.frontend),
    );
    let errno = 0;
    const failed = (_: unknown, code: number): void => {
      errno = code;
    };
    for (const { frontend } of frontends) table.remove(frontend, this.#options.now());
    const addresses = new Set(frontends.map(({ frontend }) => frontend.address));
    await writeFlags(table, this.#writer, addresses, failed);
    await this.#writer.delete(frontends, failed);
    for (const map of GARBAGE_ORDER)
      await this.#writer.delete(
        this.#garbage.filter((e) => e.map === map),
        failed,
      );
    if (errno === 0) this.#garbage = [];
    return errno === 0
      ? undefined
      : new Error(`removing what an earlier run left failed with errno ${errno}`);
  }

  /** A source range may have come back within the grace period. */
  #wantedAgain(entry: ServiceMapEntry): boolean {
    if (entry.map !== 'source_ranges') return false;
    for (const ports of this.#state.ports.values())
      for (const port of ports) if (port.id === entry.service) return port.ranges.includes(entry.range);
    return false;
  }

  #writeMeta(ids: NextIds): void {
    this.#options.maps.meta.set(0, {
      layoutHash: this.#options.maps.layoutHash,
      nextService: ids.service,
      nextSet: ids.set,
      writtenNs: this.#options.monotonicNs(),
    });
  }

  #alone<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(task);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

function emptyState(ids: Ids): EngineState {
  return {
    ports: new Map(),
    table: new FrontendTable(),
    ids,
    retired: new RetireQueue(),
    unflagged: new Set(),
  };
}

function lostUdpBackends(work: Work): boolean {
  if (!work.removes.some((entry) => entry.map === 'backends')) return false;
  return work.before.some((port) => port.frontends.some((frontend) => frontend.protocol === 'UDP'));
}
