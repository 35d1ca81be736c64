// What the kernel has for a Service, as far as planning the next writes needs to know it.

import type { FrontendKind, PlanEndpoint } from '../../compile/plan.js';
import type { Protocol } from '../../model/service.js';

/** An endpoint as the kernel has it. A PlanEndpoint is one: lists are shared with the plan that they came from. */
export type EndpointState = Pick<
  PlanEndpoint,
  'address' | 'port' | 'onNode' | 'ready' | 'serving' | 'terminating'
>;

/** An entry of `frontends`. Immutable: a changed frontend is a new object. */
export interface ProgrammedFrontend {
  /** Id of the Service port. */
  readonly service: number;
  /** Canonical text form. */
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly kind: FrontendKind;
  /** enum pl_frontend_flags. */
  readonly flags: number;
  readonly affinitySeconds: number;
  /** 0: empty. */
  readonly clusterSet: number;
  readonly clusterCount: number;
  readonly localSet: number;
  readonly localCount: number;
}

/** An endpoint set, wholly in the kernel: slots 0 .. endpoints.length - 1. */
export interface ProgrammedSet {
  readonly id: number;
  readonly endpoints: readonly EndpointState[];
  /** Are its endpoints in `members`, too? */
  readonly members: boolean;
}

/** Everything in the kernel that belongs to one Service port. */
export interface ProgrammedPort {
  /** Id in `services`. */
  readonly id: number;
  /** PortPlan.key. */
  readonly key: string;
  readonly frontends: readonly ProgrammedFrontend[];
  readonly sets: readonly ProgrammedSet[];
  /** Its entries in `backends`. */
  readonly serving: readonly EndpointState[];
  /** Its entries in `source_ranges`, canonical CIDRs. */
  readonly ranges: readonly string[];
  /**
   * False after a failure that could not be undone: each entry named here may or may not be there. The next plan writes
   * everything and removes whatever is not wanted.
   */
  readonly sure: boolean;
}

/** What names a frontend, within the whole node. */
export interface FrontendName {
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
}

/** Identity of a frontend as a string, for maps and sets: `TCP|10.96.0.1|80`. */
export function frontendKey(frontend: FrontendName): string {
  // One string, where a template would stay with its parts: see serviceName.
  return [frontend.protocol, frontend.address, frontend.port].join('|');
}

/** Identity of an endpoint within a Service port: `10.244.0.7|8080`. */
export function endpointKey(endpoint: { readonly address: string; readonly port: number }): string {
  return `${endpoint.address}|${endpoint.port}`;
}

export function sameFrontend(a: ProgrammedFrontend, b: ProgrammedFrontend): boolean {
  return (
    a.service === b.service &&
    a.kind === b.kind &&
    a.flags === b.flags &&
    a.affinitySeconds === b.affinitySeconds &&
    a.clusterSet === b.clusterSet &&
    a.clusterCount === b.clusterCount &&
    a.localSet === b.localSet &&
    a.localCount === b.localCount
  );
}

export function sameEndpoint(a: EndpointState, b: EndpointState): boolean {
  if (a === b) return true;
  return (
    a.port === b.port &&
    a.address === b.address &&
    a.onNode === b.onNode &&
    a.ready === b.ready &&
    a.serving === b.serving &&
    a.terminating === b.terminating
  );
}

/** The same endpoints with the same flags in the same order? */
export function sameEndpoints(a: readonly EndpointState[], b: readonly EndpointState[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (!sameEndpoint(a[i]!, b[i]!)) return false;
  return true;
}
