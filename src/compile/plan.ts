// What is to be done for one Service, engine-neutral: the result of compile, the input of every engine.

import type { Family, Protocol, ServiceName } from '../model/service.js';

export type FrontendKind = 'cluster-ip' | 'node-port' | 'external-ip' | 'load-balancer';

/** Who is masqueraded: nobody, everybody, or clients that are not pods of this node (semantics.md 1.5). Hairpin always is. */
export type Masquerade = 'never' | 'always' | 'off-pod';

/** An address and port at which a Service port is reached on this node. */
export interface Frontend {
  /** Canonical text form (RFC 5952). */
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly kind: FrontendKind;
  /** Which list the policy gives: internalTrafficPolicy for cluster IPs, externalTrafficPolicy for the others. */
  readonly list: 'cluster' | 'local';
  /** Local pods and the node itself get the cluster list although `list` is local. */
  readonly shortCircuit: boolean;
  readonly masquerade: Masquerade;
  /** The port plan's sourceRanges apply. */
  readonly restricted: boolean;
  /** May the socket hook serve it? The reason where not. */
  readonly socket: true | SocketExclusion;
  /** A node port on a loopback address. */
  readonly localhost: boolean;
}

/** Why the socket hook leaves a frontend to the packet path. */
export type SocketExclusion = 'annotation' | 'source-ranges' | 'masquerade-all' | 'sctp';

/** One endpoint of a port plan. Shared between the lists: compare by identity. */
export interface PlanEndpoint {
  /** Canonical text form. */
  readonly address: string;
  readonly port: number;
  readonly ready: boolean;
  readonly serving: boolean;
  readonly terminating: boolean;
  /** On this node. */
  readonly onNode: boolean;
  readonly nodeName: string;
  readonly pod: string;
}

/** Why an endpoint is not in a list. */
export type Exclusion =
  | 'not-ready' //             not ready and not terminating
  | 'not-serving' //           terminating and no longer serving
  | 'terminating' //           still serves, but ready endpoints exist
  | 'other-node' //            local list: it runs elsewhere
  | 'other-zone' //            zone hints keep it for another zone
  | 'node-hint' //             node hints keep it for another node
  | 'invalid-address';

export interface ExcludedEndpoint {
  readonly endpoint: PlanEndpoint;
  /** Which list it is missing from. */
  readonly list: 'cluster' | 'local';
  readonly reason: Exclusion;
}

/** One Service port in one family: what kube-proxy calls a ServicePort. Affinity and endpoint lists belong to it. */
export interface PortPlan {
  /** `namespace/name:port-name/protocol/family`, for example `shop/web:http/TCP/IPv4`; unique. */
  readonly key: string;
  readonly portName: string;
  readonly protocol: Protocol;
  readonly family: Family;
  readonly frontends: readonly Frontend[];
  /** Sorted by address as text, then port. Empty with nobody to fall back to, too. */
  readonly cluster: readonly PlanEndpoint[];
  /** Only filled where a frontend's list is local. */
  readonly local: readonly PlanEndpoint[];
  /** Every endpoint that still serves, in a list or not: existing UDP flows to these go on. */
  readonly serving: readonly PlanEndpoint[];
  readonly excluded: readonly ExcludedEndpoint[];
  /** Some endpoint somewhere is usable: decides DROP (true) or REJECT when a list is empty (semantics.md 1.6). */
  readonly hasEndpoints: boolean;
  /** 0: none. */
  readonly affinitySeconds: number;
  /** Canonical CIDRs that may use restricted frontends, sorted; empty where no frontend is restricted. */
  readonly sourceRanges: readonly string[];
}

/** Something about a Service that is not, or not wholly, served; for people. */
export interface PlanIssue {
  readonly code:
    | 'invalid-address'
    | 'invalid-range'
    | 'frontend-clash'
    | 'local-address'
    | 'duplicate-port'
    | 'unsupported-protocol'
    | 'invalid-endpoint'
    | 'invalid-port'
    | 'invalid-name';
  readonly message: string;
}

/** What the node tells a load balancer about a Service with externalTrafficPolicy Local (semantics.md 1.12). */
export interface HealthCheck {
  /** spec.healthCheckNodePort. */
  readonly port: number;
  /** Distinct addresses of ready endpoints on this node, over all ports; no member: no Service in that family. */
  readonly localEndpoints: Readonly<Partial<Record<Family, number>>>;
}

export interface ServicePlan {
  readonly name: ServiceName;
  readonly namespace: string;
  readonly service: string;
  readonly createdAt: number;
  readonly ports: readonly PortPlan[];
  readonly issues: readonly PlanIssue[];
  readonly healthCheck?: HealthCheck;
}
