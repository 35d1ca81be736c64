// When a source may say that everything has been told.

/** Opens once: when all that is needed has come, and what is merely wanted has come or has had its time. */
export class SyncGate {
  readonly #graceMs: number;
  readonly #open: () => void;
  #needed = 0;
  #wanted = 0;
  #opened = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(graceMs: number, open: () => void) {
    this.#graceMs = graceMs;
    this.#open = open;
  }

  /** @returns what to call when one more needed thing has come. */
  needed(): () => void {
    this.#needed++;
    return () => {
      this.#needed--;
      this.#check();
    };
  }

  /** @returns what to call when one more wanted thing has come. */
  wanted(): () => void {
    this.#wanted++;
    return () => {
      this.#wanted--;
      this.#check();
    };
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#opened = true;
  }

  #check(): void {
    if (this.#opened || this.#needed > 0) return;
    if (this.#wanted === 0) this.#pass();
    else this.#timer ??= setTimeout(() => this.#pass(), this.#graceMs);
  }

  #pass(): void {
    if (this.#opened) return;
    clearTimeout(this.#timer);
    this.#opened = true;
    this.#open();
  }
}
