// Notices that something in some directories has changed; what, a scan finds out.

import { type FSWatcher, watch } from 'node:fs';

export interface WatchTarget {
  readonly path: string;
  /** Device and inode: another directory at the same path needs a new watch. */
  readonly id: string;
  /** Only changes of this entry matter; undefined: of all. */
  readonly only?: string;
}

export interface WatcherOptions {
  /** Quiet time after an event before the call, in milliseconds: an editor makes several at once. */
  readonly debounceMs: number;
  /** No call is put off longer than this, in milliseconds, however many events there are. */
  readonly longestMs: number;
  readonly onChange: () => void;
}

/** Watches directories, one inotify watch each. Keeps the process running until it is closed. */
export class Watcher {
  readonly #options: WatcherOptions;
  readonly #watches = new Map<string, { readonly watcher: FSWatcher; readonly id: string }>();
  readonly #failures = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires, and the latest it may, on the monotonic clock in milliseconds. */
  #dueAt = Number.POSITIVE_INFINITY;
  #latestAt = Number.POSITIVE_INFINITY;
  #closed = false;

  constructor(options: WatcherOptions) {
    this.#options = options;
  }

  /**
   * Watches these directories from now on, and no others.
   *
   * @returns was a directory added? What happened in it before that was not noticed.
   */
  watch(targets: readonly WatchTarget[]): boolean {
    const wanted = new Map(targets.map((target) => [target.path, target]));
    for (const [path, { watcher, id }] of this.#watches) {
      if (wanted.get(path)?.id === id) continue;
      watcher.close();
      this.#watches.delete(path);
    }
    for (const path of this.#failures.keys()) if (!wanted.has(path)) this.#failures.delete(path);
    const missing = [...wanted.values()].filter(({ path }) => !this.#watches.has(path));
    return missing.map((target) => this.#add(target)).some((added) => added);
  }

  /** Calls back once after so many milliseconds, even if nothing happens; earlier if something does. */
  wake(afterMs: number): void {
    const at = performance.now() + afterMs;
    if (at < this.#dueAt) this.#arm(at);
  }

  /** @returns the directories that cannot be watched, and why. */
  problems(): readonly { readonly path: string; readonly message: string }[] {
    return [...this.#failures].map(([path, message]) => ({ path, message }));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const { watcher } of this.#watches.values()) watcher.close();
    this.#watches.clear();
  }

  #add({ path, id, only }: WatchTarget): boolean {
    try {
      const watcher = watch(path, (_, name) => {
        if (only === undefined || name === null || name === only) this.#event();
      });
      watcher.on('error', () => {
        watcher.close();
        if (this.#watches.get(path)?.watcher === watcher) this.#watches.delete(path);
        this.#event();
      });
      this.#watches.set(path, { watcher, id });
      this.#failures.delete(path);
      return true;
    } catch (error) {
      this.#failures.set(path, (error as Error).message);
      return false;
    }
  }

  #event(): void {
    const now = performance.now();
    this.#latestAt = Math.min(this.#latestAt, now + this.#options.longestMs);
    this.#arm(Math.min(now + this.#options.debounceMs, this.#latestAt));
  }

  #arm(at: number): void {
    if (this.#closed) return;
    clearTimeout(this.#timer);
    this.#dueAt = at;
    this.#timer = setTimeout(() => this.#fire(), Math.max(0, at - performance.now()));
  }

  #fire(): void {
    this.#dueAt = Number.POSITIVE_INFINITY;
    this.#latestAt = Number.POSITIVE_INFINITY;
    this.#options.onChange();
  }
}
