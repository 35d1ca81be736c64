// The canonical dump: what is programmed, one entry a line, sorted, without ids. The same lines come from plans and from the
// kernel's maps, so that `diff` shows drift; scenario tests hold them.
//
//   service      shop/web:http/TCP/IPv4
//   affinity     shop/web:http/TCP/IPv4 10800s
//   source-range shop/web:http/TCP/IPv4 192.0.2.0/24
//   frontend     10.96.0.10:80/TCP shop/web:http cluster-ip list=cluster masquerade=off-pod flags=has-endpoints
//   endpoint     shop/web:http/TCP/IPv4 cluster 10.244.0.11:8080 ready on-node

import type { Frontend, PlanEndpoint, PortPlan, ServicePlan } from '../compile/plan.js';
import type { Family, Protocol } from '../model/service.js';

/** What names a Service port: struct pl_service has the same members. */
export interface DumpPort {
  readonly namespace: string;
  readonly service: string;
  /** "" where the port has none. */
  readonly portName: string;
  readonly protocol: Protocol;
  readonly family: Family;
}

/** Flags of a frontend line, in this order. */
export const FRONTEND_FLAGS = [
  'short-circuit',
  'source-ranges',
  'has-endpoints',
  'no-socket',
  'localhost',
] as const;

export type FrontendFlag = (typeof FRONTEND_FLAGS)[number];

/** Which list an endpoint is in; `serving` is what UDP flows may stay with (the map `backends`). */
export type DumpList = 'cluster' | 'local' | 'serving';

/** One entry of what is programmed. Addresses and CIDRs are canonical. */
export type DumpEntry =
  | { readonly type: 'service'; readonly port: DumpPort }
  | { readonly type: 'affinity'; readonly port: DumpPort; readonly seconds: number }
  | { readonly type: 'source-range'; readonly port: DumpPort; readonly range: string }
  | {
      readonly type: 'frontend';
      readonly port: DumpPort;
      readonly address: string;
      readonly number: number;
      readonly kind: Frontend['kind'];
      readonly list: Frontend['list'];
      readonly masquerade: Frontend['masquerade'];
      readonly flags: readonly FrontendFlag[];
    }
  | {
      readonly type: 'endpoint';
      readonly port: DumpPort;
      readonly list: DumpList;
      readonly endpoint: Pick<
        PlanEndpoint,
        'address' | 'port' | 'ready' | 'serving' | 'terminating' | 'onNode'
      >;
    };

const TYPE_ORDER = ['service', 'affinity', 'source-range', 'frontend', 'endpoint'] as const;

/** @returns the entries of a plan. A Service port without any frontend is not programmed and has none. */
export function planEntries(plan: ServicePlan): DumpEntry[] {
  return plan.ports.flatMap((port) => portEntries(plan, port));
}

function portEntries(plan: ServicePlan, portPlan: PortPlan): DumpEntry[] {
  if (portPlan.frontends.length === 0) return [];
  const port: DumpPort = {
    namespace: plan.namespace,
    service: plan.service,
    portName: portPlan.portName,
    protocol: portPlan.protocol,
    family: portPlan.family,
  };
  const entries: DumpEntry[] = [{ type: 'service', port }];
  if (portPlan.affinitySeconds > 0) {
    entries.push({ type: 'affinity', port, seconds: portPlan.affinitySeconds });
  }
  for (const range of portPlan.sourceRanges) entries.push({ type: 'source-range', port, range });
  for (const frontend of portPlan.frontends) {
    const { address, port: number, kind, list, masquerade } = frontend;
    const flags = frontendFlags(frontend, portPlan.hasEndpoints);
    entries.push({ type: 'frontend', port, address, number, kind, list, masquerade, flags });
  }
  for (const list of ['cluster', 'local', 'serving'] as const) {
    // A local list that no frontend uses (others own those that would) is not programmed.
    if (list === 'local' && !portPlan.frontends.some((frontend) => frontend.list === 'local')) continue;
    for (const endpoint of portPlan[list]) entries.push({ type: 'endpoint', port, list, endpoint });
  }
  return entries;
}

function frontendFlags(frontend: Frontend, hasEndpoints: boolean): FrontendFlag[] {
  const set: Record<FrontendFlag, boolean> = {
    'short-circuit': frontend.shortCircuit,
    'source-ranges': frontend.restricted,
    'has-endpoints': hasEndpoints,
    'no-socket': frontend.socket !== true,
    localhost: frontend.localhost,
  };
  return FRONTEND_FLAGS.filter((flag) => set[flag]);
}

/** `shop/web:http/TCP/IPv4`: the same as PortPlan.key. */
export function dumpPortKey(port: DumpPort): string {
  return `${port.namespace}/${port.service}:${port.portName}/${port.protocol}/${port.family}`;
}

/** `10.96.0.10:80`, `[fd00::10]:80`. */
export function addressAndPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}

export function formatEntry(entry: DumpEntry): string {
  const key = dumpPortKey(entry.port);
  switch (entry.type) {
    case 'service':
      return `service ${key}`;
    case 'affinity':
      return `affinity ${key} ${entry.seconds}s`;
    case 'source-range':
      return `source-range ${key} ${entry.range}`;
    case 'frontend': {
      const { port, list, masquerade } = entry;
      const at = `${addressAndPort(entry.address, entry.number)}/${port.protocol}`;
      const to = `${port.namespace}/${port.service}:${port.portName}`;
      const flags = FRONTEND_FLAGS.filter((flag) => entry.flags.includes(flag)).join(',') || '-';
      return `frontend ${at} ${to} ${entry.kind} list=${list} masquerade=${masquerade} flags=${flags}`;
    }
    case 'endpoint': {
      const at = addressAndPort(entry.endpoint.address, entry.endpoint.port);
      return `endpoint ${key} ${entry.list} ${at} ${conditions(entry.endpoint)}`;
    }
  }
}

/** `ready on-node`, `serving terminating`; `not-ready` where it is neither ready nor serving. */
export function conditions(
  endpoint: Pick<PlanEndpoint, 'ready' | 'serving' | 'terminating' | 'onNode'>,
): string {
  const words: string[] = [];
  if (endpoint.ready) words.push('ready');
  if (endpoint.ready && !endpoint.serving) words.push('not-serving');
  if (!endpoint.ready) words.push(endpoint.serving ? 'serving' : 'not-ready');
  if (endpoint.terminating) words.push('terminating');
  if (endpoint.onNode) words.push('on-node');
  return words.join(' ');
}

/**
 * @returns one line for each entry: those of one Service port together, ports by name, within a port first the port itself,
 * then affinity, source ranges, frontends and endpoints, each by their text. Equal entries make one line.
 */
export function formatDump(entries: Iterable<DumpEntry>): string[] {
  const keyed = Array.from(entries, (entry) => ({
    key: dumpPortKey(entry.port),
    order: TYPE_ORDER.indexOf(entry.type),
    line: formatEntry(entry),
  }));
  keyed.sort((a, b) => compareText(a.key, b.key) || a.order - b.order || compareText(a.line, b.line));
  return keyed.map(({ line }) => line).filter((line, i, lines) => line !== lines[i - 1]);
}

/** The dump of plans. */
export function dumpPlans(plans: Iterable<ServicePlan>): string[] {
  return formatDump([...plans].flatMap(planEntries));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
