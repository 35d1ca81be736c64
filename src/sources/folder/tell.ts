// Tells a sink what has changed between two views, and each problem once as long as it lasts.

import { isDeepStrictEqual } from 'node:util';
import type { SourceProblem, SourceSink } from '../source.js';
import type { ClusterView } from './cluster.js';

/** What a sink has been told. */
export type Told = Pick<ClusterView, 'services' | 'slices' | 'node'>;

/**
 * Tells what differs. New endpoints come before the Services that may want them, and Services go before their endpoints,
 * so that a sink that acts at once never sees a Service without its endpoints.
 *
 * @param before undefined: nothing has been told yet.
 */
export function tellChanges(sink: SourceSink, before: Told | undefined, now: Told): void {
  const none: Told = { services: new Map(), slices: new Map(), node: undefined };
  const { services, slices, node } = before ?? none;
  if (!before || !isDeepStrictEqual(node, now.node)) sink.node(now.node);
  for (const [id, slice] of now.slices) if (differs(slices.get(id), slice)) sink.slice(id, slice);
  for (const [name, service] of now.services)
    if (differs(services.get(name), service)) sink.service(name, service);
  for (const name of services.keys()) if (!now.services.has(name)) sink.service(name, undefined);
  for (const id of slices.keys()) if (!now.slices.has(id)) sink.slice(id, undefined);
}

function differs(a: object | undefined, b: object): boolean {
  return a !== b && !isDeepStrictEqual(a, b);
}

/** @returns the problems there are now, of which the sink has been told those that are new. */
export function tellProblems(
  sink: SourceSink,
  before: ReadonlySet<string>,
  problems: readonly SourceProblem[],
): ReadonlySet<string> {
  const now = new Set<string>();
  for (const problem of problems) {
    const id = `${problem.where}\n${problem.message}`;
    if (!before.has(id) && !now.has(id)) sink.problem(problem);
    now.add(id);
  }
  return now;
}
