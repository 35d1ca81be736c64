// Keeps one resource in step with the API server: lists, watches, and begins again after whatever goes wrong.
// What has been told stays in force meanwhile; after a new listing only the differences are told.

import { setTimeout as sleep } from 'node:timers/promises';
import { type BackoffLimits, backoffDelay } from '../../lib/backoff.js';
import { messageOf } from '../../lib/errors.js';
import { ApiError, NoInitialEventsError } from './api-error.js';
import { explain } from './explain.js';
import { listAll } from './list.js';
import { Mirror } from './mirror.js';
import { newCounters, type Resource, type ResourceStatus } from './resource.js';
import type { Transport } from './transport.js';
import { watchOnce } from './watch.js';

export interface ReflectorTiming {
  readonly backoff: BackoffLimits;
  /** A watch that has been open for so many milliseconds makes earlier failures forgotten. */
  readonly healthyMs: number;
  /** A watch that the server ends sooner than this counts as a failure. */
  readonly shortWatchMs: number;
  /** Everything that exists must have come within so many milliseconds after a watch began with it. */
  readonly initialEventsMs: number;
  /** An optional resource that the server does not have is asked for again after so many milliseconds. */
  readonly absentMs: number;
  /** The server is asked to end watches after this many seconds, up to twice as many, at random. */
  readonly watchSeconds: number;
}

export interface ReflectorOptions {
  readonly resource: Resource;
  readonly transport: Transport;
  readonly timing: ReflectorTiming;
  readonly now: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  /** Everything has been seen once, or it is certain that there is nothing. Called once. */
  readonly onSynced: () => void;
  /** Something is wrong; each thing is said once until the watch has been healthy again. */
  readonly onProblem: (message: string) => void;
}

export class Reflector {
  readonly #options: ReflectorOptions;
  readonly #counters = newCounters();
  readonly #mirror: Mirror;
  /** Where a watch goes on; "" when everything must be listed again. */
  #version = '';
  #watchList = true;
  #synced = false;
  #absent = false;
  /** When the open watch was accepted; 0: none is open. */
  #openedAt = 0;
  #failures = 0;
  #said = new Set<string>();
  #lastHeardAt = 0;
  #lastError = '';
  #lastErrorAt = 0;

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#mirror = new Mirror(options.resource, this.#counters, (message) => this.#say(message));
  }

  get status(): ResourceStatus {
    const healthy = this.#openedAt !== 0 && this.#failures === 0;
    return {
      resource: this.#options.resource.name,
      synced: this.#synced,
      watching: this.#openedAt !== 0,
      objects: this.#mirror.size,
      absent: this.#absent,
      lastHeardAt: this.#lastHeardAt,
      lastError: healthy ? '' : this.#lastError,
      lastErrorAt: this.#lastErrorAt,
      counters: { ...this.#counters },
    };
  }

  /** Goes on until the signal; never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const wait = await this.#round(signal);
      if (wait > 0) await sleep(wait, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Lists where needed, then watches until something ends it. @returns milliseconds to wait before the next round. */
  async #round(signal: AbortSignal): Promise<number> {
    this.#openedAt = 0;
    try {
      if (this.#version === '' && !this.#watchList) {
        const version = await listAll(this.#options.resource, this.#options.transport, this.#mirror, signal);
        this.#progress(version, true);
      }
      await this.#watch(signal);
      this.#forgetFailuresAfter(this.#options.timing.shortWatchMs);
      if (this.#failures === 0) return 0;
      return this.#failed(new Error('the server ended the watch at once'));
    } catch (error) {
      if (signal.aborted) return 0;
      this.#forgetFailuresAfter(this.#options.timing.healthyMs);
      return this.#failed(error);
    } finally {
      this.#openedAt = 0;
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { resource, transport, timing, now, random } = this.#options;
    this.#counters.watches++;
    await watchOnce(
      {
        resource,
        transport,
        mirror: this.#mirror,
        from: this.#version,
        timeoutSeconds: Math.floor(timing.watchSeconds * (1 + random())),
        initialEventsMs: timing.initialEventsMs,
        onOpen: () => {
          this.#openedAt = now();
          this.#absent = false;
        },
        onHeard: (bookmark) => {
          this.#lastHeardAt = now();
          if (bookmark) this.#counters.bookmarks++;
          if (this.#failures > 0) this.#forgetFailuresAfter(timing.healthyMs);
        },
        onProgress: (version, complete) => this.#progress(version, complete),
      },
      signal,
    );
  }

  #progress(version: string, complete: boolean): void {
    this.#version = version;
    if (complete) this.#markSynced();
  }

  #markSynced(): void {
    if (this.#synced) return;
    this.#synced = true;
    this.#options.onSynced();
  }

  #forgetFailuresAfter(ms: number): void {
    if (this.#openedAt === 0 || this.#options.now() - this.#openedAt < ms) return;
    this.#failures = 0;
    this.#said.clear();
  }

  /** @returns milliseconds to wait before the next try. */
  #failed(error: unknown): number {
    const { resource, timing, random } = this.#options;
    if (this.#fallsBack(error)) return 0;
    if (resource.optional && error instanceof ApiError && error.status === 404) return this.#missing();
    this.#counters.errors++;
    this.#failures++;
    this.#lastError = messageOf(error);
    this.#lastErrorAt = this.#options.now();
    if (error instanceof ApiError && error.expired) {
      this.#counters.expired++;
      this.#version = '';
      if (this.#failures === 1) return 0;
    }
    if (this.#worthSaying(error)) this.#say(explain(error, resource.name, this.#options.transport.server));
    const asked = error instanceof ApiError ? error.retryAfterMs * (1 + random() / 4) : 0;
    return Math.max(asked, backoffDelay(this.#failures, timing.backoff, random));
  }

  /** Servers before 1.32, and 1.33, do not begin watches with what exists. */
  #fallsBack(error: unknown): boolean {
    if (!this.#watchList || this.#version !== '') return false;
    const refused = error instanceof ApiError && (error.status === 400 || error.status === 422);
    if (!refused && !(error instanceof NoInitialEventsError)) return false;
    this.#watchList = false;
    return true;
  }

  #missing(): number {
    this.#absent = true;
    this.#version = '';
    this.#say(`the server has no ${this.#options.resource.name}; going on without`);
    // What an earlier version of the server had is gone with it.
    this.#mirror.begin();
    this.#mirror.complete();
    this.#markSynced();
    return this.#options.timing.absentMs;
  }

  /** A broken stream that the next try resumes is everyday life; a refusal, or a server that stays away, is not. */
  #worthSaying(error: unknown): boolean {
    const refusal = error instanceof ApiError && error.status >= 400 && error.status < 500;
    const everyday = error instanceof ApiError && (error.expired || error.status === 429);
    return (refusal && !everyday) || this.#failures > 1 || !this.#synced;
  }

  #say(message: string): void {
    if (this.#said.has(message)) return;
    this.#said.add(message);
    this.#options.onProblem(message);
  }
}
