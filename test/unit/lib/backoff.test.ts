import { describe, expect, it } from 'vitest';
import { backoffDelay } from '../../../src/lib/backoff.js';

const limits = { minMs: 800, maxMs: 30_000 };

describe('backoffDelay()', () => {
  it('doubles up to its limit', () => {
    const delays = [1, 2, 3, 4, 5, 6, 7, 1000].map((failures) => backoffDelay(failures, limits, () => 0.5));
    expect(delays).toEqual([800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
  });

  it('is spread over 0.5 to 1.5 of the wait', () => {
    expect(backoffDelay(1, limits, () => 0)).toBe(400);
    expect(backoffDelay(1, limits, () => 0.999)).toBeCloseTo(1199.2);
  });
});
