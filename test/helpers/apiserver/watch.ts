// Watches: what exists first (where asked for), then each change a line, bookmarks between them.

import type { Exchange } from './exchange.js';
import type { OpenWatch, StreamFault } from './faults.js';
import type { Kind } from './kinds.js';
import { createMatcher, type Matcher } from './selectors.js';
import { bookmarkLine, eventLine } from './serialize.js';
import { badRequest, expired, StatusError, status } from './status.js';
import type { Change, KubeObject } from './storage.js';

const HALF_LINE = '{"type":"ADDED","object":{"kind":"Service","apiVersion":"v1","metadata":{"na';
/** The client should get the half line before the reset. */
const RESET_DELAY_MS = 20;
const LINES_HELD = 32;

export function serveWatch(exchange: Exchange): void {
  const { query, target, storage, faults } = exchange;
  const inScope = scopeMatcher(exchange);
  const start = parseStart(exchange);
  const missed = start.from === undefined ? [] : storage.since(start.from);
  const stream = new WatchStream(exchange);
  if (start.from === undefined) {
    stream.cork();
    for (const object of storage.snapshot(target.kind).objects) {
      if (inScope(object)) stream.write(eventLine('ADDED', object));
    }
    stream.uncork();
  }
  if (start.endBookmark) stream.write(bookmarkLine(target.kind, storage.version, true));
  const send = (change: Change) => {
    if (change.version <= (start.from ?? 0)) return;
    const line = changeLine(change, target.kind, inScope);
    if (line !== undefined) stream.write(line);
  };
  for (const change of missed) send(change);
  const unwatch = storage.watch(send);
  const bookmarks = setInterval(() => {
    if (faults.bookmarks && query.get('allowWatchBookmarks') === 'true') {
      stream.write(bookmarkLine(target.kind, storage.version, false));
    }
  }, exchange.bookmarkMs);
  const seconds = Number(query.get('timeoutSeconds') ?? 0) || 1800;
  const timeout = setTimeout(() => stream.break('end'), seconds * 1000);
  faults.watches.add(stream);
  exchange.response.on('close', () => {
    unwatch();
    clearInterval(bookmarks);
    clearTimeout(timeout);
    faults.watches.delete(stream);
  });
}

function scopeMatcher({ query, target }: Exchange): Matcher {
  const matches = createMatcher(query.get('labelSelector') ?? '', query.get('fieldSelector') ?? '');
  const { namespace, name } = target;
  return (object) =>
    (namespace === '' || object.metadata.namespace === namespace) &&
    (name === '' || object.metadata.name === name) &&
    matches(object);
}

interface Start {
  /** Changes after this version; undefined: everything that exists first. */
  readonly from: number | undefined;
  readonly endBookmark: boolean;
}

function parseStart({ query, faults }: Exchange): Start {
  const version = query.get('resourceVersion') ?? '';
  if (version !== '' && !/^\d+$/.test(version))
    throw badRequest(`resourceVersion: Invalid value: "${version}"`);
  const initial = query.get('sendInitialEvents') === 'true' && faults.watchList !== 'ignored';
  if (!initial)
    return { from: version === '' || version === '0' ? undefined : Number(version), endBookmark: false };
  const invalid = (why: string) =>
    new StatusError(
      status(422, `ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: ${why}`),
    );
  if (faults.watchList === 'invalid') {
    throw invalid('sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled');
  }
  if (query.get('resourceVersionMatch') !== 'NotOlderThan') {
    throw invalid('resourceVersionMatch: NotOlderThan is required with sendInitialEvents');
  }
  return { from: undefined, endBookmark: query.get('allowWatchBookmarks') === 'true' };
}

/** An object that begins to match a selector is added for that watch, one that ceases to is deleted. */
function changeLine(change: Change, kind: Kind, inScope: Matcher): string | undefined {
  if (change.kind !== kind) return undefined;
  const now = change.object !== undefined && inScope(change.object);
  const before = change.previous !== undefined && inScope(change.previous);
  if (now) return eventLine(before ? 'MODIFIED' : 'ADDED', change.object!);
  if (!before) return undefined;
  const metadata = { ...change.previous!.metadata, resourceVersion: String(change.version) };
  return eventLine('DELETED', { ...change.previous!, metadata } as KubeObject);
}

class WatchStream implements OpenWatch {
  readonly resource: string;
  readonly #exchange: Exchange;
  #lines = 0;
  #broken = false;
  #held: string[] | undefined;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    this.resource = exchange.target.kind.plural;
    exchange.response.writeHead(200, { 'content-type': 'application/json' });
    exchange.response.flushHeaders();
    this.#strike();
  }

  write(line: string): void {
    if (this.#broken) return;
    if (this.#held === undefined) this.#exchange.response.write(line);
    else this.#hold(line);
    this.#lines++;
    this.#strike();
  }

  /** Lines go out in big pieces until uncork(): a line each would cost more than all else. */
  cork(): void {
    this.#held ??= [];
  }

  uncork(): void {
    this.#flush();
    this.#held = undefined;
  }

  #hold(line: string): void {
    this.#held!.push(line);
    if (this.#held!.length >= LINES_HELD) this.#flush();
  }

  #flush(): void {
    if (!this.#held || this.#held.length === 0) return;
    this.#exchange.response.write(this.#held.join(''));
    this.#held = [];
  }

  break(fault: StreamFault): void {
    const { response } = this.#exchange;
    if (this.#broken) return;
    this.#flush();
    this.#broken = fault !== 'garbage';
    switch (fault) {
      case 'reset':
        this.#reset();
        return;
      case 'half-line':
        response.write(HALF_LINE);
        setTimeout(() => this.#reset(), RESET_DELAY_MS);
        return;
      case 'half-line-end':
        response.end(HALF_LINE);
        return;
      case 'garbage':
        response.write('}{ this is not JSON\n');
        return;
      case 'expired':
        this.#endWith(expired('too old resource version').status);
        return;
      case 'error':
        this.#endWith(status(500, 'etcdserver: leader changed'));
        return;
      case 'end':
        response.end();
        return;
      default:
        fault satisfies never;
    }
  }

  #strike(): void {
    const { streamFault } = this.#exchange;
    if (streamFault && this.#lines === streamFault.afterLines) this.break(streamFault.fault);
  }

  #endWith(object: unknown): void {
    this.#exchange.response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`);
  }

  #reset(): void {
    this.#exchange.socket.resetAndDestroy();
  }
}
