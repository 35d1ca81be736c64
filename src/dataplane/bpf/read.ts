// What the kernel serves now, read from the pinned maps: for `dump` and `services`, with or without a running agent.

import { FlowFlags, Hook } from '../../abi/layout.gen.js';
import type { Native } from '../../native/api.js';
import { type DumpEntry, type DumpPort, FRONTEND_FLAGS, type FrontendFlag } from '../../observe/dump.js';
import { adoptState, labelKey } from './adopt.js';
import type { ServiceLabel } from './entries.js';
import { hasFlag } from './flags.js';
import { DEFAULT_TIMEOUTS, type FlowTimeouts, mayHaveExpired } from './flow-age.js';
import { FlowDump } from './flow-codec.js';
import { readKernelState } from './kernel-state.js';
import type { BpfMaps } from './maps.js';
import { pace } from './pace.js';
import type { EndpointState, ProgrammedFrontend, ProgrammedPort } from './state.js';

/** A Service port as the kernel serves it. */
export interface KernelService {
  readonly port: DumpPort;
  /** PortPlan.key. */
  readonly key: string;
  readonly frontends: readonly ProgrammedFrontend[];
  readonly cluster: readonly EndpointState[];
  readonly local: readonly EndpointState[];
  /** Endpoints that existing UDP flows may stay with. */
  readonly serving: readonly EndpointState[];
  readonly sourceRanges: readonly string[];
  readonly affinitySeconds: number;
  /** Translated packet flows and sockets, opening ones included. */
  readonly liveFlows: number;
  /** Connections and UDP flows decided, by the hook that did. */
  readonly served: { readonly socket: number; readonly tc: number; readonly xdp: number };
  /** Answered with a rejection, and silently dropped. */
  readonly rejected: number;
  readonly dropped: number;
}

export interface KernelServicesOptions {
  readonly native: Native;
  /** Nanoseconds of CLOCK_MONOTONIC: flows that have expired and not been removed yet do not count. */
  readonly nowNs: number;
  readonly timeouts?: FlowTimeouts;
}

/** The entries of the canonical dump (src/observe/dump.ts), as the kernel has them. */
export async function kernelDump(maps: BpfMaps): Promise<DumpEntry[]> {
  return (await readPorts(maps)).flatMap(({ label, port }) => portEntries(dumpPort(label), port));
}

/** Every Service port with what is served and counted, by name. */
export async function kernelServices(
  maps: BpfMaps,
  options: KernelServicesOptions,
): Promise<KernelService[]> {
  const ports = await readPorts(maps);
  const live = await liveFlows(maps, options);
  const services = ports.map(({ label, port }) => {
    const [first] = port.frontends;
    return {
      port: dumpPort(label),
      key: port.key,
      frontends: port.frontends,
      ...lists(port),
      serving: port.serving,
      sourceRanges: port.ranges,
      affinitySeconds: first?.affinitySeconds ?? 0,
      liveFlows: live.get(port.id) ?? 0,
      ...counters(maps, port.id),
    };
  });
  return services.sort((a, b) => (a.key < b.key ? -1 : Number(a.key > b.key)));
}

interface NamedPort {
  readonly label: ServiceLabel;
  readonly port: ProgrammedPort;
}

async function readPorts(maps: BpfMaps): Promise<NamedPort[]> {
  const kernel = await readKernelState(maps);
  const labels = new Map([...kernel.services.values()].map((label) => [labelKey(label), label]));
  return [...adoptState(kernel).ports.values()]
    .flat()
    .map((port) => ({ port, label: labels.get(port.key)! }));
}

function portEntries(port: DumpPort, is: ProgrammedPort): DumpEntry[] {
  const entries: DumpEntry[] = [{ type: 'service', port }];
  const seconds = is.frontends[0]?.affinitySeconds ?? 0;
  if (seconds > 0) entries.push({ type: 'affinity', port, seconds });
  for (const range of is.ranges) entries.push({ type: 'source-range', port, range });
  for (const frontend of is.frontends) entries.push(frontendEntry(port, frontend));
  const all = { ...lists(is), serving: is.serving };
  for (const list of ['cluster', 'local', 'serving'] as const)
    for (const endpoint of all[list]) entries.push({ type: 'endpoint', port, list, endpoint });
  return entries;
}

function frontendEntry(port: DumpPort, frontend: ProgrammedFrontend): DumpEntry {
  const { address, port: number, kind } = frontend;
  const masquerade = hasFlag(frontend, 'MASQ')
    ? 'always'
    : hasFlag(frontend, 'MASQ_OFF_POD')
      ? 'off-pod'
      : 'never';
  const set: Record<FrontendFlag, boolean> = {
    'short-circuit': hasFlag(frontend, 'SHORT_CIRCUIT'),
    'source-ranges': hasFlag(frontend, 'SOURCE_RANGES'),
    'has-endpoints': hasFlag(frontend, 'HAS_ENDPOINTS'),
    'no-socket': hasFlag(frontend, 'NO_SOCKET'),
    localhost: hasFlag(frontend, 'LOCALHOST'),
  };
  const flags = FRONTEND_FLAGS.filter((flag) => set[flag]);
  const list = hasFlag(frontend, 'LOCAL') ? 'local' : 'cluster';
  return { type: 'frontend', port, address, number, kind, list, masquerade, flags };
}

/** The lists that frontends name; every frontend names the cluster list, those with policy Local the local one, too. */
function lists(port: ProgrammedPort): { cluster: readonly EndpointState[]; local: readonly EndpointState[] } {
  const named = (ids: readonly number[]): readonly EndpointState[] => {
    const id = ids.find((each) => each !== 0);
    return port.sets.find((set) => set.id === id)?.endpoints ?? [];
  };
  return {
    cluster: named(port.frontends.map((f) => f.clusterSet)),
    local: named(port.frontends.map((f) => f.localSet)),
  };
}

function dumpPort(label: ServiceLabel): DumpPort {
  const { namespace, name, portName, protocol, family } = label;
  return { namespace, service: name, portName, protocol, family };
}

function counters(maps: BpfMaps, id: number): Pick<KernelService, 'served' | 'rejected' | 'dropped'> {
  const cpus = maps.service_stats.get(id) ?? [];
  const sum = (of: (cpu: (typeof cpus)[number]) => bigint): number =>
    Number(cpus.reduce((total, cpu) => total + of(cpu), 0n));
  const served = (hook: number): number => sum((cpu) => cpu.served[hook] ?? 0n);
  return {
    served: { socket: served(Hook.SOCKET), tc: served(Hook.TC), xdp: served(Hook.XDP) },
    rejected: sum((cpu) => cpu.rejected),
    dropped: sum((cpu) => cpu.dropped),
  };
}

/** Live flows by Service port's id: each once, by the entry of the client's direction, and sockets. */
async function liveFlows(maps: BpfMaps, options: KernelServicesOptions): Promise<Map<number, number>> {
  const { native, nowNs, timeouts = DEFAULT_TIMEOUTS } = options;
  const live = new Map<number, number>();
  const turn = pace();
  const add = (service: number): void => {
    live.set(service, (live.get(service) ?? 0) + 1);
  };
  for (const map of [maps.flows, maps.opening]) {
    const dump = new FlowDump(await native.mapDump(map.fd));
    // What has been confirmed is counted in `flows`.
    const skipped = FlowFlags.REPLY | (map === maps.opening ? FlowFlags.CONFIRMED : 0);
    for (let i = 0; i < dump.count; i++) {
      if (turn.isOver()) await turn.next();
      const half = { seenNs: dump.seenNs(i), flags: dump.flags(i) };
      if (half.flags & skipped || mayHaveExpired(dump.protocol(i), half, nowNs, timeouts)) continue;
      add(dump.service(i));
    }
  }
  for (const [, socket] of await maps.sockets.dump()) add(socket.service);
  return live;
}
