// The agent's heart: takes what sources and interfaces tell, and brings the engine to it. All telling is cheap; the work
// is done in rounds that take together what has come until then. Nothing is written before everything is known.

import type { CompileContext } from '../compile/context.js';
import { compileContext, sameContext } from '../compile/context-from.js';
import type { ServicePlan } from '../compile/plan.js';
import { Planner } from '../compile/planner.js';
import type { EndpointSlice } from '../model/endpoint.js';
import type { InterfaceAddress, Node } from '../model/node.js';
import type { Service, ServiceName } from '../model/service.js';
import { ModelStore } from '../model/store.js';
import type { Engine } from '../reconcile/engine.js';
import { Reconciler, type RoundResult } from '../reconcile/reconciler.js';
import type { SourceProblem, SourceSink } from '../sources/source.js';
import type { Configuration } from './config.js';
import type { Logger } from './log.js';

export interface ControllerOptions {
  readonly engine: Engine;
  readonly config: Configuration;
  readonly log: Logger;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  /** The node's object or the service ranges changed: settings that the programs hold may have to follow. */
  readonly onNodeFacts: (node: Node | undefined, serviceRanges: readonly string[]) => Promise<void>;
  /** After every round that wrote something. */
  readonly onRound?: (result: RoundResult) => void;
}

/** What must have been told before the first round. */
type Prerequisite = 'source' | 'interfaces';

export class Controller implements SourceSink {
  readonly #options: ControllerOptions;
  readonly #store = new ModelStore();
  readonly #planner = new Planner();
  readonly #reconciler: Reconciler;
  readonly #missing = new Set<Prerequisite>(['source', 'interfaces']);
  readonly #issues = new Map<ServiceName, string>();
  readonly #failing = new Map<ServiceName, string>();
  #interfaces: readonly InterfaceAddress[] = [];
  #context: CompileContext | undefined;
  #factsChanged = true;
  #scheduled = false;
  #running: Promise<void> = Promise.resolve();
  #retry: NodeJS.Timeout | undefined;
  #stopped = false;
  #firstRound: ((result: RoundResult) => void) | undefined;

  /** The first round's result: from then on the kernel has everything. */
  readonly serving: Promise<RoundResult>;

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#reconciler = new Reconciler(options.engine, { now: options.now, random: Math.random });
    this.serving = new Promise((resolve) => {
      this.#firstRound = resolve;
    });
  }

  service(name: ServiceName, service: Service | undefined): void {
    this.#store.updateService(name, service);
    this.#schedule();
  }

  slice(id: string, slice: EndpointSlice | undefined): void {
    this.#store.updateSlice(id, slice);
    this.#schedule();
  }

  node(node: Node | undefined): void {
    if (!this.#store.updateNode(node)) return;
    if (node === undefined)
      this.#options.log.warn(
        { node: this.#options.config.nodeName },
        'there is no Node object of this name: no zone, no node addresses from it (--node-name says which it is)',
      );
    this.#factsChanged = true;
    this.#schedule();
  }

  serviceRanges(cidrs: readonly string[]): void {
    if (!this.#store.updateServiceRanges(cidrs)) return;
    this.#factsChanged = true;
    this.#schedule();
  }

  synced(): void {
    this.#met('source');
  }

  problem(problem: SourceProblem): void {
    const level = problem.severity === 'info' ? 'info' : 'warn';
    this.#options.log[level]({ where: problem.where }, problem.message);
  }

  /** This machine's addresses, all of them, whenever they change. */
  interfaces(addresses: readonly InterfaceAddress[]): void {
    this.#interfaces = addresses;
    this.#factsChanged = true;
    this.#met('interfaces');
    this.#schedule();
  }

  /** Ends after the round under way; what the kernel has goes on serving. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    await this.#running;
  }

  #met(prerequisite: Prerequisite): void {
    if (this.#missing.delete(prerequisite)) this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#stopped || this.#missing.size > 0) return;
    this.#scheduled = true;
    // After the events that are already here, not after a time: one slice is in the kernel within a millisecond.
    setImmediate(() => {
      this.#running = this.#running.then(() => this.#round());
    });
  }

  async #round(): Promise<void> {
    this.#scheduled = false;
    if (this.#stopped) return;
    try {
      // Programs load in another thread, beside what this one does meanwhile.
      const facts = this.#updateFacts();
      facts.catch(() => undefined);
      this.#compile();
      const result = await this.#reconciler.apply();
      await facts;
      this.#report(result);
      this.#planRetry(result.nextRetryAt);
      this.#firstRound?.(result);
      this.#firstRound = undefined;
      this.#options.onRound?.(result);
    } catch (error) {
      // A programming error must not end the agent: what the kernel has is right, and the next event tries again.
      this.#options.log.error({ err: error }, 'a round failed; it is tried again in a second');
      this.#planRetry(this.#options.now() + 1000);
    }
  }

  async #updateFacts(): Promise<void> {
    if (!this.#factsChanged) return;
    this.#factsChanged = false;
    const { config } = this.#options;
    const context = compileContext({ node: this.#store.node, interfaces: this.#interfaces, config });
    if (this.#context === undefined || !sameContext(this.#context, context)) this.#context = context;
    try {
      await this.#options.onNodeFacts(this.#store.node, this.#store.serviceRanges);
    } catch (error) {
      this.#factsChanged = true;
      throw error;
    }
  }

  #compile(): void {
    if (this.#context === undefined) return;
    for (const [name, plan] of this.#planner.plan(this.#store, this.#context)) {
      if (plan === undefined) this.#reconciler.remove(name);
      else this.#reconciler.update(plan);
      this.#reportIssues(name, plan);
    }
  }

  /** A Service's issues are logged when they change, not at each of its updates. */
  #reportIssues(name: ServiceName, plan: ServicePlan | undefined): void {
    const issues = plan?.issues ?? [];
    const text = issues.map((issue) => issue.message).join('\n');
    if (text === (this.#issues.get(name) ?? '')) return;
    if (text === '') this.#issues.delete(name);
    else this.#issues.set(name, text);
    for (const issue of issues) this.#options.log.warn({ service: name, issue: issue.code }, issue.message);
  }

  #report(result: RoundResult): void {
    const { log } = this.#options;
    for (const { name, error, retryAt } of result.failed) {
      if (this.#failing.get(name) === error.message) continue;
      this.#failing.set(name, error.message);
      const retryInMs = Math.max(0, Math.round(retryAt - this.#options.now()));
      log.error({ service: name, retryInMs }, error.message);
    }
    for (const name of result.committed)
      if (this.#failing.delete(name)) log.info({ service: name }, 'is programmed, after failures');
    if (result.pruneFailure !== undefined)
      log.error(`removing what an earlier run left behind failed: ${result.pruneFailure.error.message}`);
    if (result.pruned.length > 0)
      log.info({ services: result.pruned }, 'removed Services that exist no more');
    if (result.committed.length > 0) log.debug({ services: result.committed.length }, 'programmed');
  }

  #planRetry(at: number | undefined): void {
    clearTimeout(this.#retry);
    if (at === undefined || this.#stopped) return;
    this.#retry = setTimeout(() => this.#schedule(), Math.max(1, at - this.#options.now()));
  }
}
