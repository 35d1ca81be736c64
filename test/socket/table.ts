// A map of the object under test, read and written as values of the generated layouts.

import type { MapDefinition } from '../../src/abi/codec.js';
import type { Native } from '../../src/native/api.js';

/** BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY. */
const PER_CPU = [5, 6];

export class Table<K, V> {
  readonly #native: Native;
  readonly #fd: number;
  readonly #map: MapDefinition<K, V>;
  /** How many values an element has: one for each possible CPU in per-CPU maps. */
  readonly #copies: number;
  readonly #stride: number;

  constructor(native: Native, fd: number, map: MapDefinition<K, V>) {
    const perCpu = PER_CPU.includes(map.type);
    this.#native = native;
    this.#fd = fd;
    this.#map = map;
    this.#copies = perCpu ? native.possibleCpus : 1;
    this.#stride = perCpu ? Math.ceil(map.value.size / 8) * 8 : map.value.size;
  }

  /** Per-CPU maps: the same value on each CPU. */
  set(key: K, value: V): void {
    const bytes = new Uint8Array(this.#stride * this.#copies);
    const view = new DataView(bytes.buffer);
    for (let i = 0; i < this.#copies; i++) this.#map.value.write(view, i * this.#stride, value);
    this.#native.mapUpdate(this.#fd, this.#keyBytes(key), bytes);
  }

  delete(key: K): boolean {
    return this.#native.mapDelete(this.#fd, this.#keyBytes(key));
  }

  /** Per-CPU maps: one entry for each CPU. */
  async entries(): Promise<[K, V][]> {
    const { count, keys, values } = await this.#native.mapDump(this.#fd);
    const keyView = new DataView(keys.buffer, keys.byteOffset);
    const valueView = new DataView(values.buffer, values.byteOffset);
    return Array.from({ length: count * this.#copies }, (_, i) => [
      this.#map.key.read(keyView, Math.floor(i / this.#copies) * this.#map.key.size),
      this.#map.value.read(valueView, i * this.#stride),
    ]);
  }

  async clear(): Promise<void> {
    for (const [key] of await this.entries()) this.delete(key);
  }

  close(): void {
    this.#native.closeFd(this.#fd);
  }

  #keyBytes(key: K): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.#map.key.size);
    this.#map.key.write(new DataView(bytes.buffer), 0, key);
    return bytes;
  }
}
