// Ids of Service ports and endpoint sets. An id is never handed out twice for as long as the pinned maps exist: flows,
// affinity and sockets name ids, and a reused one would make them name a stranger.

/** How many ids are reserved at a time, so that `meta` is written once in a while and not with every set. */
const BLOCK = 4096;
const LIMIT = 0xffff_ffff;

/** The two counters of struct pl_meta: ids from here on have never been handed out. */
export interface NextIds {
  readonly service: number;
  readonly set: number;
}

/**
 * Hands out ids. Before entries with new ids are written, `reservation` must have been written to `meta`: an agent that
 * dies in between then starts behind everything that this one can have used.
 */
export class Ids {
  #next: { service: number; set: number };
  #reserved: NextIds;

  /** @param first the first ids to hand out; nothing is reserved yet */
  constructor(first: NextIds) {
    this.#next = { service: Math.max(1, first.service), set: Math.max(1, first.set) };
    this.#reserved = { ...this.#next };
  }

  service(): number {
    return this.#take('service');
  }

  set(): number {
    return this.#take('set');
  }

  /** What must be in `meta` before ids handed out so far are used; undefined when it is there already. */
  reservation(): NextIds | undefined {
    if (this.#next.service <= this.#reserved.service && this.#next.set <= this.#reserved.set)
      return undefined;
    return {
      service: reserve(this.#next.service, this.#reserved.service),
      set: reserve(this.#next.set, this.#reserved.set),
    };
  }

  /** `reservation` has been written. */
  reserved(written: NextIds): void {
    this.#reserved = written;
  }

  /** What `meta` holds, or will hold once the first reservation is written. */
  get written(): NextIds {
    return this.#reserved;
  }

  #take(kind: 'service' | 'set'): number {
    const id = this.#next[kind];
    if (id >= LIMIT)
      throw new Error(
        `all ${LIMIT} ids for a ${kind} have been used; restart the agent with a new pinFolder`,
      );
    this.#next[kind] = id + 1;
    return id;
  }
}

function reserve(next: number, reserved: number): number {
  return next <= reserved ? reserved : Math.min(LIMIT, next + BLOCK);
}
