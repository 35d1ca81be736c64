// An engine without a kernel, for dry runs and tests. It keeps entries as a kernel would, one write after the other, logs
// every call, and fails where it is told to: for a Service, or after any write.

import { frontendKey } from '../../compile/claims.js';
import type { Frontend, PortPlan, ServicePlan } from '../../compile/plan.js';
import type { ServiceName } from '../../model/service.js';
import type { Change, Engine, Outcome } from '../../reconcile/engine.js';

/** A frontend in memory, with the Service and the port that it leads to. */
export interface MemoryFrontend {
  readonly service: ServiceName;
  readonly port: string;
  readonly frontend: Frontend;
}

export class MemoryEngine implements Engine {
  readonly name = 'memory';
  /** Every call and every write: `commit shop/web,shop/db`, `put frontend TCP|10.96.0.1|80`. */
  readonly log: string[] = [];
  /** By PortPlan.key. */
  readonly ports = new Map<string, PortPlan>();
  /** By frontendKey. */
  readonly frontends = new Map<string, MemoryFrontend>();
  readonly #owners = new Map<string, ServiceName>();
  readonly #failures = new Map<ServiceName, { left: number; error: Error }>();
  #writesLeft = Number.POSITIVE_INFINITY;
  #writes = 0;

  /** Writes done so far. */
  get writes(): number {
    return this.#writes;
  }

  /** Lets the next `times` commits of a Service fail before their first write. */
  failService(
    name: ServiceName,
    times = Number.POSITIVE_INFINITY,
    error = new Error(`${name}: no space left`),
  ): void {
    this.#failures.set(name, { left: times, error });
  }

  /** Lets `writes` more writes through; the one after that fails, and then all is well again. */
  failAfter(writes: number): void {
    this.#writesLeft = writes;
  }

  heal(): void {
    this.#failures.clear();
    this.#writesLeft = Number.POSITIVE_INFINITY;
  }

  async adopt(): Promise<void> {
    this.log.push('adopt');
  }

  async commit(changes: readonly Change[]): Promise<readonly Outcome[]> {
    this.log.push(`commit ${changes.map(({ name }) => name).join(',')}`);
    return changes.map(({ name, plan }) => attempt(name, () => this.#commit(name, plan)));
  }

  async prune(keep: ReadonlySet<ServiceName>): Promise<readonly Outcome[]> {
    this.log.push('prune');
    const leftovers = new Set(this.#owners.values());
    for (const name of keep) leftovers.delete(name);
    return [...leftovers].map((name) => attempt(name, () => this.#commit(name, undefined)));
  }

  /** Lists first, then what leads to them; frontends go before their lists do. Any prefix leads packets somewhere. */
  #commit(name: ServiceName, plan: ServicePlan | undefined): void {
    this.#failIfTold(name);
    const wanted = new Set<string>();
    for (const port of plan?.ports ?? []) {
      this.#write(`put port ${port.key}`, () => {
        this.ports.set(port.key, port);
        this.#owners.set(port.key, name);
      });
    }
    for (const port of plan?.ports ?? []) {
      for (const frontend of port.frontends) {
        const key = frontendKey(frontend);
        wanted.add(key);
        this.#write(`put frontend ${key}`, () => {
          this.frontends.set(key, { service: name, port: port.key, frontend });
        });
      }
    }
    this.#removeOthers(name, wanted, new Set(plan?.ports.map(({ key }) => key)));
  }

  #removeOthers(name: ServiceName, frontends: ReadonlySet<string>, ports: ReadonlySet<string>): void {
    for (const [key, { service }] of this.frontends) {
      if (service !== name || frontends.has(key)) continue;
      this.#write(`delete frontend ${key}`, () => this.frontends.delete(key));
    }
    for (const [key, owner] of this.#owners) {
      if (owner !== name || ports.has(key)) continue;
      this.#write(`delete port ${key}`, () => {
        this.ports.delete(key);
        this.#owners.delete(key);
      });
    }
  }

  #write(what: string, write: () => void): void {
    if (this.#writesLeft <= 0) {
      this.#writesLeft = Number.POSITIVE_INFINITY;
      throw new Error(`${what}: failed as told`);
    }
    this.#writesLeft--;
    this.#writes++;
    this.log.push(what);
    write();
  }

  #failIfTold(name: ServiceName): void {
    const failure = this.#failures.get(name);
    if (failure === undefined || failure.left <= 0) return;
    failure.left--;
    throw failure.error;
  }
}

function attempt(name: ServiceName, write: () => void): Outcome {
  try {
    write();
    return { name };
  } catch (error) {
    return { name, error: error as Error };
  }
}
