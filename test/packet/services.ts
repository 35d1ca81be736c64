// Services in the maps of the programs under test, written as the agent would.

import { parseAddr } from '../../src/abi/addr.js';
import {
  AddressFlags,
  EndpointFlags,
  type Flow,
  type FlowKey,
  FrontendFlags,
  Kind,
} from '../../src/abi/layout.gen.js';
import { type Dataplane, PROTOCOLS, range } from './dataplane.js';
import { type Endpoint, splitHost } from './packet.js';

export interface ServiceSpec {
  readonly at: Endpoint;
  readonly proto?: keyof typeof PROTOCOLS;
  readonly kind?: number;
  /** enum pl_frontend_flags; PL_FE_HAS_ENDPOINTS is set where a list is not empty. */
  readonly flags?: number;
  readonly cluster?: readonly Endpoint[];
  readonly local?: readonly Endpoint[];
  /** Endpoints that are on this node; those of `local` always are. */
  readonly onNode?: readonly Endpoint[];
  /** Seconds. */
  readonly affinity?: number;
  /** Another frontend of the same Service port. */
  readonly service?: number;
  /** Allowed sources, as PL_FE_SOURCE_RANGES needs them. */
  readonly ranges?: readonly string[];
}

export interface Published {
  readonly id: number;
  readonly spec: ServiceSpec;
}

function frontendKey(spec: ServiceSpec) {
  const { host, port } = splitHost(spec.at);
  return { addr: parseAddr(host), port, proto: PROTOCOLS[spec.proto ?? 'tcp'] };
}

function writeSet(
  plane: Dataplane,
  service: number,
  spec: ServiceSpec,
  endpoints: readonly Endpoint[],
  local: boolean,
): number {
  if (endpoints.length === 0) return 0;
  const set = plane.newId();
  endpoints.forEach((endpoint, index) => {
    const { host, port } = splitHost(endpoint);
    const onNode = local || (spec.local ?? []).includes(endpoint) || (spec.onNode ?? []).includes(endpoint);
    const flags = EndpointFlags.READY | EndpointFlags.SERVING | (onNode ? EndpointFlags.ON_NODE : 0);
    plane.set('slots', { set, index }, { addr: parseAddr(host), port, flags, set, service });
    if (spec.affinity) plane.set('members', { set, addr: parseAddr(host), port }, { index });
    plane.set('backends', { service, addr: parseAddr(host), port }, { flags });
  });
  return set;
}

/** A Service port with one frontend, as the agent would write it. */
export function publish(plane: Dataplane, spec: ServiceSpec): Published {
  const id = spec.service ?? plane.newId();
  const cluster = spec.cluster ?? [];
  const local = spec.local ?? [];
  const key = frontendKey(spec);
  const kind = spec.kind ?? Kind.CLUSTER_IP;
  plane.set('addresses', key.addr, {
    portMin: kind === Kind.CLUSTER_IP ? 0 : 30000,
    portMax: kind === Kind.CLUSTER_IP ? 65535 : 32767,
    flags: kind === Kind.CLUSTER_IP ? AddressFlags.CLUSTER_IP : 0,
  });
  for (const cidr of spec.ranges ?? []) {
    const { addr, prefix } = range(cidr);
    plane.set('source_ranges', { prefixlen: 32 + prefix, service: id, addr }, { allowed: 1 });
  }
  plane.set('frontends', key, {
    service: id,
    clusterSet: writeSet(plane, id, spec, cluster, false),
    clusterCount: cluster.length,
    localSet: writeSet(plane, id, spec, local, true),
    localCount: local.length,
    flags: (spec.flags ?? 0) | (cluster.length + local.length > 0 ? FrontendFlags.HAS_ENDPOINTS : 0),
    affinityS: spec.affinity ?? 0,
    kind,
  });
  return { id, spec };
}

/** Other endpoints for a published Service: a new list, and those that are gone out of `backends`. */
export function retarget(plane: Dataplane, published: Published, cluster: readonly Endpoint[]): Published {
  for (const endpoint of published.spec.cluster ?? []) {
    const { host, port } = splitHost(endpoint);
    if (!cluster.includes(endpoint))
      plane.delete('backends', { service: published.id, addr: parseAddr(host), port });
  }
  return publish(plane, { ...published.spec, cluster, service: published.id });
}

/** The Service is deleted; the gate stays for its flows. */
export function withdraw(plane: Dataplane, published: Published): void {
  plane.delete('frontends', frontendKey(published.spec));
  for (const endpoint of [...(published.spec.cluster ?? []), ...(published.spec.local ?? [])]) {
    const { host, port } = splitHost(endpoint);
    plane.delete('backends', { service: published.id, addr: parseAddr(host), port });
  }
}

/** The entry under a tuple, in `flows` or `opening`. */
export function flowAt(
  plane: Dataplane,
  map: 'flows' | 'opening',
  proto: keyof typeof PROTOCOLS,
  src: Endpoint,
  dst: Endpoint,
): Flow | undefined {
  const source = splitHost(src);
  const target = splitHost(dst);
  const key: FlowKey = {
    src: parseAddr(source.host),
    dst: parseAddr(target.host),
    sport: source.port,
    dport: target.port,
    proto: PROTOCOLS[proto],
  };
  return plane.get(map, key);
}
