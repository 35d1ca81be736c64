// Long loops in turns, so that timers, signals and sockets are served in between.

import { setImmediate } from 'node:timers/promises';

export interface Pace {
  /** Has this turn lasted long enough? Cheap enough to be asked for every element. */
  isOver(): boolean;
  /** Lets everything else run, and begins the next turn. */
  next(): Promise<void>;
}

/** The clock is only looked at once in so many questions. */
const CLOCK_EVERY = 256;

/** @param turnMs how long a turn lasts */
export function pace(turnMs = 5): Pace {
  let asked = 0;
  let until = performance.now() + turnMs;
  return {
    isOver: () => ++asked % CLOCK_EVERY === 0 && performance.now() >= until,
    async next() {
      await setImmediate();
      until = performance.now() + turnMs;
    },
  };
}
