// Reads a source once, until it has told everything, and compiles it: for commands that print and end.

import { type ContextConfig, compileContext } from '../compile/context-from.js';
import type { ServicePlan } from '../compile/plan.js';
import { Planner } from '../compile/planner.js';
import type { InterfaceAddress, Node } from '../model/node.js';
import { ModelStore } from '../model/store.js';
import type { Source, SourceProblem, SourceSink } from '../sources/source.js';
import { Refusal } from './refusal.js';

export interface Compiled {
  readonly plans: readonly ServicePlan[];
  readonly problems: readonly SourceProblem[];
  readonly node: Node | undefined;
}

/** A source that has not told everything by then will not be waited for. */
const PATIENCE_MS = 30_000;

/**
 * @param interfaces this machine's addresses; undefined: the Node object's stand in for them
 * @throws what the source's `run` rejects with; Refusal where it does not come to an end
 */
export async function compileOnce(
  source: Source,
  config: ContextConfig,
  interfaces: readonly InterfaceAddress[] | undefined,
): Promise<Compiled> {
  const store = new ModelStore();
  const problems: SourceProblem[] = [];
  const controller = new AbortController();
  let complete = false;
  const sink: SourceSink = {
    service: (name, service) => store.updateService(name, service),
    slice: (id, slice) => store.updateSlice(id, slice),
    node: (node) => void store.updateNode(node),
    serviceRanges: (cidrs) => void store.updateServiceRanges(cidrs),
    synced: () => {
      complete = true;
      controller.abort();
    },
    problem: (problem) => void problems.push(problem),
  };
  const patience = setTimeout(() => controller.abort(), PATIENCE_MS);
  await source.run(sink, controller.signal).finally(() => clearTimeout(patience));
  if (!complete) {
    const last = problems.at(-1);
    const why = last === undefined ? '' : `: ${last.where}: ${last.message}`;
    throw new Refusal(`${source.description} has not told everything within ${PATIENCE_MS / 1000} s${why}`);
  }
  const planner = new Planner();
  planner.plan(store, compileContext({ node: store.node, interfaces, config }));
  return { plans: [...planner.plans()], problems, node: store.node };
}
