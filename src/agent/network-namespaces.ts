// From the cookie of a network namespace, as the programs see it, to a path through which it can be entered.

import { readdirSync, statSync } from 'node:fs';
import type { Native } from '../native/api.js';

/**
 * Finds network namespaces by cookie: those of every process that this one can see (the agent needs hostPID to see pods'),
 * and the named ones in /run/netns. What has been found is remembered until it is gone.
 */
export class NetworkNamespaces {
  readonly #native: Native;
  #byCookie = new Map<bigint, string>();

  constructor(native: Native) {
    this.#native = native;
  }

  /** @returns a path for each cookie that exists; the others are missing. */
  find(cookies: Iterable<bigint>): Map<bigint, string> {
    const wanted = [...cookies];
    if (wanted.some((cookie) => !this.#isCurrent(cookie))) this.#scan();
    const found = new Map<bigint, string>();
    for (const cookie of wanted) {
      const path = this.#byCookie.get(cookie);
      if (path !== undefined) found.set(cookie, path);
    }
    return found;
  }

  #isCurrent(cookie: bigint): boolean {
    const path = this.#byCookie.get(cookie);
    return path !== undefined && this.#cookieOf(path) === cookie;
  }

  #scan(): void {
    const byCookie = new Map<bigint, string>();
    const seen = new Set<number>();
    for (const path of candidates()) {
      const inode = inodeOf(path);
      if (inode === 0 || seen.has(inode)) continue;
      seen.add(inode);
      const cookie = this.#cookieOf(path);
      if (cookie !== 0n) byCookie.set(cookie, path);
    }
    this.#byCookie = byCookie;
  }

  #cookieOf(path: string): bigint {
    try {
      return this.#native.netnsCookie(path);
    } catch {
      return 0n; // its last process has ended
    }
  }
}

function* candidates(): Generator<string> {
  for (const name of entries('/proc')) if (/^\d+$/.test(name)) yield `/proc/${name}/ns/net`;
  for (const name of entries('/run/netns')) yield `/run/netns/${name}`;
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function inodeOf(path: string): number {
  try {
    return statSync(path).ino;
  } catch {
    return 0;
  }
}
