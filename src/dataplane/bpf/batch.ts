// Writes and deletes entries of one map: single calls for a few, batches for many. A batch stops at the first element
// that fails; this goes on behind it, so that one Service's failure is its own.

import { type Native, NativeError } from '../../native/api.js';
import { encodeKeys, encodeValues, entrySizes } from './encode.js';
import type { MapEntry } from './entries.js';

/** Below this many elements single calls (1.8 us each, on this thread) beat an asynchronous batch. */
const BATCH_FROM = 48;

/** Told of each element that could not be written. */
export type OnFailure = (index: number, errno: number) => void;

/** The file descriptors of the agent's maps. */
export type MapFds = Readonly<Record<MapEntry['map'], number>>;

export class EntryWriter {
  readonly #native: Native;
  readonly #fds: MapFds;

  constructor(native: Native, fds: MapFds) {
    this.#native = native;
    this.#fds = fds;
  }

  /** Writes `entries`, all of one map, whether they are there already or not. */
  async put(entries: readonly MapEntry[], onFailure: OnFailure): Promise<void> {
    const first = entries[0];
    if (!first) return;
    const fd = this.#fds[first.map];
    const { key, value } = entrySizes(first.map, this.#native.possibleCpus);
    const keys = encodeKeys(entries, key);
    const values = encodeValues(entries, value);
    if (entries.length < BATCH_FROM) {
      for (let i = 0; i < entries.length; i++) {
        const errno = attempt(() =>
          this.#native.mapUpdate(
            fd,
            keys.subarray(i * key, (i + 1) * key),
            values.subarray(i * value, (i + 1) * value),
          ),
        );
        if (errno !== 0) onFailure(i, errno);
      }
      return;
    }
    await inBatches(entries.length, onFailure, (from) =>
      this.#native.mapUpdateBatch(
        fd,
        keys.subarray(from * key),
        values.subarray(from * value),
        entries.length - from,
      ),
    );
  }

  /** Deletes `entries`, all of one map; those that are not there count as deleted. */
  async delete(entries: readonly MapEntry[], onFailure: OnFailure): Promise<void> {
    const first = entries[0];
    if (!first) return;
    const fd = this.#fds[first.map];
    const { key } = entrySizes(first.map, this.#native.possibleCpus);
    const keys = encodeKeys(entries, key);
    if (entries.length < BATCH_FROM) {
      for (let i = 0; i < entries.length; i++) {
        const errno = attempt(() => this.#native.mapDelete(fd, keys.subarray(i * key, (i + 1) * key)));
        if (errno !== 0) onFailure(i, errno);
      }
      return;
    }
    await inBatches(entries.length, onFailure, (from) =>
      this.#native.mapDeleteBatch(fd, keys.subarray(from * key), entries.length - from),
    );
  }
}

async function inBatches(
  count: number,
  onFailure: OnFailure,
  call: (from: number) => ReturnType<Native['mapUpdateBatch']>,
): Promise<void> {
  let from = 0;
  while (from < count) {
    const { done, errno } = await call(from);
    if (errno === 0) return;
    onFailure(from + done, errno);
    from += done + 1;
  }
}

/** @returns 0 or the errno; what is not a NativeError is a mistake of ours and goes on. */
function attempt(call: () => unknown): number {
  try {
    call();
    return 0;
  } catch (error) {
    if (error instanceof NativeError) return error.errno;
    throw error;
  }
}
