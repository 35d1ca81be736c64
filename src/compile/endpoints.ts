// A Service port's endpoints: gathered from its slices, and sorted into the lists that traffic policies use. The rules are
// kube-proxy's (pkg/proxy/endpointslicecache.go, topology.go), and so are the surprises: the two lists fall back to
// terminating endpoints independently, and only the cluster list looks at hints.

import type { Endpoint, EndpointSlice } from '../model/endpoint.js';
import type { Family, ServicePort } from '../model/service.js';
import { familyOfAddress, unicastAddress } from './addresses.js';
import type { CompileContext } from './context.js';
import type { Policies } from './frontends.js';
import { type Issues, quote } from './issues.js';
import type { ExcludedEndpoint, Exclusion, PlanEndpoint, PortPlan } from './plan.js';
import { isPort } from './ports.js';
import { isHinted, type Origins, topologyMode } from './topology.js';

/** Every endpoint of one Service port in one family, whatever its condition. */
export interface Candidates {
  /** Sorted by address as text, then port; each (address, port) once. */
  readonly endpoints: readonly PlanEndpoint[];
  readonly origins: Origins;
  /** With the address as it is written. */
  readonly invalid: readonly PlanEndpoint[];
}

const NONE: readonly never[] = Object.freeze([]);
const NO_ORIGINS: Origins = new Map();

/** @param slices those of the Service, in a fixed order: it decides between duplicates that differ in nothing else */
export function gatherEndpoints(
  slices: readonly EndpointSlice[],
  family: Family,
  port: ServicePort,
  nodeName: string,
  issues: Issues,
): Candidates {
  const gathered: Gathered = { endpoints: [], invalid: [], origins: undefined };
  for (const slice of slices) {
    if (slice.family !== family) continue;
    for (const slicePort of slice.ports) {
      if (slicePort.name !== port.name || slicePort.protocol !== port.protocol) continue;
      if (isPort(slicePort.port)) gatherFrom(slice, slicePort.port, nodeName, gathered, issues);
      else
        issues.add(
          'invalid-endpoint',
          `EndpointSlice ${slice.name}: ${slicePort.port} is not a port; skipped`,
        );
    }
  }
  const { endpoints, invalid, origins } = gathered;
  return { endpoints: sortUnique(endpoints), origins: origins ?? NO_ORIGINS, invalid };
}

interface Gathered {
  readonly endpoints: PlanEndpoint[];
  readonly invalid: PlanEndpoint[];
  origins: Map<PlanEndpoint, Endpoint> | undefined;
}

function gatherFrom(
  slice: EndpointSlice,
  port: number,
  nodeName: string,
  into: Gathered,
  issues: Issues,
): void {
  const invalidBefore = into.invalid.length;
  for (const endpoint of slice.endpoints) {
    const address = unicastAddress(endpoint.address);
    const valid = address !== undefined && familyOfAddress(address) === slice.family;
    const planned = toPlanEndpoint(endpoint, valid ? address : endpoint.address, port, nodeName);
    (valid ? into.endpoints : into.invalid).push(planned);
    if (endpoint.zoneHints.length === 0 && endpoint.nodeHints.length === 0) continue;
    into.origins ??= new Map();
    into.origins.set(planned, endpoint);
  }
  reportInvalid(slice, into.invalid, invalidBefore, issues);
}

function toPlanEndpoint(endpoint: Endpoint, address: string, port: number, nodeName: string): PlanEndpoint {
  return {
    address,
    port,
    ready: endpoint.ready,
    serving: endpoint.serving,
    terminating: endpoint.terminating,
    onNode: nodeName !== '' && endpoint.nodeName === nodeName,
    nodeName: endpoint.nodeName,
    pod: endpoint.pod,
  };
}

function reportInvalid(
  slice: EndpointSlice,
  invalid: readonly PlanEndpoint[],
  from: number,
  issues: Issues,
): void {
  const count = invalid.length - from;
  if (count === 0) return;
  const first = `${quote(invalid[from]!.address)} is not a unicast ${slice.family} address`;
  const more = count === 1 ? '' : ` (and ${count - 1} more)`;
  issues.add('invalid-endpoint', `EndpointSlice ${slice.name}: ${first}${more}; not used`);
}

/** Duplicates are normal while an endpoint moves from one slice to another: the one in the best condition counts. */
function sortUnique(endpoints: PlanEndpoint[]): readonly PlanEndpoint[] {
  if (endpoints.length === 0) return NONE;
  endpoints.sort(compareEndpoints);
  let kept = 1;
  for (let i = 1; i < endpoints.length; i++) {
    const endpoint = endpoints[i]!;
    const last = endpoints[kept - 1]!;
    if (endpoint.address !== last.address || endpoint.port !== last.port) endpoints[kept++] = endpoint;
  }
  // A copy has no places in reserve.
  return endpoints.slice(0, kept);
}

function compareEndpoints(a: PlanEndpoint, b: PlanEndpoint): number {
  if (a.address !== b.address) return a.address < b.address ? -1 : 1;
  if (a.port !== b.port) return a.port - b.port;
  return (
    Number(a.terminating) - Number(b.terminating) ||
    Number(b.ready) - Number(a.ready) ||
    Number(b.serving) - Number(a.serving) ||
    Number(b.onNode) - Number(a.onNode)
  );
}

export type EndpointLists = Pick<PortPlan, 'cluster' | 'local' | 'serving' | 'excluded' | 'hasEndpoints'>;

/** The lists of one Service port, and for each endpoint that is not in a list that is used, the reason. */
export function categorizeEndpoints(
  candidates: Candidates,
  policies: Policies,
  context: CompileContext,
): EndpointLists {
  const { endpoints } = candidates;
  const excluded: ExcludedEndpoint[] = [];
  const cluster = policies.usesCluster ? clusterList(candidates, context, excluded) : NONE;
  const local = policies.usesLocal ? localList(candidates, excluded) : NONE;
  const usable = (e: PlanEndpoint) => e.ready || (e.serving && e.terminating);
  return {
    cluster,
    local,
    // A ready endpoint is in use whatever it says of serving.
    serving: filterShared(endpoints, (e) => e.serving || e.ready),
    excluded: excluded.length === 0 ? NONE : excluded,
    hasEndpoints: policies.usesLocal ? endpoints.some(usable) : cluster.length > 0,
  };
}

function clusterList(candidates: Candidates, context: CompileContext, excluded: ExcludedEndpoint[]) {
  const { endpoints, origins } = candidates;
  const mode = topologyMode(endpoints, origins, context);
  const wanted = (e: PlanEndpoint) => e.ready && isHinted(e, mode, origins, context);
  const fallback = (e: PlanEndpoint) => e.serving && e.terminating;
  const notHinted = mode === 'node' ? 'node-hint' : 'other-zone';
  return choose(
    candidates,
    'cluster',
    wanted,
    fallback,
    (e) => (e.ready ? notHinted : whyUnusable(e)),
    excluded,
  );
}

function localList(candidates: Candidates, excluded: ExcludedEndpoint[]) {
  const wanted = (e: PlanEndpoint) => e.onNode && e.ready;
  const fallback = (e: PlanEndpoint) => e.onNode && e.serving && e.terminating;
  return choose(
    candidates,
    'local',
    wanted,
    fallback,
    (e) => (e.onNode ? whyUnusable(e) : 'other-node'),
    excluded,
  );
}

function whyUnusable(endpoint: PlanEndpoint): Exclusion {
  if (!endpoint.terminating) return 'not-ready';
  return endpoint.serving ? 'terminating' : 'not-serving';
}

/** The wanted endpoints; where there are none, those to fall back to. */
function choose(
  { endpoints, invalid }: Candidates,
  list: 'cluster' | 'local',
  wanted: (endpoint: PlanEndpoint) => boolean,
  fallback: (endpoint: PlanEndpoint) => boolean,
  reason: (endpoint: PlanEndpoint) => Exclusion,
  excluded: ExcludedEndpoint[],
): readonly PlanEndpoint[] {
  const accept = endpoints.some(wanted) ? wanted : fallback;
  const chosen = filterShared(endpoints, accept);
  if (chosen !== endpoints) {
    for (const endpoint of endpoints) {
      if (!accept(endpoint)) excluded.push({ endpoint, list, reason: reason(endpoint) });
    }
  }
  for (const endpoint of invalid) excluded.push({ endpoint, list, reason: 'invalid-address' });
  return chosen;
}

/** The array itself where everything is accepted, which is the usual case: one array then is all three lists. */
function filterShared(
  endpoints: readonly PlanEndpoint[],
  accept: (endpoint: PlanEndpoint) => boolean,
): readonly PlanEndpoint[] {
  if (endpoints.every(accept)) return endpoints;
  const accepted = endpoints.filter(accept);
  return accepted.length === 0 ? NONE : accepted;
}
