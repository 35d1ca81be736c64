// One kind of objects that is listed and watched, and what is done with what is seen.

import type { Fields } from '../fields.js';

export interface Resource {
  /** Plural name, as in the URL and in RBAC: services. */
  readonly name: string;
  /** /api/v1/services */
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** Old servers may not have it (404): then there are none. */
  readonly optional: boolean;
  readonly handler: ResourceHandler;
}

/** Takes what a reflector sees. Calls are cheap and do no IO; what they throw is reported and stops nothing. */
export interface ResourceHandler {
  /** The object is new or has another version. `key` is `namespace/name`, or the name where there are no namespaces. */
  set(key: string, object: Fields): void;
  remove(key: string): void;
  /** Everything that exists has been told; again after each listing. */
  synced(): void;
}

/** How one resource fares, for health and metrics. Times in milliseconds since the epoch; 0: never. */
export interface ResourceStatus {
  readonly resource: string;
  /** Has everything been seen once? */
  readonly synced: boolean;
  /** Is a watch open now? */
  readonly watching: boolean;
  readonly objects: number;
  /** The server does not have this resource. */
  readonly absent: boolean;
  /** When the server last said anything, bookmarks included. */
  readonly lastHeardAt: number;
  /** What went wrong last; "" since a watch has been healthy again. */
  readonly lastError: string;
  readonly lastErrorAt: number;
  readonly counters: Readonly<ResourceCounters>;
}

export interface ResourceCounters {
  /** Full listings begun, either way. */
  lists: number;
  watches: number;
  /** ADDED, MODIFIED and DELETED events and listed objects. */
  events: number;
  bookmarks: number;
  /** Of the events, those in a version that we had. */
  unchanged: number;
  errors: number;
  /** Errors that said that our resourceVersion is too old. */
  expired: number;
}

export function newCounters(): ResourceCounters {
  return { lists: 0, watches: 0, events: 0, bookmarks: 0, unchanged: 0, errors: 0, expired: 0 };
}
