// When a Service whose write failed is tried again.

import { backoffDelay } from '../lib/backoff.js';

export const RETRY_LIMITS = { minMs: 100, maxMs: 60_000 } as const;

interface Waiting {
  readonly failures: number;
  /** Milliseconds, by the clock that is passed in. */
  readonly dueAt: number;
}

/** Keeps who has failed how often. Times are milliseconds of any clock, the same for all calls. */
export class Retries {
  readonly #waiting = new Map<string, Waiting>();
  readonly #random: () => number;

  /** @param random in [0, 1) */
  constructor(random: () => number) {
    this.#random = random;
  }

  isDue(name: string, now: number): boolean {
    return (this.#waiting.get(name)?.dueAt ?? 0) <= now;
  }

  /** How often it has failed in a row. */
  failures(name: string): number {
    return this.#waiting.get(name)?.failures ?? 0;
  }

  /** @returns when it is due */
  failed(name: string, now: number): number {
    const failures = this.failures(name) + 1;
    const delay = Math.min(backoffDelay(failures, RETRY_LIMITS, this.#random), RETRY_LIMITS.maxMs);
    const dueAt = now + Math.max(delay, RETRY_LIMITS.minMs);
    this.#waiting.set(name, { failures, dueAt });
    return dueAt;
  }

  /** It has something new to try: due at once, but the next wait goes on from where it was. */
  hurry(name: string): void {
    const waiting = this.#waiting.get(name);
    if (waiting !== undefined) this.#waiting.set(name, { ...waiting, dueAt: 0 });
  }

  /** What they failed on may be no more: all are due at once, and wait as after a first failure if they fail again. */
  startOver(): void {
    for (const name of this.#waiting.keys()) this.#waiting.set(name, { failures: 0, dueAt: 0 });
  }

  forget(name: string): void {
    this.#waiting.delete(name);
  }

  /** When the next one is due; undefined: nothing waits. */
  nextDueAt(): number | undefined {
    let next: number | undefined;
    for (const { dueAt } of this.#waiting.values()) if (next === undefined || dueAt < next) next = dueAt;
    return next;
  }
}
