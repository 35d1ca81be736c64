// The contract between reconcile and the dataplanes.

import type { ServicePlan } from '../compile/plan.js';
import type { ServiceName } from '../model/service.js';

/** The wanted state of one Service; no plan: it is to go. */
export interface Change {
  readonly name: ServiceName;
  readonly plan: ServicePlan | undefined;
}

/** What became of a change. `error` is for people and names the Service. */
export interface Outcome {
  readonly name: ServiceName;
  readonly error?: Error;
}

/**
 * A dataplane. It keeps the actual state itself, as last acknowledged by the kernel.
 *
 * - `commit` is idempotent; removing what is not there is success.
 * - It does all it can: one Service's failure is that Service's outcome and stops no other.
 * - After an error the Service is as it was, or partly as wanted, but never wrong: every prefix of the writes is safe
 *   for packets, and committing the same change again completes it.
 * - A frontend may move from one Service to another: its new owner's change can come before the old owner's, in the same
 *   commit or an earlier one. The new owner takes it over by its write; the old one then leaves it alone.
 * - `prune` removes what is in the kernel and not in `keep`; called once, after the first commit of everything.
 */
export interface Engine {
  readonly name: string;
  /** Reads what the kernel has and takes it over; writes nothing. */
  adopt(): Promise<void>;
  /** One outcome per change, in the same order. Calls do not overlap. */
  commit(changes: readonly Change[]): Promise<readonly Outcome[]>;
  prune(keep: ReadonlySet<ServiceName>): Promise<readonly Outcome[]>;
}
