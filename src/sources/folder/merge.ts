// Objects of all files → one object of each identity. Pure.

import type { SourceProblem } from '../source.js';
import type { PlacedObject } from './files.js';
import type {
  EndpointsObject,
  FolderObject,
  NodeObject,
  PodObject,
  ServiceObject,
  SliceObject,
} from './objects.js';

/** An object together with where it is. */
export interface Placed<T extends FolderObject> extends PlacedObject {
  readonly object: T;
}

export interface MergedObjects {
  readonly services: readonly Placed<ServiceObject>[];
  readonly pods: readonly PodObject[];
  readonly slices: readonly SliceObject[];
  readonly endpoints: readonly EndpointsObject[];
  readonly nodes: readonly NodeObject[];
  /** Objects that are there twice. */
  readonly problems: readonly SourceProblem[];
}

/** Of an object that is in several places the first is used: by file name, then by its place in the file. */
export function mergeObjects(files: Iterable<{ readonly objects: readonly PlacedObject[] }>): MergedObjects {
  const first = new Map<string, PlacedObject>();
  const problems: SourceProblem[] = [];
  for (const { objects } of files) {
    for (const placed of objects) {
      const other = first.get(placed.key);
      if (!other) {
        first.set(placed.key, placed);
        continue;
      }
      const message = `${placed.key} is already in ${placeOf(other)}, which is used; this one is not. Remove one`;
      problems.push({ where: placeOf(placed), message, severity: 'warning' });
    }
  }
  const ofKind = <T extends FolderObject>(kind: T['kind']): Placed<T>[] =>
    [...first.values()].filter((placed) => placed.object.kind === kind) as Placed<T>[];
  return {
    services: ofKind<ServiceObject>('Service'),
    pods: ofKind<PodObject>('Pod').map(({ object }) => object),
    slices: ofKind<SliceObject>('EndpointSlice').map(({ object }) => object),
    endpoints: ofKind<EndpointsObject>('Endpoints').map(({ object }) => object),
    nodes: ofKind<NodeObject>('Node').map(({ object }) => object),
    problems,
  };
}

/** @returns `shop/web.yaml:12:1`. */
export function placeOf({ file, at }: PlacedObject): string {
  return `${file}:${at.line}:${at.column}`;
}
