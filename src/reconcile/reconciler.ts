// Brings an engine to what is wanted. `update` and `remove` are cheap and do no IO; `apply` does all of it.

import type { ServicePlan } from '../compile/plan.js';
import type { ServiceName } from '../model/service.js';
import { Delta } from './delta.js';
import type { Change, Engine, Outcome } from './engine.js';
import { Retries } from './retry.js';

export interface ReconcilerOptions {
  /** Milliseconds of a clock that does not go back. */
  readonly now: () => number;
  /** In [0, 1): spreads retries. */
  readonly random: () => number;
  /** Services in one call of Engine.commit. Default 512. */
  readonly batchSize?: number;
}

export interface Failure {
  readonly name: ServiceName;
  readonly error: Error;
  /** How often in a row, this time included. */
  readonly failures: number;
  /** When it is tried again, by the injected clock. */
  readonly retryAt: number;
}

export interface RoundResult {
  /** Services that the engine has acknowledged in this round. */
  readonly committed: readonly ServiceName[];
  readonly failed: readonly Failure[];
  /** What prune removed, when this round pruned. */
  readonly pruned: readonly ServiceName[];
  /** What went wrong with prune; it is tried again. */
  readonly pruneFailure: Failure | undefined;
  /** Services that differ from what is wanted after this round. */
  readonly dirty: number;
  /** When `apply` is to be called again though nothing has changed, by the injected clock; undefined: it need not be. */
  readonly nextRetryAt: number | undefined;
}

/** Stands for prune among the retries; no Service's name has no slash. */
const PRUNE = 'prune';
const DEFAULT_BATCH = 512;

export class Reconciler {
  readonly #engine: Engine;
  readonly #options: ReconcilerOptions;
  readonly #delta = new Delta();
  readonly #retries: Retries;
  #pruned = false;
  #round: Promise<unknown> = Promise.resolve();

  constructor(engine: Engine, options: ReconcilerOptions) {
    this.#engine = engine;
    this.#options = options;
    this.#retries = new Retries(options.random);
  }

  update(plan: ServicePlan): void {
    this.#want(plan.name, plan);
  }

  remove(name: ServiceName): void {
    this.#want(name, undefined);
  }

  /** What the engine has acknowledged for this Service. */
  actual(name: ServiceName): ServicePlan | undefined {
    return this.#delta.actual(name);
  }

  /** Services that differ from what is wanted. */
  get dirtyCount(): number {
    return this.#delta.dirty.size;
  }

  /**
   * Writes what differs and is due. Never rejects: what failed is in the result and stays to be done. Rounds do not
   * overlap; a call during a round starts the next one after it.
   *
   * The first round comes when everything that exists has been told: it ends with the prune.
   */
  apply(): Promise<RoundResult> {
    const round = this.#round.then(() => this.#apply());
    this.#round = round;
    return round;
  }

  #want(name: ServiceName, plan: ServicePlan | undefined): void {
    this.#delta.want(name, plan);
    if (this.#delta.dirty.has(name)) this.#retries.hurry(name);
    else this.#retries.forget(name);
  }

  async #apply(): Promise<RoundResult> {
    const committed: ServiceName[] = [];
    const failed: Failure[] = [];
    for (const batch of this.#batches()) {
      for (const [change, outcome] of await this.#commit(batch)) {
        if (outcome.error === undefined) committed.push(this.#succeed(change));
        else failed.push(this.#fail(change.name, outcome.error));
      }
    }
    const prune = await this.#prune();
    return {
      committed,
      failed,
      pruned: prune.pruned,
      pruneFailure: prune.failure,
      dirty: this.#delta.dirty.size,
      nextRetryAt: this.#retries.nextDueAt(),
    };
  }

  /** Services to serve before Services to remove: nothing that moves from one to another is without an owner meanwhile. */
  #batches(): Change[][] {
    const now = this.#options.now();
    const due = [...this.#delta.dirty].filter((name) => this.#retries.isDue(name, now));
    const changes = due.map((name): Change => ({ name, plan: this.#delta.desired(name) }));
    const ordered = [
      ...changes.filter(({ plan }) => plan !== undefined),
      ...changes.filter(({ plan }) => plan === undefined),
    ];
    const size = this.#options.batchSize ?? DEFAULT_BATCH;
    const batches: Change[][] = [];
    for (let i = 0; i < ordered.length; i += size) batches.push(ordered.slice(i, i + size));
    return batches;
  }

  /** An engine that rejects, against its contract, is asked Service by Service: only the one that it chokes on fails. */
  async #commit(batch: readonly Change[]): Promise<(readonly [Change, Outcome])[]> {
    try {
      return pair(batch, await this.#engine.commit(batch));
    } catch (error) {
      if (batch.length === 1) return [[batch[0]!, { name: batch[0]!.name, error: asError(error) }]];
      const results: (readonly [Change, Outcome])[] = [];
      for (const change of batch) results.push(...(await this.#commit([change])));
      return results;
    }
  }

  #succeed({ name, plan }: Change): ServiceName {
    this.#delta.committed(name, plan);
    this.#retries.forget(name);
    // A Service that is gone makes room in maps that were full.
    if (plan === undefined) this.#retries.startOver();
    return name;
  }

  #fail(name: ServiceName, error: Error): Failure {
    this.#delta.failed(name);
    const retryAt = this.#retries.failed(name, this.#options.now());
    return { name, error, failures: this.#retries.failures(name), retryAt };
  }

  /**
   * Once, after the first round. Services whose write failed in that round are wanted and so are kept; a leftover must not
   * stay because of them: it may be what fills the map that they do not fit into.
   */
  async #prune(): Promise<{ pruned: readonly ServiceName[]; failure: Failure | undefined }> {
    if (this.#pruned || !this.#retries.isDue(PRUNE, this.#options.now()))
      return { pruned: [], failure: undefined };
    let outcomes: readonly Outcome[];
    try {
      outcomes = await this.#engine.prune(this.#delta.wantedNames());
    } catch (error) {
      outcomes = [{ name: PRUNE, error: asError(error) }];
    }
    const pruned = outcomes.filter(({ error }) => error === undefined).map(({ name }) => name);
    const error = outcomes.find((outcome) => outcome.error !== undefined)?.error;
    if (error !== undefined) return { pruned, failure: this.#pruneFailed(error) };
    this.#pruned = true;
    this.#retries.forget(PRUNE);
    return { pruned, failure: undefined };
  }

  #pruneFailed(error: Error): Failure {
    const retryAt = this.#retries.failed(PRUNE, this.#options.now());
    return { name: PRUNE, error, failures: this.#retries.failures(PRUNE), retryAt };
  }
}

function pair(batch: readonly Change[], outcomes: readonly Outcome[]): (readonly [Change, Outcome])[] {
  return batch.map((change, i) => {
    const outcome = outcomes[i];
    if (outcome?.name === change.name) return [change, outcome] as const;
    return [
      change,
      { name: change.name, error: new Error(`${change.name}: the engine gave no outcome`) },
    ] as const;
  });
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
