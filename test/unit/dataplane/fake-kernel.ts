// A kernel of maps in memory, behind the Native interface: hashes with a limit of entries, and a hook at every write.

import { MAPS, type MapName } from '../../../src/abi/layout.gen.js';
import { type Bytes, type Native, NativeError } from '../../../src/native/api.js';

const E2BIG = 7;
const NAMES = Object.keys(MAPS) as MapName[];
const PER_CPU: ReadonlySet<MapName> = new Set(['service_stats', 'reasons']);
const CPUS = 2;

export interface Write {
  readonly map: MapName;
  readonly verb: 'put' | 'delete';
  /** Was there such a key before? */
  readonly exists: boolean;
}

/** Ends the agent in the middle of its work. */
export class Crash extends Error {}

interface Element {
  readonly key: Bytes;
  readonly value: Bytes;
}

export class FakeKernel {
  readonly maps = new Map<MapName, Map<string, Element>>(NAMES.map((name) => [name, new Map()]));
  readonly limits = new Map<MapName, number>();
  /** Asked before each write; an errno refuses it. May throw Crash. */
  beforeWrite: (write: Write) => number = () => 0;
  /** Told after each write. */
  afterWrite: (write: Write) => void = () => undefined;
  /** The same, with the key in hexadecimal. */
  afterKey: (write: Write, key: string) => void = () => undefined;
  readonly writes: Write[] = [];

  count(map: MapName): number {
    return this.maps.get(map)!.size;
  }

  /** Writes of maps other than meta, since the last call. */
  takeWrites(): Write[] {
    return this.writes.splice(0).filter(({ map }) => map !== 'meta');
  }

  /** What the agent sees of this kernel; each agent gets its own. */
  native(): Native {
    const nameOf = (fd: number): MapName => NAMES[fd - 1]!;
    const native: Partial<Native> = {
      possibleCpus: CPUS,
      getPinned: (path) => NAMES.indexOf(path.slice(path.lastIndexOf('/') + 1) as MapName) + 1 || -1,
      closeFd: () => undefined,
      mapInfo: (fd) => {
        const { type, keySize, valueSize, maxEntries, flags } = MAPS[nameOf(fd)];
        return {
          type,
          id: fd,
          keySize,
          valueSize,
          maxEntries: this.limits.get(nameOf(fd)) ?? maxEntries,
          flags,
        };
      },
      mapUpdate: (fd, key, value) => {
        const errno = this.#put(nameOf(fd), key, value);
        if (errno !== 0) throw new NativeError('update', errno, 'E', 'refused', '');
      },
      mapLookup: (fd, key, value) => {
        const found = this.maps.get(nameOf(fd))!.get(hex(key));
        if (found) value.set(found.value);
        return found !== undefined;
      },
      mapDelete: (fd, key) => this.#delete(nameOf(fd), key),
      mapUpdateBatch: async (fd, keys, values, count) => {
        const [k, v] = [keys.length / count, values.length / count];
        for (let i = 0; i < count; i++) {
          const errno = this.#put(
            nameOf(fd),
            keys.slice(i * k, (i + 1) * k),
            values.slice(i * v, (i + 1) * v),
          );
          if (errno !== 0) return { done: i, missing: 0, errno };
        }
        return { done: count, missing: 0, errno: 0 };
      },
      mapDeleteBatch: async (fd, keys, count) => {
        const k = keys.length / count;
        let missing = 0;
        for (let i = 0; i < count; i++)
          if (!this.#delete(nameOf(fd), keys.slice(i * k, (i + 1) * k))) missing++;
        return { done: count, missing, errno: 0 };
      },
      mapDump: async (fd) => {
        const name = nameOf(fd);
        const elements = [...this.maps.get(name)!.values()];
        const keys = concat(elements.map((e) => e.key));
        const values = concat(elements.map((e) => e.value));
        return { count: elements.length, keys, values };
      },
    };
    return native as Native;
  }

  #put(map: MapName, key: Bytes, value: Bytes): number {
    const { keySize, valueSize } = MAPS[map];
    const wanted = PER_CPU.has(map) ? Math.ceil(valueSize / 8) * 8 * CPUS : valueSize;
    if (key.length !== keySize || value.length !== wanted) throw new Error(`${map}: wrong size`);
    const elements = this.maps.get(map)!;
    const write: Write = { map, verb: 'put', exists: elements.has(hex(key)) };
    const errno = this.beforeWrite(write);
    if (errno !== 0) return errno;
    if (!write.exists && elements.size >= (this.limits.get(map) ?? MAPS[map].maxEntries)) return E2BIG;
    elements.set(hex(key), { key: key.slice(), value: value.slice() });
    this.#wrote(write, key);
    return 0;
  }

  #delete(map: MapName, key: Bytes): boolean {
    const elements = this.maps.get(map)!;
    const write: Write = { map, verb: 'delete', exists: elements.has(hex(key)) };
    this.beforeWrite(write);
    elements.delete(hex(key));
    this.#wrote(write, key);
    return write.exists;
  }

  #wrote(write: Write, key: Bytes): void {
    this.writes.push(write);
    this.afterKey(write, hex(key));
    this.afterWrite(write);
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function concat(parts: readonly Bytes[]): Bytes {
  const bytes = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
