// Desired and actual, and what differs.
//
//            desired        the plans that are wanted
//              ║  diff      dirty: wanted and acknowledged are not the same object, or nobody knows what is there
//            actual         the plans that the engine has acknowledged
//
// A plan moves from desired to actual only when its write has succeeded.

import type { ServicePlan } from '../compile/plan.js';
import type { ServiceName } from '../model/service.js';

export class Delta {
  readonly #desired = new Map<ServiceName, ServicePlan>();
  readonly #actual = new Map<ServiceName, ServicePlan>();
  /** A write was tried and failed: part of it may be there. */
  readonly #uncertain = new Set<ServiceName>();
  readonly #dirty = new Set<ServiceName>();

  /** @param plan undefined: the Service is to go */
  want(name: ServiceName, plan: ServicePlan | undefined): void {
    if (plan === undefined) this.#desired.delete(name);
    else this.#desired.set(name, plan);
    this.#mark(name);
  }

  desired(name: ServiceName): ServicePlan | undefined {
    return this.#desired.get(name);
  }

  actual(name: ServiceName): ServicePlan | undefined {
    return this.#actual.get(name);
  }

  get dirty(): ReadonlySet<ServiceName> {
    return this.#dirty;
  }

  wantedNames(): ReadonlySet<ServiceName> {
    return new Set(this.#desired.keys());
  }

  /** The engine has acknowledged `plan`. What is wanted may have changed since it was sent. */
  committed(name: ServiceName, plan: ServicePlan | undefined): void {
    this.#uncertain.delete(name);
    if (plan === undefined) this.#actual.delete(name);
    else this.#actual.set(name, plan);
    this.#mark(name);
  }

  failed(name: ServiceName): void {
    this.#uncertain.add(name);
    this.#mark(name);
  }

  #mark(name: ServiceName): void {
    if (this.#uncertain.has(name) || this.#desired.get(name) !== this.#actual.get(name))
      this.#dirty.add(name);
    else this.#dirty.delete(name);
  }
}
