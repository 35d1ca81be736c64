// From what sources told to what engines are to do: compiles what changed, and settles the claims.

import type { ServiceName } from '../model/service.js';
import type { ModelStore } from '../model/store.js';
import { Claims, type PlanChanges } from './claims.js';
import { compile } from './compile.js';
import type { CompileContext } from './context.js';
import type { ServicePlan } from './plan.js';

export class Planner {
  readonly #claims = new Claims();
  #context: CompileContext | undefined;

  /** The effective plan of a Service, as of the last call of `plan`. */
  get(name: ServiceName): ServicePlan | undefined {
    return this.#claims.plan(name);
  }

  /** All effective plans, Services that have nothing to serve included. */
  plans(): Iterable<ServicePlan> {
    return this.#claims.plans();
  }

  /**
   * Compiles the Services that the store names as touched, or all when `context` is another object than last time.
   *
   * @returns every effective plan that is new or changed; undefined: the Service is gone
   */
  plan(store: ModelStore, context: CompileContext): PlanChanges {
    if (context !== this.#context) store.touchAll();
    this.#context = context;
    const changes = new Map<ServiceName, ServicePlan | undefined>();
    for (const name of store.take()) {
      const service = store.service(name);
      const plan = service && compile(service, store.slices(name), context);
      for (const [changed, effective] of this.#claims.update(name, plan)) changes.set(changed, effective);
    }
    return changes;
  }
}
