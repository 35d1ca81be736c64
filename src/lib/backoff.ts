// How long to wait before the next try.

export interface BackoffLimits {
  /** Wait after the first failure, in milliseconds. */
  readonly minMs: number;
  /** The wait doubles with each failure up to this, in milliseconds. */
  readonly maxMs: number;
}

/**
 * @param failures how often it has failed in a row, 1 or more
 * @param random in [0, 1): spreads clients that fail at the same moment over 0.5 to 1.5 of the wait
 * @returns milliseconds to wait
 */
export function backoffDelay(failures: number, limits: BackoffLimits, random: () => number): number {
  const doubled = limits.minMs * 2 ** Math.min(Math.max(failures - 1, 0), 30);
  return Math.min(limits.maxMs, doubled) * (0.5 + random());
}
