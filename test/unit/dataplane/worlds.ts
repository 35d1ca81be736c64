// Small worlds of Services whose frontends, lists and ranges overlap and move, and what a new connection may meet in them.

import fc from 'fast-check';
import type { Frontend, PlanEndpoint, PortPlan, ServicePlan } from '../../../src/compile/plan.js';
import { type FrontendName, frontendKey } from '../../../src/dataplane/bpf/state.js';
import { cidrContains, parseAddress, parseCidr } from '../../../src/lib/ip.js';
import type { Client, Verdict } from './interpreter.js';

export type World = ReadonlyMap<string, ServicePlan>;

const RANGES = ['192.0.2.0/24', '198.51.100.0/24'];
export const CLIENTS: readonly Client[] = [
  { address: '192.0.2.7', onNode: true },
  { address: '198.51.100.7', onNode: false },
  { address: '203.0.113.7', onNode: false },
];

interface PortSpec {
  readonly number: number;
  readonly cluster: number;
  readonly local: number;
  readonly terminating: number;
  readonly extra: number;
  readonly affinity: boolean;
  readonly ranges: number;
  readonly list: 'cluster' | 'local';
  readonly shortCircuit: boolean;
  readonly hasEndpoints: boolean;
  /** Which of the frontends that Services compete for. */
  readonly shared: number;
  readonly udp: boolean;
}

const mask = (bits: number) => fc.integer({ min: 0, max: 2 ** bits - 1 });

const port: fc.Arbitrary<PortSpec> = fc.record({
  number: fc.constantFrom(80, 81, 443),
  cluster: mask(4),
  local: mask(4),
  terminating: fc.oneof(fc.constant(0), mask(4)),
  extra: mask(4),
  affinity: fc.boolean(),
  ranges: mask(2),
  list: fc.constantFrom('cluster', 'local'),
  shortCircuit: fc.boolean(),
  hasEndpoints: fc.boolean(),
  shared: mask(3),
  udp: fc.boolean(),
});

/** Up to three Services with up to two ports, and which fields of a port stay as they were before. */
const step = fc.array(
  fc.option(
    fc.uniqueArray(fc.record({ spec: port, keep: fc.array(fc.boolean(), { maxLength: 12 }) }), {
      maxLength: 2,
      selector: (p) => p.spec.number,
    }),
    { nil: undefined },
  ),
  { minLength: 3, maxLength: 3 },
);

/** Worlds that follow each other: a port often differs in few of its fields, as it does in real life. */
export function worlds(count: number): fc.Arbitrary<readonly World[]> {
  return fc.array(step, { minLength: 1, maxLength: count }).map((steps) => {
    let before: readonly (readonly PortSpec[] | undefined)[] = [];
    return steps.map((services) => {
      const now = services.map((ports, i) => ports?.map(({ spec, keep }) => blend(spec, before[i], keep)));
      before = now;
      return buildWorld(now);
    });
  });
}

/** Two worlds, one after the other. */
export const change: fc.Arbitrary<readonly [World, World]> = worlds(2)
  .filter((list) => list.length === 2)
  .map((list) => [list[0]!, list[1]!]);

function blend(spec: PortSpec, before: readonly PortSpec[] | undefined, keep: readonly boolean[]): PortSpec {
  const old = before?.find((p) => p.number === spec.number);
  if (!old) return spec;
  const fields = Object.keys(spec) as (keyof PortSpec)[];
  const kept = fields.filter((_, i) => keep[i] ?? true);
  return { ...spec, ...Object.fromEntries(kept.map((field) => [field, old[field]])) };
}

const SHARED: readonly Pick<Frontend, 'address' | 'port' | 'kind' | 'localhost'>[] = [
  { address: '192.168.0.1', port: 30080, kind: 'node-port', localhost: false },
  { address: '203.0.113.80', port: 80, kind: 'load-balancer', localhost: false },
  { address: '127.0.0.1', port: 30080, kind: 'node-port', localhost: true },
];

/** The first Service that claims a frontend has it, as compile sees to it. */
function buildWorld(specs: readonly (readonly PortSpec[] | undefined)[]): World {
  const claimed = new Set<string>();
  const plans = new Map<string, ServicePlan>();
  specs.forEach((ports, i) => {
    if (!ports) return;
    const name = `test/s${i}`;
    plans.set(name, {
      name,
      namespace: 'test',
      service: `s${i}`,
      createdAt: 0,
      ports: ports.map((spec) => buildPort(i, spec, claimed)),
      issues: [],
    });
  });
  return plans;
}

function buildPort(service: number, spec: PortSpec, claimed: Set<string>): PortPlan {
  const protocol = spec.udp ? 'UDP' : 'TCP';
  const endpoints = Array.from({ length: 4 }, (_, i) => endpoint(service, spec, i));
  const own: Frontend[] = [
    frontend(spec, {
      address: `10.96.0.${service + 1}`,
      port: spec.number,
      kind: 'cluster-ip',
      localhost: false,
    }),
    ...SHARED.filter((_, i) => spec.shared & (1 << i)).map((f) => frontend(spec, f)),
  ];
  return {
    key: `test/s${service}:p${spec.number}/${protocol}/IPv4`,
    portName: `p${spec.number}`,
    protocol,
    family: 'IPv4',
    frontends: own.filter((f) => claim(claimed, f)),
    cluster: endpoints.filter((_, i) => spec.cluster & (1 << i)),
    local: spec.list === 'local' ? endpoints.filter((_, i) => spec.local & (1 << i)) : [],
    serving: endpoints.filter((_, i) => (spec.cluster | spec.local | spec.extra) & (1 << i)),
    excluded: [],
    hasEndpoints: spec.hasEndpoints,
    affinitySeconds: spec.affinity ? 60 : 0,
    sourceRanges: RANGES.filter((_, i) => spec.ranges & (1 << i)),
  };
}

function claim(claimed: Set<string>, f: Frontend): boolean {
  const key = frontendKey(f);
  if (claimed.has(key)) return false;
  claimed.add(key);
  return true;
}

function endpoint(service: number, spec: PortSpec, i: number): PlanEndpoint {
  const terminating = (spec.terminating & (1 << i)) !== 0;
  return {
    address: `10.244.${service}.${i + 1}`,
    port: 8080,
    ready: !terminating,
    serving: true,
    terminating,
    onNode: i < 2,
    nodeName: 'n',
    pod: '',
  };
}

function frontend(spec: PortSpec, at: Pick<Frontend, 'address' | 'port' | 'kind' | 'localhost'>): Frontend {
  const clusterIP = at.kind === 'cluster-ip';
  return {
    ...at,
    protocol: spec.udp ? 'UDP' : 'TCP',
    list: clusterIP ? 'cluster' : spec.list,
    shortCircuit: spec.shortCircuit,
    masquerade: 'never',
    restricted: at.kind === 'load-balancer' && spec.ranges !== 0,
    socket: true,
  };
}

/** Every frontend that any of the worlds has. */
export function frontendsOf(worlds: readonly World[]): FrontendName[] {
  const names = new Map<string, FrontendName>();
  for (const w of worlds)
    for (const plan of w.values())
      for (const p of plan.ports) for (const f of p.frontends) names.set(frontendKey(f), f);
  return [...names.values()];
}

/**
 * What a new connection may meet in this world.
 * @param alsoAllowed source ranges that have not been removed yet
 */
export function expected(
  w: World,
  name: FrontendName,
  client: Client,
  alsoAllowed: readonly string[] = [],
): Set<Verdict> {
  const found = new Set<Verdict>();
  let clusterIP = false;
  for (const plan of w.values())
    for (const p of plan.ports)
      for (const f of p.frontends) {
        if (f.address === name.address && f.kind === 'cluster-ip') clusterIP = true;
        if (frontendKey(f) === frontendKey(name))
          for (const v of served(p, f, client, alsoAllowed)) found.add(v);
      }
  if (found.size === 0) found.add(clusterIP ? 'UNKNOWN-PORT' : 'NONE');
  return found;
}

/**
 * May this frontend be missing while others at its address are still, or already, there? When an agent dies while a Service
 * goes, the next one finds some of its frontends: until it prunes them their address is an active cluster IP, and a port of
 * it that nothing serves is rejected.
 */
export function mayBeUnknownPort(worlds: readonly World[], name: FrontendName): boolean {
  const frontendsIn = (w: World) => [...w.values()].flatMap((plan) => plan.ports.flatMap((p) => p.frontends));
  const isMissing = (w: World) => !frontendsIn(w).some((f) => frontendKey(f) === frontendKey(name));
  const hasOthers = (w: World) =>
    frontendsIn(w).some(
      (f) => f.kind === 'cluster-ip' && f.address === name.address && frontendKey(f) !== frontendKey(name),
    );
  return worlds.some(isMissing) && worlds.some(hasOthers);
}

function served(p: PortPlan, f: Frontend, client: Client, alsoAllowed: readonly string[]): Verdict[] {
  const inside = (ranges: readonly string[]): boolean =>
    ranges.some((range) => cidrContains(parseCidr(range)!, parseAddress(client.address)!.bytes));
  if (f.restricted && !inside(p.sourceRanges)) {
    if (!inside(alsoAllowed)) return ['DROP-SOURCE'];
    return ['DROP-SOURCE', ...chosen(p, f, client)];
  }
  return chosen(p, f, client);
}

function chosen(p: PortPlan, f: Frontend, client: Client): Verdict[] {
  const list = f.list === 'local' && !(f.shortCircuit && client.onNode) ? p.local : p.cluster;
  if (list.length === 0) return [p.hasEndpoints ? 'DROP' : 'REJECT'];
  return list.map((e): Verdict => `to ${e.address}:${e.port}`);
}

export function rangesOf(worlds: readonly World[]): string[] {
  return worlds.flatMap((w) => [...w.values()].flatMap((plan) => plan.ports.flatMap((p) => p.sourceRanges)));
}
