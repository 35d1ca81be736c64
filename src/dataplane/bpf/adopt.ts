// From what the kernel has to the state that planning starts from, after a restart of the agent. Pure.
//
// A Service port is adopted when `services` names its id and a frontend uses it. Everything else (sets that no frontend
// names, half-written ones, entries of ids without a frontend) is garbage of an agent that died between two writes: no
// packet can reach it, and `prune` removes it.

import type { ServiceName } from '../../model/service.js';
import type {
  AddressEntry,
  BackendEntry,
  MemberEntry,
  ServiceLabel,
  ServiceMapEntry,
  SlotEntry,
  SourceRangeEntry,
} from './entries.js';
import type { NextIds } from './ids.js';
import { endpointKey, type ProgrammedFrontend, type ProgrammedPort, type ProgrammedSet } from './state.js';

/** The agent's maps, read. */
export interface KernelState {
  readonly services: ReadonlyMap<number, ServiceLabel>;
  /** Ids with counters. */
  readonly stats: readonly number[];
  readonly frontends: readonly ProgrammedFrontend[];
  readonly slots: readonly SlotEntry[];
  readonly members: readonly MemberEntry[];
  readonly backends: readonly BackendEntry[];
  readonly ranges: readonly SourceRangeEntry[];
  readonly addresses: readonly AddressEntry[];
  readonly meta: NextIds;
}

export interface Adopted {
  readonly ports: ReadonlyMap<ServiceName, readonly ProgrammedPort[]>;
  readonly garbage: readonly ServiceMapEntry[];
  /** Behind everything that is in these maps. */
  readonly next: NextIds;
}

/** `namespace/name:port-name/protocol/family`, as PortPlan.key. */
export function labelKey(label: ServiceLabel): string {
  return `${label.namespace}/${label.name}:${label.portName}/${label.protocol}/${label.family}`;
}

export function adoptState(kernel: KernelState): Adopted {
  const frontends = groupBy(kernel.frontends, (f) => f.service);
  const live = livePorts(kernel.services, frontends);
  const slots = groupBy(kernel.slots, (s) => s.set);
  const members = groupBy(kernel.members, (m) => m.set);
  const backends = groupBy(kernel.backends, (b) => b.service);
  const ranges = groupBy(kernel.ranges, (r) => r.service);
  const ports = new Map<ServiceName, ProgrammedPort[]>();
  const usedSets = new Set<number>();
  for (const [id, label] of live) {
    const own = frontends.get(id) ?? [];
    const sets = setsOf(id, own, slots, members);
    for (const set of sets) usedSets.add(set.id);
    const port: ProgrammedPort = {
      id,
      key: labelKey(label),
      frontends: own,
      sets,
      serving: (backends.get(id) ?? []).map((b) => b.endpoint),
      ranges: (ranges.get(id) ?? []).map((r) => r.range),
      sure: true,
    };
    const name = `${label.namespace}/${label.name}`;
    const known = ports.get(name);
    if (known) known.push(port);
    else ports.set(name, [port]);
  }
  return { ports, garbage: garbageOf(kernel, live, usedSets), next: nextIds(kernel) };
}

/** Ids that frontends use, one for each Service port: the newest, should two agents have named the same port. */
function livePorts(
  services: ReadonlyMap<number, ServiceLabel>,
  frontends: ReadonlyMap<number, readonly ProgrammedFrontend[]>,
): Map<number, ServiceLabel> {
  const newest = new Map<string, number>();
  for (const [id, label] of services) {
    if (!frontends.has(id)) continue;
    const key = labelKey(label);
    newest.set(key, Math.max(newest.get(key) ?? 0, id));
  }
  return new Map([...newest.values()].map((id) => [id, services.get(id)!]));
}

/** The sets that a port's frontends name and that are wholly there. */
function setsOf(
  service: number,
  frontends: readonly ProgrammedFrontend[],
  slots: ReadonlyMap<number, readonly SlotEntry[]>,
  members: ReadonlyMap<number, readonly MemberEntry[]>,
): ProgrammedSet[] {
  const counts = new Map<number, number>();
  for (const f of frontends) {
    if (f.clusterSet !== 0) counts.set(f.clusterSet, f.clusterCount);
    if (f.localSet !== 0) counts.set(f.localSet, f.localCount);
  }
  const sets: ProgrammedSet[] = [];
  for (const [id, count] of counts) {
    const own = (slots.get(id) ?? []).filter((s) => s.service === service).sort((a, b) => a.index - b.index);
    if (own.length !== count || !own.every((slot, i) => slot.index === i)) continue;
    const endpoints = own.map((slot) => slot.endpoint);
    sets.push({ id, endpoints, members: allMembers(endpoints, members.get(id) ?? []) });
  }
  return sets;
}

function allMembers(endpoints: ProgrammedSet['endpoints'], members: readonly MemberEntry[]): boolean {
  if (members.length !== endpoints.length) return false;
  return members.every(
    (m) => m.index < endpoints.length && endpointKey(endpoints[m.index]!) === endpointKey(m.endpoint),
  );
}

function garbageOf(
  kernel: KernelState,
  live: ReadonlyMap<number, ServiceLabel>,
  usedSets: ReadonlySet<number>,
): ServiceMapEntry[] {
  const dead = ({ service }: { readonly service: number }): boolean => !live.has(service);
  const unused = ({ set }: { readonly set: number }): boolean => !usedSets.has(set);
  const frontends = kernel.frontends.filter(dead);
  const services = [...kernel.services.keys()].filter((id) => !live.has(id));
  const stats = kernel.stats.filter((id) => !live.has(id));
  return [
    ...frontends.map((frontend) => ({ map: 'frontends' as const, frontend })),
    ...kernel.slots.filter(unused),
    ...kernel.members.filter(unused),
    ...kernel.backends.filter(dead),
    ...kernel.ranges.filter(dead),
    ...services.map((service) => ({ map: 'services' as const, service, label: undefined })),
    ...stats.map((service) => ({ map: 'service_stats' as const, service })),
  ];
}

/** `meta` is written before ids are used, so it is behind all of them, unless it was lost. */
function nextIds(kernel: KernelState): NextIds {
  let { service, set } = kernel.meta;
  const used = (id: number): void => {
    if (id >= service) service = id + 1;
  };
  for (const id of kernel.services.keys()) used(id);
  for (const id of kernel.stats) used(id);
  for (const b of kernel.backends) used(b.service);
  for (const r of kernel.ranges) used(r.service);
  for (const f of kernel.frontends) {
    used(f.service);
    set = Math.max(set, f.clusterSet + 1, f.localSet + 1);
  }
  for (const s of kernel.slots) {
    used(s.service);
    if (s.set >= set) set = s.set + 1;
  }
  for (const m of kernel.members) if (m.set >= set) set = m.set + 1;
  return { service: Math.max(1, service), set: Math.max(1, set) };
}

function groupBy<T>(items: readonly T[], key: (item: T) => number): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const item of items) {
    const group = groups.get(key(item));
    if (group) group.push(item);
    else groups.set(key(item), [item]);
  }
  return groups;
}
