// Where a Service's traffic can go, as EndpointSlices tell it.

import type { Family, Protocol, ServiceName } from './service.js';

/** One entry of a slice's endpoints. Conditions are resolved: nil ready and serving are true, nil terminating is false. */
export interface Endpoint {
  /** addresses[0], as written. */
  readonly address: string;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  /** "" where unknown: such an endpoint is on no node. */
  readonly nodeName: string;
  /** targetRef.name of a Pod, for people; "" where unknown. */
  readonly pod: string;
  /** hints.forZones[].name. */
  readonly zoneHints: readonly string[];
  /** hints.forNodes[].name. */
  readonly nodeHints: readonly string[];
}

/** One entry of a slice's ports. */
export interface EndpointPort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
}

/** A discovery.k8s.io/v1 EndpointSlice. FQDN slices, slices without a Service and ports without a number never get here. */
export interface EndpointSlice {
  readonly namespace: string;
  readonly name: string;
  /** From the label kubernetes.io/service-name. */
  readonly service: ServiceName;
  readonly family: Family;
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}
