// What can go wrong at an API server, on demand.

import type { Socket } from 'node:net';

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

/** What happens to a request instead of, or before, its answer. */
export type RequestFault =
  | {
      readonly kind: 'status';
      readonly code: number;
      readonly message?: string;
      readonly retryAfter?: number | string;
    }
  /** The request gets no answer at all. */
  | { readonly kind: 'hang' }
  /** The answer comes after so many milliseconds. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** The connection is reset instead of an answer. */
  | { readonly kind: 'reset' };

/** What happens to a watch that is open, or after so many lines of one to come. */
export type StreamFault =
  | 'reset'
  /** Half a line, then a reset. */
  | 'half-line'
  /** Half a line, then a clean end. */
  | 'half-line-end'
  /** A line that is not JSON; the stream goes on. */
  | 'garbage'
  /** An ERROR event 410. */
  | 'expired'
  /** An ERROR event 500. */
  | 'error'
  | 'end';

export interface Rule {
  readonly verb?: Verb;
  /** Plural. */
  readonly resource?: string;
  /** Only pages after the first of a list. */
  readonly continued?: boolean;
  /** How often it strikes; absent: always. */
  readonly times?: number;
  readonly fault:
    | RequestFault
    | { readonly kind: 'stream'; readonly fault: StreamFault; readonly afterLines: number };
}

/** A watch that is open, as faults see it. */
export interface OpenWatch {
  readonly resource: string;
  break(fault: StreamFault): void;
}

export class Faults {
  #rules: { rule: Rule; left: number }[] = [];
  readonly watches = new Set<OpenWatch>();
  /** Are bookmarks sent? (The one at the end of initial events is.) */
  bookmarks = true;
  /** How requests for initial events are met: like 1.34, like 1.33 with its gate off, or like a server that never heard of it. */
  watchList: 'on' | 'invalid' | 'ignored' = 'on';
  /** New connections are accepted and never served. */
  hangConnections = false;
  /** Connections that hang because of it. */
  readonly hanging = new Set<Socket>();

  add(rule: Rule): void {
    this.#rules.push({ rule, left: rule.times ?? Number.POSITIVE_INFINITY });
  }

  clear(): void {
    this.#rules = [];
    this.bookmarks = true;
    this.watchList = 'on';
    this.hangConnections = false;
    for (const socket of this.hanging) socket.destroy();
    this.hanging.clear();
  }

  /** @returns the fault that strikes this request, if one does. */
  take(request: {
    readonly verb: Verb;
    readonly resource: string;
    readonly continued: boolean;
  }): Rule['fault'] | undefined {
    const entry = this.#rules.find(
      ({ rule, left }) =>
        left > 0 &&
        (rule.verb === undefined || rule.verb === request.verb) &&
        (rule.resource === undefined || rule.resource === request.resource) &&
        (rule.continued === undefined || rule.continued === request.continued),
    );
    if (!entry) return undefined;
    entry.left--;
    return entry.rule.fault;
  }

  /** Breaks all watches that are open now. @returns how many those were. */
  breakWatches(fault: StreamFault, resource?: string): number {
    const hit = [...this.watches].filter((watch) => resource === undefined || watch.resource === resource);
    for (const watch of hit) watch.break(fault);
    return hit.length;
  }
}
