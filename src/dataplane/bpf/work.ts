// One change on its way into the kernel.

import type { Change } from '../../reconcile/engine.js';
import type { FrontendEntry, MapEntry, ServiceMapEntry } from './entries.js';
import type { ServiceOperations } from './plan.js';
import { endpointKey, frontendKey, type ProgrammedFrontend, type ProgrammedPort } from './state.js';

/** The maps of `adds`, in the order in which they are written. */
export const ADD_ORDER: readonly ServiceMapEntry['map'][] = [
  'services',
  'service_stats',
  'slots',
  'members',
  'backends',
  'source_ranges',
];

export interface Switched {
  readonly entry: FrontendEntry;
  /** What the kernel had for that frontend. */
  readonly before: ProgrammedFrontend | undefined;
}

/** A change, what it takes, and how far it has come. */
export interface Work {
  readonly change: Change;
  /** What the kernel had of the Service before. */
  readonly before: readonly ProgrammedPort[];
  readonly next: readonly ProgrammedPort[];
  /** Emptied when they are done with: a commit of 10,000 Services does not keep them all. */
  adds: readonly ServiceMapEntry[];
  readonly switches: readonly FrontendEntry[];
  readonly removes: ServiceOperations['removes'];
  readonly retire: readonly ServiceMapEntry[];
  readonly switched: Switched[];
  /** The first failure; nothing more is done for it then. */
  error: Error | undefined;
  /** Something of it could not be taken back. */
  doubtful: boolean;
}

export function workOf(
  change: Change,
  before: readonly ProgrammedPort[],
  operations: ServiceOperations,
): Work {
  return { change, before, ...operations, switched: [], error: undefined, doubtful: false };
}

export function failedWork(change: Change, before: readonly ProgrammedPort[], error: Error): Work {
  const nothing = { adds: [], switches: [], removes: [], retire: [], next: before };
  return { change, before, ...nothing, switched: [], error, doubtful: false };
}

/** Nothing to write, and nothing to remove now or later? */
export function isIdle(work: Work): boolean {
  return (
    work.adds.length === 0 &&
    work.switches.length === 0 &&
    work.removes.length === 0 &&
    work.retire.length === 0
  );
}

/** Was it known what the kernel had? */
export function wasSure(work: Work): boolean {
  return work.before.every((port) => port.sure);
}

/** What the kernel has of a Service once its work is over. */
export function stateAfter(work: Work): readonly ProgrammedPort[] {
  if (work.doubtful) return doubtful(work.before, work.next);
  return work.error ? work.before : work.next;
}

/** Everything that either state names, to be written anew: see ProgrammedPort.sure. */
function doubtful(before: readonly ProgrammedPort[], next: readonly ProgrammedPort[]): ProgrammedPort[] {
  const ids = new Set([...before, ...next].map((port) => port.id));
  return [...ids].map((id) => {
    const a = before.find((port) => port.id === id);
    const b = next.find((port) => port.id === id);
    const known = (b ?? a)!;
    return {
      id,
      key: known.key,
      frontends: union(a?.frontends, b?.frontends, frontendKey),
      sets: union(a?.sets, b?.sets, (set) => String(set.id)),
      serving: union(a?.serving, b?.serving, endpointKey),
      ranges: union(a?.ranges, b?.ranges, (range) => range),
      sure: false,
    };
  });
}

function union<T>(a: readonly T[] = [], b: readonly T[] = [], key: (item: T) => string): T[] {
  const items = new Map<string, T>();
  for (const item of a) items.set(key(item), item);
  for (const item of b) items.set(key(item), item);
  return [...items.values()];
}

/** Entries with the index of the work that each belongs to, by map. */
export class Batches {
  readonly #byMap = new Map<MapEntry['map'], { entries: MapEntry[]; owners: number[] }>();

  add(entry: MapEntry, owner: number): void {
    let batch = this.#byMap.get(entry.map);
    if (!batch) {
      batch = { entries: [], owners: [] };
      this.#byMap.set(entry.map, batch);
    }
    batch.entries.push(entry);
    batch.owners.push(owner);
  }

  get(map: MapEntry['map']): { readonly entries: readonly MapEntry[]; readonly owners: readonly number[] } {
    return this.#byMap.get(map) ?? { entries: [], owners: [] };
  }
}
