import type { BatchResult, Bytes, MapDump, MapInfo } from './api.js';
import { bytes, descriptor, inRange, u32 } from './checks.js';
import { checked, type Hints } from './errors.js';
import type { Library } from './library.js';

export interface Maps {
  mapInfo(fd: number): MapInfo;
  mapUpdate(fd: number, key: Bytes, value: Bytes, flags?: number): void;
  mapLookup(fd: number, key: Bytes, value: Bytes): boolean;
  mapDelete(fd: number, key: Bytes): boolean;
  mapUpdateBatch(fd: number, keys: Bytes, values: Bytes, count: number): Promise<BatchResult>;
  mapDeleteBatch(fd: number, keys: Bytes, count: number): Promise<BatchResult>;
  mapDump(fd: number): Promise<MapDump>;
}

const ENOENT = 2;

export function createMaps(library: Library): Maps {
  return {
    mapInfo: (fd) => mapInfo(library, fd),
    mapUpdate(fd, key, value, flags = 0) {
      inRange(flags, 0, 0xffffffff, 'flags');
      const [k, v] = [bytes(key, 'key'), bytes(value, 'value')];
      const result = library.call('pl_map_update', descriptor(fd, 'fd'), k, k.length, v, v.length, flags);
      if (result < 0) fail(library, fd, result, 'update');
    },
    mapLookup(fd, key, value) {
      const [k, v] = [bytes(key, 'key'), bytes(value, 'value')];
      const result = library.call('pl_map_lookup', descriptor(fd, 'fd'), k, k.length, v, v.length);
      return found(library, fd, result, 'look up in');
    },
    mapDelete(fd, key) {
      const result = library.call('pl_map_delete', descriptor(fd, 'fd'), bytes(key, 'key'), key.length);
      return found(library, fd, result, 'delete from');
    },
    async mapUpdateBatch(fd, keys, values, count) {
      if (u32(count, 'count') === 0) return { done: 0, missing: 0, errno: 0 };
      const out = new Uint32Array(2);
      const [k, v] = [bytes(keys, 'keys'), bytes(values, 'values')];
      const args = [descriptor(fd, 'fd'), k, k.length, v, v.length, count, out, out.byteLength];
      const result = await library.callAsync('pl_map_update_batch', ...args);
      if (result < 0) fail(library, fd, result, 'update', count);
      return { done: out[0]!, missing: 0, errno: out[1]! };
    },
    async mapDeleteBatch(fd, keys, count) {
      if (u32(count, 'count') === 0) return { done: 0, missing: 0, errno: 0 };
      const out = new Uint32Array(3);
      const args = [descriptor(fd, 'fd'), bytes(keys, 'keys'), keys.length, count, out, out.byteLength];
      const result = await library.callAsync('pl_map_delete_batch', ...args);
      if (result < 0) fail(library, fd, result, 'delete from', count);
      return { done: out[0]!, missing: out[2]!, errno: out[1]! };
    },
    mapDump: (fd) => mapDump(library, fd),
  };
}

function mapInfo(library: Library, fd: number): MapInfo {
  const out = new Uint32Array(6);
  const result = library.call('pl_map_info', descriptor(fd, 'fd'), out, out.byteLength);
  checked(result, `map of descriptor ${fd}`, { EINVAL: 'it is not a map', EBADF: 'it is closed' });
  return {
    type: out[0]!,
    id: out[1]!,
    keySize: out[2]!,
    valueSize: out[3]!,
    maxEntries: out[4]!,
    flags: out[5]!,
  };
}

/** Two steps: how much there is, is only known when it has been read. */
async function mapDump(library: Library, fd: number): Promise<MapDump> {
  const out = new Uint32Array(3);
  const dump = await library.callAsync('pl_map_dump', descriptor(fd, 'fd'), out, out.byteLength);
  if (dump < 0) fail(library, fd, dump, 'dump');
  const count = out[0]!;
  let taken = false;
  try {
    const keys = new Uint8Array(count * out[1]!);
    const values = new Uint8Array(count * out[2]!);
    const result = await library.callAsync('pl_dump_take', dump, keys, keys.length, values, values.length);
    taken = result >= 0;
    if (result < 0) fail(library, fd, result, 'dump');
    return { count, keys, values };
  } finally {
    if (!taken) library.call('pl_dump_take', dump, null, 0, null, 0);
  }
}

function found(library: Library, fd: number, result: number, what: string): boolean {
  if (result === -ENOENT) return false;
  if (result < 0) fail(library, fd, result, what);
  return true;
}

/** Says what does not fit; the sizes are only asked for when something is wrong. */
function fail(library: Library, fd: number, result: number, what: string, count = 1): never {
  const hints: Record<string, string> = {
    EBADF: 'the descriptor is closed',
    EEXIST: 'the key is there already',
    ENOENT: 'there is no such key',
  };
  const out = new Uint32Array(6);
  const known = library.call('pl_map_info', fd, out, out.byteLength) === 0;
  if (known) {
    const many = count === 1 ? '' : `${count} times `;
    hints.E2BIG = `the map is full (max_entries ${out[4]})`;
    hints.EMSGSIZE =
      `keys and values have another size than the map's: ${many}key ${out[2]}, value ${out[3]} bytes` +
      ' (of each possible CPU, rounded up to 8, for a per-CPU map)';
  }
  if (!known) for (const code of ['EINVAL', 'EMSGSIZE', 'EOPNOTSUPP']) hints[code] = 'it is not a map';
  const hinted: Hints = hints;
  checked(result, known ? `${what} map ${out[1]}` : `${what} map of descriptor ${fd}`, hinted);
  throw new Error('unreachable: the result was negative');
}
