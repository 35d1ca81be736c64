// Which objects of one resource we have told of, in which version.

/** `new` and `changed` objects are worth a look; `same` is the version that we have. */
export type Sighting = 'new' | 'changed' | 'same';

interface Record {
  version: string;
  generation: number;
}

/**
 * After a connection is lost for good, everything is listed again. Each listing is a generation: what it does not
 * show is gone. Until it is complete, nothing is taken for gone.
 */
export class KnownObjects {
  readonly #records = new Map<string, Record>();
  #generation = 0;

  get size(): number {
    return this.#records.size;
  }

  /** A listing begins. */
  begin(): void {
    this.#generation++;
  }

  /** An object is there in this version; "" is a version that is never the same. */
  see(key: string, version: string): Sighting {
    const record = this.#records.get(key);
    if (record === undefined) {
      this.#records.set(key, { version, generation: this.#generation });
      return 'new';
    }
    record.generation = this.#generation;
    if (record.version === version && version !== '') return 'same';
    record.version = version;
    return 'changed';
  }

  /** @returns was it known? */
  forget(key: string): boolean {
    return this.#records.delete(key);
  }

  /** A listing is complete. @returns the keys that it did not show; they are forgotten. */
  sweep(): readonly string[] {
    const gone: string[] = [];
    for (const [key, record] of this.#records) if (record.generation !== this.#generation) gone.push(key);
    for (const key of gone) this.#records.delete(key);
    return gone;
  }
}
