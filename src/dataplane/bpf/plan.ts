// From the wanted plan of a Service and what the kernel has of it, to the entries that must be written and removed, in
// phases. Pure. The order of the phases is what makes every prefix of the writes safe for packets:
//
// 1. `adds`: new sets (under ids that nobody has seen), names, backends, source ranges. No packet looks at them yet, or
//    they only allow what the new plan allows, too.
// 2. `switches`: frontends. Each is one write and moves new connections from the old list to the new one.
// 3. `removes`: frontends that go, and backends that no longer serve. UDP flows to these are decided anew from here on;
//    until then (also when the agent dies in between, until it is back) they stay with the backend that left.
// 4. `retire`, a grace period later, when no program can still hold a frontend that names them: old sets, and source
//    ranges that no longer apply.

import type { PortPlan, ServicePlan } from '../../compile/plan.js';
import type { BackendEntry, FrontendEntry, ServiceMapEntry } from './entries.js';
import { frontendFlags } from './flags.js';
import {
  type EndpointState,
  endpointKey,
  type FrontendName,
  frontendKey,
  type ProgrammedFrontend,
  type ProgrammedPort,
  type ProgrammedSet,
  sameEndpoint,
  sameEndpoints,
  sameFrontend,
} from './state.js';

/** The longest name that struct pl_service holds (RFC 1123 label). */
const NAME_MAX = 63;

const NO_RANGES: readonly string[] = Object.freeze([]);

export interface PlanContext {
  readonly ids: { service(): number; set(): number };
  /** What the kernel has for a frontend, whoever owns it. */
  readonly frontend: (name: FrontendName) => ProgrammedFrontend | undefined;
  /** Option preserveClientAddress. */
  readonly preserveClientAddress: boolean;
}

/** What to write for one Service, and what the kernel has afterwards. */
export interface ServiceOperations {
  readonly adds: readonly ServiceMapEntry[];
  readonly switches: readonly FrontendEntry[];
  readonly removes: readonly (FrontendEntry | BackendEntry)[];
  readonly retire: readonly ServiceMapEntry[];
  readonly next: readonly ProgrammedPort[];
}

interface Draft {
  readonly adds: ServiceMapEntry[];
  readonly switches: FrontendEntry[];
  readonly removes: (FrontendEntry | BackendEntry)[];
  readonly retire: ServiceMapEntry[];
}

/**
 * @param plan the wanted state; undefined: the Service goes
 * @param programmed what the kernel has of it
 * @throws Error when a name does not fit into struct pl_service
 */
export function planService(
  plan: ServicePlan | undefined,
  programmed: readonly ProgrammedPort[],
  context: PlanContext,
): ServiceOperations {
  const draft: Draft = { adds: [], switches: [], removes: [], retire: [] };
  const next: ProgrammedPort[] = [];
  const kept = new Set<string>();
  for (const port of plan?.ports ?? []) {
    // Nobody can reach a port without frontends (all claimed by other Services): it is as if it were not there.
    if (port.frontends.length === 0) continue;
    kept.add(port.key);
    const now = programmed.find((p) => p.key === port.key);
    next.push(new PortPlanner(plan!, port, now, context, draft).run());
  }
  for (const port of programmed) if (!kept.has(port.key)) removePort(port, draft);
  // What stays is copied: an array that grew has 16 places in reserve.
  return { ...draft, next: next.slice() };
}

/** Plans one port; `now` is undefined for a new one. */
class PortPlanner {
  readonly #plan: ServicePlan;
  readonly #port: PortPlan;
  readonly #now: ProgrammedPort | undefined;
  readonly #context: PlanContext;
  readonly #draft: Draft;
  readonly #id: number;
  readonly #sets: ProgrammedSet[] = [];

  constructor(
    plan: ServicePlan,
    port: PortPlan,
    now: ProgrammedPort | undefined,
    context: PlanContext,
    draft: Draft,
  ) {
    this.#plan = plan;
    this.#port = port;
    this.#now = now;
    this.#context = context;
    this.#draft = draft;
    this.#id = now?.id ?? context.ids.service();
  }

  run(): ProgrammedPort {
    this.#name();
    const port = this.#port;
    const cluster = this.#set(port.cluster);
    const local = port.frontends.some((f) => f.list === 'local') ? this.#set(port.local) : undefined;
    const serving = this.#backends();
    const ranges = this.#ranges();
    const frontends = this.#frontends(cluster, local);
    for (const set of this.#now?.sets ?? [])
      if (!this.#sets.some((s) => s.id === set.id)) pushSet(this.#id, set, this.#draft.retire);
    return { id: this.#id, key: port.key, frontends, sets: this.#sets.slice(), serving, ranges, sure: true };
  }

  #name(): void {
    if (this.#now?.sure) return;
    const { namespace, service } = this.#plan;
    const { portName, protocol, family } = this.#port;
    for (const name of [namespace, service, portName])
      if (name.length > NAME_MAX)
        throw new Error(
          `${this.#plan.name}: the name ${name} is longer than ${NAME_MAX} characters; shorten it`,
        );
    const label = { namespace, name: service, portName, protocol, family };
    this.#draft.adds.push({ map: 'services', service: this.#id, label });
    // Once in a port's life: writing it again resets its counters.
    this.#draft.adds.push({ map: 'service_stats', service: this.#id });
  }

  /** The set with these endpoints: one that the kernel has, else a new one. */
  #set(endpoints: readonly EndpointState[]): ProgrammedSet | undefined {
    if (endpoints.length === 0) return undefined;
    const members = this.#port.affinitySeconds > 0;
    const fits = (set: ProgrammedSet): boolean =>
      (set.members || !members) && sameEndpoints(set.endpoints, endpoints);
    const shared = this.#sets.find(fits);
    if (shared) return shared;
    const known = this.#now?.sure ? this.#now.sets.find(fits) : undefined;
    // The plan's own array, so that the lists of 10,000 Services are in memory once.
    const set = { id: known?.id ?? this.#context.ids.set(), endpoints, members: known?.members ?? members };
    this.#sets.push(set);
    if (!known) pushSet(this.#id, set, this.#draft.adds);
    return set;
  }

  /** New and changed backends are written; those that left go after the switch. */
  #backends(): readonly EndpointState[] {
    const { serving } = this.#port;
    const before = this.#now?.serving ?? [];
    const sure = this.#now?.sure ?? true;
    if (sure && sameEndpoints(before, serving)) return serving;
    if (before.length === 0) {
      for (const endpoint of serving)
        this.#draft.adds.push({ map: 'backends', service: this.#id, endpoint, before: undefined });
      return serving;
    }
    const left = new Map(before.map((e) => [endpointKey(e), e]));
    for (const endpoint of serving) {
      const key = endpointKey(endpoint);
      const old = left.get(key);
      left.delete(key);
      if (sure && old && sameEndpoint(old, endpoint)) continue;
      this.#draft.adds.push({ map: 'backends', service: this.#id, endpoint, before: old });
    }
    for (const endpoint of left.values())
      this.#draft.removes.push({ map: 'backends', service: this.#id, endpoint, before: endpoint });
    return serving;
  }

  #ranges(): readonly string[] {
    const { sourceRanges } = this.#port;
    const before = this.#now?.ranges ?? NO_RANGES;
    if (before.length === 0 && sourceRanges.length === 0) return NO_RANGES;
    const sure = this.#now?.sure ?? true;
    for (const range of sourceRanges)
      if (!sure || !before.includes(range))
        this.#draft.adds.push({ map: 'source_ranges', service: this.#id, range });
    for (const range of before)
      if (!sourceRanges.includes(range))
        this.#draft.retire.push({ map: 'source_ranges', service: this.#id, range });
    return sourceRanges;
  }

  #frontends(
    cluster: ProgrammedSet | undefined,
    local: ProgrammedSet | undefined,
  ): readonly ProgrammedFrontend[] {
    const { frontends, affinitySeconds } = this.#port;
    const sure = this.#now?.sure ?? true;
    const next: ProgrammedFrontend[] = [];
    for (const frontend of frontends) {
      const { address, port, protocol, kind } = frontend;
      // The local list is named only where it can be used: a change of it then leaves the other frontends alone.
      const used = frontend.list === 'local' ? local : undefined;
      const wanted: ProgrammedFrontend = {
        service: this.#id,
        address,
        port,
        protocol,
        kind,
        flags: frontendFlags(this.#port, frontend, this.#context.preserveClientAddress),
        affinitySeconds,
        clusterSet: cluster?.id ?? 0,
        clusterCount: cluster?.endpoints.length ?? 0,
        localSet: used?.id ?? 0,
        localCount: used?.endpoints.length ?? 0,
      };
      const is = this.#context.frontend(frontend);
      if (sure && is && sameFrontend(is, wanted)) {
        next.push(is);
        continue;
      }
      next.push(wanted);
      this.#draft.switches.push({ map: 'frontends', frontend: wanted });
    }
    this.#dropFrontends(next);
    return next.slice();
  }

  #dropFrontends(next: readonly ProgrammedFrontend[]): void {
    const before = this.#now?.frontends ?? [];
    if (before.length === 0) return;
    const kept = new Set(next.map(frontendKey));
    for (const frontend of before)
      if (!kept.has(frontendKey(frontend))) this.#draft.removes.push({ map: 'frontends', frontend });
  }
}

function pushSet(service: number, set: ProgrammedSet, entries: ServiceMapEntry[]): void {
  set.endpoints.forEach((endpoint, index) => {
    entries.push({ map: 'slots', set: set.id, index, service, endpoint });
    if (set.members) entries.push({ map: 'members', set: set.id, index, endpoint });
  });
}

function removePort(port: ProgrammedPort, draft: Draft): void {
  for (const frontend of port.frontends) draft.removes.push({ map: 'frontends', frontend });
  for (const endpoint of port.serving)
    draft.removes.push({ map: 'backends', service: port.id, endpoint, before: endpoint });
  for (const set of port.sets) pushSet(port.id, set, draft.retire);
  for (const range of port.ranges) draft.retire.push({ map: 'source_ranges', service: port.id, range });
  draft.retire.push({ map: 'services', service: port.id, label: undefined });
  draft.retire.push({ map: 'service_stats', service: port.id });
}
