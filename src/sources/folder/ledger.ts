// Who has asked for which cluster IPs and node ports, who holds them, and the book of what is taken. Pure.

import type { Family, Protocol, ServiceName } from '../../model/service.js';
import type { FamilyPolicy } from './objects.js';
import { type AddressPool, addressPool } from './ranges.js';

/** Node ports, both ends included. */
export interface PortRange {
  readonly from: number;
  readonly to: number;
}

/** What a Service has been given. */
export interface Holding {
  /** Canonical; the primary family first. */
  readonly clusterIPs: readonly string[];
  /** By `TCP/80`: protocol and port of the Service. */
  readonly nodePorts: Readonly<Record<string, number>>;
  /** 0: none. */
  readonly healthCheckNodePort: number;
}

export interface PortRequest {
  readonly protocol: Protocol;
  readonly port: number;
  /** spec.ports[].nodePort; 0: any. */
  readonly nodePort: number;
}

/** What a Service needs. Validated by the reader: at most one address of each family, families match addresses. */
export interface Request {
  readonly name: ServiceName;
  /** Milliseconds since the epoch: who is older keeps what two ask for; then the name decides. */
  readonly createdAt: number;
  /** False for headless Services and ExternalName: they get nothing. */
  readonly wantsClusterIP: boolean;
  /** Canonical. */
  readonly clusterIPs: readonly string[];
  readonly ipFamilies: readonly Family[];
  readonly policy: FamilyPolicy;
  readonly ports: readonly PortRequest[];
  /** Give node ports to ports that ask for none. */
  readonly wantsNodePorts: boolean;
  readonly wantsHealthCheck: boolean;
  /** spec.healthCheckNodePort; 0: any. */
  readonly healthCheckNodePort: number;
}

export interface Grant extends Holding {
  /** Parallel to clusterIPs. */
  readonly ipFamilies: readonly Family[];
}

export interface AllocationProblem {
  readonly service: ServiceName;
  readonly message: string;
  readonly severity: 'info' | 'warning';
}

export interface Allocation {
  readonly grants: ReadonlyMap<ServiceName, Grant>;
  readonly problems: readonly AllocationProblem[];
}

/** Ranges, parsed once. */
export interface Pools {
  readonly addresses: readonly AddressPool[];
  readonly nodePorts: PortRange;
}

/** @throws RangeError when a range cannot be used. */
export function createPools(serviceRanges: readonly string[], nodePorts: PortRange): Pools {
  const { from, to } = nodePorts;
  if (!Number.isInteger(from) || !Number.isInteger(to) || from < 1 || to > 65535 || from > to) {
    throw new RangeError(`node port range ${from}-${to} is not within 1-65535`);
  }
  return { addresses: serviceRanges.map(addressPool), nodePorts };
}

/** Everything that is taken, and by whom. */
export interface Ledger {
  readonly pools: Pools;
  readonly addresses: Map<string, ServiceName>;
  readonly ports: Map<number, ServiceName>;
  readonly problems: AllocationProblem[];
  /** Pools in which the search for a free number has failed: it need not be tried again. */
  readonly exhausted: Set<AddressPool | PortRange>;
}

/** A Service's share in the making. */
export interface Draft {
  readonly request: Request;
  readonly held: Holding | undefined;
  readonly families: readonly Family[];
  readonly clusterIPs: Map<Family, string>;
  readonly nodePorts: Map<string, number>;
  healthCheckNodePort: number;
  /** What was asked for and belongs to somebody else: nothing is given instead. */
  readonly refused: Set<string>;
}

/** Takes note of something that a Service does not get, or gets against the rules. */
export function complain(
  ledger: Ledger,
  service: ServiceName,
  message: string,
  severity: AllocationProblem['severity'] = 'warning',
): void {
  ledger.problems.push({ service, message, severity });
}
