// The objects of the test API server, with one resourceVersion for all, a history that can be compacted, and watchers.

import { randomUUID } from 'node:crypto';
import type { Kind } from './kinds.js';
import { expired, notFound, StatusError, status } from './status.js';

export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: {
    name?: string;
    namespace?: string;
    resourceVersion?: string;
    creationTimestamp?: string;
    uid?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    [field: string]: unknown;
  };
  // biome-ignore lint/suspicious/noExplicitAny: specs are whatever tests put there
  spec?: any;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  [field: string]: any;
}

/** One change. `previous` is what the object was before: a watch with selectors needs both. */
export interface Change {
  readonly version: number;
  readonly kind: Kind;
  readonly key: string;
  readonly object: KubeObject | undefined;
  readonly previous: KubeObject | undefined;
}

export interface Snapshot {
  readonly version: number;
  /** Sorted by key. */
  readonly objects: readonly KubeObject[];
}

const FIRST_VERSION = 1000;

export class Storage {
  readonly #objects = new Map<Kind, Map<string, KubeObject>>();
  readonly #watchers = new Set<(change: Change) => void>();
  readonly #snapshots = new Map<string, Snapshot>();
  #history: Change[] = [];
  #version = FIRST_VERSION;
  /** The oldest version that a watch may begin at. */
  #compacted = 0;

  get version(): number {
    return this.#version;
  }

  key(kind: Kind, namespace: string, name: string): string {
    return kind.namespaced ? `${namespace}/${name}` : name;
  }

  get(kind: Kind, namespace: string, name: string): KubeObject | undefined {
    return this.#objects.get(kind)?.get(this.key(kind, namespace, name));
  }

  /** @param continueToken of an earlier snapshot; "" takes a new one. @throws StatusError 410 when it has expired. */
  snapshot(kind: Kind, continueToken = ''): Snapshot {
    if (continueToken === '') {
      const entries = [...(this.#objects.get(kind) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
      return { version: this.#version, objects: entries.map(([, object]) => object) };
    }
    const kept = this.#snapshots.get(continueToken);
    if (!kept)
      throw expired('The provided continue parameter is too old to display a consistent list result.');
    return kept;
  }

  /** Keeps a snapshot for the next page. @returns the token for it. */
  keep(snapshot: Snapshot): string {
    const token = Buffer.from(`${snapshot.version}:${randomUUID()}`).toString('base64url');
    this.#snapshots.set(token, snapshot);
    return token;
  }

  /** Creates or replaces. @param expect resourceVersion that a replaced object must have. @throws StatusError 409. */
  put(kind: Kind, object: KubeObject, expect?: string): KubeObject {
    const { name = '', namespace = '' } = object.metadata;
    const key = this.key(kind, namespace, name);
    const previous = this.#objects.get(kind)?.get(key);
    if (expect !== undefined && previous && previous.metadata.resourceVersion !== expect) {
      throw new StatusError(
        status(
          409,
          `Operation cannot be fulfilled on ${kind.plural} "${name}": the object has been modified`,
        ),
      );
    }
    const stored: KubeObject = {
      ...object,
      apiVersion: kind.apiVersion,
      kind: kind.kind,
      metadata: {
        ...object.metadata,
        uid: previous?.metadata.uid ?? randomUUID(),
        creationTimestamp:
          previous?.metadata.creationTimestamp ??
          object.metadata.creationTimestamp ??
          new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
        resourceVersion: String(++this.#version),
      },
    };
    if (!this.#objects.has(kind)) this.#objects.set(kind, new Map());
    this.#objects.get(kind)!.set(key, stored);
    this.#record({ version: this.#version, kind, key, object: stored, previous });
    return stored;
  }

  /** @throws StatusError 404. */
  delete(kind: Kind, namespace: string, name: string): KubeObject {
    const key = this.key(kind, namespace, name);
    const previous = this.#objects.get(kind)?.get(key);
    if (!previous) throw notFound(kind.plural, name);
    this.#objects.get(kind)!.delete(key);
    // A DELETED event carries the object as it last was, with the version of the deletion.
    const last = {
      ...previous,
      metadata: { ...previous.metadata, resourceVersion: String(++this.#version) },
    };
    this.#record({ version: this.#version, kind, key, object: undefined, previous: last });
    return last;
  }

  /** Changes after a version, oldest first. @throws StatusError 410 when the history does not reach back so far. */
  since(version: number): readonly Change[] {
    if (version < this.#compacted) {
      throw expired(`too old resource version: ${version} (${this.#compacted})`);
    }
    return this.#history.filter((change) => change.version > version);
  }

  /** @returns a function that ends it. */
  watch(onChange: (change: Change) => void): () => void {
    this.#watchers.add(onChange);
    return () => this.#watchers.delete(onChange);
  }

  /** Forgets the history and all continue tokens. */
  compact(): void {
    this.#history = [];
    this.#snapshots.clear();
    this.#compacted = this.#version;
  }

  /** As after a restore from a backup on a new etcd: same objects, versions counted from the beginning. */
  newEpoch(): void {
    this.#version = 1;
    this.#compacted = 0;
    this.#history = [];
    this.#snapshots.clear();
    for (const objects of this.#objects.values()) {
      for (const [key, object] of objects) {
        const metadata = { ...object.metadata, resourceVersion: String(++this.#version) };
        objects.set(key, { ...object, metadata });
      }
    }
  }

  #record(change: Change): void {
    this.#history.push(change);
    for (const watcher of this.#watchers) watcher(change);
  }
}
