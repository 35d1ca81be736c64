import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BpfObject, Bytes, Native } from '../../src/native/api.js';
import { openNative } from '../../src/native/binding.js';
import { fixture } from './lab.js';

const E2BIG = 7;
const EINVAL = 22;

let native: Native;
let object: BpfObject;
const fds = new Map<string, number>();

beforeAll(async () => {
  native = openNative();
  object = native.openObject(fixture('maps'), 'maps');
  await object.load();
});

afterAll(() => {
  for (const fd of fds.values()) native.closeFd(fd);
  object.close();
});

function map(name: string): number {
  const fd = fds.get(name) ?? object.mapFd(name);
  fds.set(name, fd);
  return fd;
}

/** Keys 0 .. count - 1 as __u32. */
function keysOf(count: number, from = 0): Bytes {
  return new Uint8Array(Uint32Array.from({ length: count }, (_, i) => from + i).buffer);
}

/** Values of 8 bytes: the key times three. */
function valuesOf(count: number, from = 0): Bytes {
  return new Uint8Array(BigUint64Array.from({ length: count }, (_, i) => BigInt(from + i) * 3n).buffer);
}

async function contents(fd: number): Promise<Map<number, bigint>> {
  const dump = await native.mapDump(fd);
  const keys = new Uint32Array(dump.keys.buffer);
  const values = new BigUint64Array(dump.values.buffer);
  const entries = Array.from({ length: dump.count }, (_, i) => [keys[i]!, values[i]!] as const);
  expect(new Set(keys).size).toBe(dump.count);
  return new Map(entries);
}

async function empty(fd: number): Promise<void> {
  const { keys, count } = await native.mapDump(fd);
  await native.mapDeleteBatch(fd, keys, count);
}

describe('single elements', () => {
  it('are put, read and deleted', () => {
    const fd = map('hash');
    const value = new Uint8Array(8);
    native.mapUpdate(fd, keysOf(1, 77), valuesOf(1, 77));
    expect(native.mapLookup(fd, keysOf(1, 77), value)).toBe(true);
    expect(value).toEqual(valuesOf(1, 77));
    expect(native.mapDelete(fd, keysOf(1, 77))).toBe(true);
    expect(native.mapDelete(fd, keysOf(1, 77))).toBe(false);
    expect(native.mapLookup(fd, keysOf(1, 77), value)).toBe(false);
  });

  it('respect NOEXIST and EXIST', () => {
    const fd = map('hash');
    expect(() => native.mapUpdate(fd, keysOf(1, 5), valuesOf(1), 2)).toThrow(/ENOENT/);
    native.mapUpdate(fd, keysOf(1, 5), valuesOf(1), 1);
    expect(() => native.mapUpdate(fd, keysOf(1, 5), valuesOf(1), 1)).toThrow(/EEXIST.*there already/);
    native.mapUpdate(fd, keysOf(1, 5), valuesOf(1), 2);
    native.mapDelete(fd, keysOf(1, 5));
  });

  it('use the part of a buffer that a view shows', () => {
    const fd = map('hash');
    const whole = new Uint8Array(64).fill(0xee);
    const key = whole.subarray(20, 24);
    key.set(keysOf(1, 1234));
    native.mapUpdate(fd, key, valuesOf(1, 1234));
    expect(native.mapLookup(fd, keysOf(1, 1234), whole.subarray(40, 48))).toBe(true);
    expect(whole.subarray(40, 48)).toEqual(valuesOf(1, 1234));
    expect(whole[39]).toBe(0xee);
    expect(whole[48]).toBe(0xee);
    native.mapDelete(fd, key);
  });

  it('say what a full map has room for', async () => {
    const fd = map('small');
    await native.mapUpdateBatch(fd, keysOf(100), valuesOf(100), 100);
    expect(() => native.mapUpdate(fd, keysOf(1, 100), valuesOf(1))).toThrow(
      /E2BIG.*full \(max_entries 100\)/,
    );
    await empty(fd);
  });
});

describe.each(['hash', 'array'])('batches of a map of kind %s', (name) => {
  it('write, and a dump reads all of it', async () => {
    const fd = map(name);
    expect(await native.mapUpdateBatch(fd, keysOf(3000), valuesOf(3000), 3000)).toEqual({
      done: 3000,
      missing: 0,
      errno: 0,
    });
    const seen = await contents(fd);
    expect(seen.size).toBe(3000);
    for (let key = 0; key < 3000; key++) expect(seen.get(key)).toBe(BigInt(key) * 3n);
  });
});

describe('batches', () => {
  it('skip keys to delete that are not there, and count them', async () => {
    const fd = map('hash');
    await empty(fd);
    await native.mapUpdateBatch(fd, keysOf(1000), valuesOf(1000), 1000);
    for (const key of [0, 1, 500, 999]) native.mapDelete(fd, keysOf(1, key));
    expect(await native.mapDeleteBatch(fd, keysOf(1005), 1005)).toEqual({ done: 1005, missing: 9, errno: 0 });
    expect((await native.mapDump(fd)).count).toBe(0);
  });

  it('stop at a full map with the number that is in', async () => {
    const fd = map('small');
    expect(await native.mapUpdateBatch(fd, keysOf(150), valuesOf(150), 150)).toEqual({
      done: 100,
      missing: 0,
      errno: E2BIG,
    });
    expect((await contents(fd)).size).toBe(100);
    await empty(fd);
  });

  it('fall back to single calls where the kernel has no batch, and tell its real errno', async () => {
    // The elements of an array cannot be deleted, and it has no batch for it.
    expect(await native.mapDeleteBatch(map('array'), keysOf(10), 10)).toEqual({
      done: 0,
      missing: 0,
      errno: EINVAL,
    });
  });

  it('refuse an index out of an array after those before it', async () => {
    const result = await native.mapUpdateBatch(map('array'), keysOf(10, 2995), valuesOf(10), 10);
    expect(result).toEqual({ done: 5, missing: 0, errno: E2BIG });
  });

  it('do nothing for nothing', async () => {
    expect(await native.mapUpdateBatch(map('hash'), keysOf(0), valuesOf(0), 0)).toEqual({
      done: 0,
      missing: 0,
      errno: 0,
    });
  });

  it('write an LRU map beyond its size; deletes tolerate what it evicted', async () => {
    const fd = map('lru');
    expect((await native.mapUpdateBatch(fd, keysOf(3000), valuesOf(3000), 3000)).done).toBe(3000);
    const seen = await contents(fd);
    expect(seen.size).toBeGreaterThan(500);
    expect(seen.size).toBeLessThanOrEqual(1024);
    const result = await native.mapDeleteBatch(fd, keysOf(3000), 3000);
    expect(result).toEqual({ done: 3000, missing: 3000 - seen.size, errno: 0 });
    expect((await native.mapDump(fd)).count).toBe(0);
  });

  it('carry all CPUs of a per-CPU map, each value rounded up to 8 bytes', async () => {
    const fd = map('percpu');
    const stride = 16 * native.possibleCpus;
    const values = new Uint8Array(2000 * stride);
    for (let i = 0; i < 2000; i++)
      for (let c = 0; c < native.possibleCpus; c++) values[i * stride + c * 16] = i + c;
    expect((await native.mapUpdateBatch(fd, keysOf(2000), values, 2000)).done).toBe(2000);
    const dump = await native.mapDump(fd);
    expect(dump.count).toBe(2000);
    expect(dump.values.length).toBe(2000 * stride);
    const keys = new Uint32Array(dump.keys.buffer);
    for (let i = 0; i < 2000; i++) expect(dump.values[i * stride + 16]).toBe((keys[i]! + 1) & 0xff);
    expect((await native.mapDeleteBatch(fd, keysOf(2000), 2000)).missing).toBe(0);
  });

  it('serve LPM tries', async () => {
    const fd = map('lpm');
    const keys = new Uint8Array(Uint32Array.from({ length: 4000 }, (_, i) => (i % 2 ? i : 32)).buffer);
    expect(await native.mapUpdateBatch(fd, keys, keysOf(2000), 2000)).toEqual({
      done: 2000,
      missing: 0,
      errno: 0,
    });
    const dump = await native.mapDump(fd);
    expect(dump.count).toBe(2000);
    expect(new Set(new Uint32Array(dump.values.buffer))).toEqual(
      new Set(Array.from({ length: 2000 }, (_, i) => i)),
    );
    expect((await native.mapDeleteBatch(fd, keys, 2000)).done).toBe(2000);
    expect((await native.mapDump(fd)).count).toBe(0);
  });
});

describe('dumps', () => {
  it('read every element that stays, once, while others come and go', async () => {
    const fd = map('hash');
    await empty(fd);
    await native.mapUpdateBatch(fd, keysOf(2000), valuesOf(2000), 2000);
    let churning = true;
    const churn = (async () => {
      while (churning) {
        await native.mapUpdateBatch(fd, keysOf(2000, 2000), valuesOf(2000, 2000), 2000);
        await native.mapDeleteBatch(fd, keysOf(2000, 2000), 2000);
      }
    })();
    for (let i = 0; i < 50; i++) {
      const seen = await contents(fd);
      for (let key = 0; key < 2000; key++) expect(seen.get(key)).toBe(BigInt(key) * 3n);
    }
    churning = false;
    await churn;
    await empty(fd);
  });

  it('of an empty map are empty, of a per-CPU array complete', async () => {
    expect((await native.mapDump(map('lru'))).count).toBe(0);
    const dump = await native.mapDump(map('percpu_array'));
    expect([dump.count, dump.values.length]).toEqual([20, 20 * 8 * native.possibleCpus]);
  });

  it('go on when the descriptor is closed meanwhile', async () => {
    const fd = object.mapFd('array');
    const dump = native.mapDump(fd);
    const update = native.mapUpdateBatch(fd, keysOf(3000), valuesOf(3000), 3000);
    native.closeFd(fd);
    // Both were given to the pool before the close; one that had not begun finds no map, which is an error, not a crash.
    for (const result of await Promise.allSettled([dump, update])) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'EBADF' });
    }
  });
});

describe('mapInfo()', () => {
  it('tells type, sizes and flags', () => {
    expect(native.mapInfo(map('lpm'))).toMatchObject({
      type: 11,
      keySize: 8,
      valueSize: 4,
      maxEntries: 5000,
      flags: 1,
    });
    expect(native.mapInfo(map('percpu'))).toMatchObject({ type: 5, keySize: 4, valueSize: 12 });
  });
});
