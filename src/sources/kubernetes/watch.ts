// One watch: a stream of events, a JSON object a line. With `from` empty it begins with everything that exists (WatchList).

import type { IncomingMessage } from 'node:http';
import { asFields, type Fields, objectAt, stringAt } from '../fields.js';
import { ApiError, eventError, NoInitialEventsError } from './api-error.js';
import { forEachLine } from './lines.js';
import { type Mirror, resourceVersionOf } from './mirror.js';
import type { Resource } from './resource.js';
import type { Transport } from './transport.js';

const INITIAL_EVENTS_END = 'k8s.io/initial-events-end';

export interface WatchOptions {
  readonly resource: Resource;
  readonly transport: Transport;
  readonly mirror: Mirror;
  /** resourceVersion after which events are wanted; "" asks for everything that exists first. */
  readonly from: string;
  /** The server ends the watch after so many seconds. */
  readonly timeoutSeconds: number;
  /** Everything that exists must have come within so many milliseconds. */
  readonly initialEventsMs: number;
  /** The server has accepted the watch. */
  readonly onOpen: () => void;
  /** A line has come; `bookmark` where it carries no object. */
  readonly onHeard: (bookmark: boolean) => void;
  /** All before this resourceVersion has been told; `complete` where this ends the initial events. */
  readonly onProgress: (version: string, complete: boolean) => void;
}

/**
 * Feeds the mirror until the server ends the watch.
 * @throws ApiError for a refusal or an ERROR event, NoInitialEventsError, or what broke the stream.
 */
export async function watchOnce(options: WatchOptions, signal: AbortSignal): Promise<void> {
  const initial = options.from === '';
  const answer = await options.transport.get(watchPath(options), signal);
  options.onOpen();
  if (initial) options.mirror.begin();
  const stream = new EventStream(options);
  const deadline = initial
    ? setTimeout(() => giveUp(answer, options.initialEventsMs), options.initialEventsMs)
    : undefined;
  try {
    await forEachLine(answer as AsyncIterable<Buffer>, (line) => {
      stream.take(line);
      if (!stream.initial) clearTimeout(deadline);
    });
  } finally {
    clearTimeout(deadline);
    answer.destroy();
  }
  if (stream.initial) throw new Error('the watch ended before everything had been told');
}

function giveUp(answer: IncomingMessage, afterMs: number): void {
  answer.destroy(new NoInitialEventsError(`the initial events were not complete after ${afterMs / 1000} s`));
}

function watchPath({ resource, from, timeoutSeconds }: WatchOptions): string {
  const query = new URLSearchParams({
    ...resource.query,
    watch: 'true',
    allowWatchBookmarks: 'true',
    timeoutSeconds: String(timeoutSeconds),
    ...(from === ''
      ? { sendInitialEvents: 'true', resourceVersionMatch: 'NotOlderThan' }
      : { resourceVersion: from }),
  });
  return `${resource.path}?${query}`;
}

class EventStream {
  readonly #options: WatchOptions;
  /** Are events still telling what existed before? */
  initial: boolean;
  #version: string;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.initial = options.from === '';
    this.#version = options.from;
  }

  take(line: string): void {
    const event = asFields(parse(line), 'event');
    const type = stringAt(event, 'type');
    const object = asFields(event.object, 'object');
    this.#options.onHeard(type === 'BOOKMARK');
    switch (type) {
      case 'ADDED':
      case 'MODIFIED':
        this.#options.mirror.put(object);
        break;
      case 'DELETED':
        this.#options.mirror.drop(object);
        break;
      case 'BOOKMARK':
        this.#bookmark(object);
        return;
      case 'ERROR':
        throw eventError(object);
      default:
        return;
    }
    if (!this.initial) this.#progress(resourceVersionOf(object), false);
  }

  #bookmark(object: Fields): void {
    const version = resourceVersionOf(object);
    if (this.initial) {
      if (objectAt(objectAt(object, 'metadata'), 'annotations')[INITIAL_EVENTS_END] !== 'true') return;
      this.initial = false;
      this.#options.mirror.complete();
      this.#progress(version, true);
      return;
    }
    // The server's history has gone backwards (restored from a backup): it would stay silent until it has caught up.
    if (isOlder(version, this.#version)) {
      throw new ApiError(410, 'Expired', `the server is at ${version}, before our ${this.#version}`);
    }
    this.#progress(version, false);
  }

  #progress(version: string, complete: boolean): void {
    if (version === '') return;
    this.#version = version;
    this.#options.onProgress(version, complete);
  }
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (error) {
    throw new Error(`a line of the watch is not JSON: ${line.slice(0, 80)}`, { cause: error });
  }
}

/** Compares resourceVersions where both are decimal numbers, as all API servers have them; else nothing is older. */
function isOlder(a: string, b: string): boolean {
  if (!/^\d+$/.test(a) || !/^\d+$/.test(b)) return false;
  return a.length === b.length ? a < b : a.length < b.length;
}
