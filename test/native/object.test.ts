import { existsSync, readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BpfObject, type Native, NativeError } from '../../src/native/api.js';
import { openNative } from '../../src/native/binding.js';
import { Cleanup, childJson, fixture, fixturePath, makeBpffs } from './lab.js';

const cleanup = new Cleanup();
let native: Native;
let pins: string;

beforeAll(() => {
  native = openNative();
  pins = makeBpffs(cleanup, (path) => native.mountBpffs(path));
});
afterAll(() => cleanup.run());

async function withObject<T>(use: (object: BpfObject) => Promise<T>, elf = fixture('maps')): Promise<T> {
  const object = native.openObject(elf, 'maps.bpf.o');
  try {
    return await use(object);
  } finally {
    object.close();
  }
}

async function failure(promise: Promise<unknown>): Promise<NativeError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(NativeError);
  return error as NativeError;
}

function keyOf(value: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Uint32Array.of(value).buffer);
}

describe('an object', () => {
  it('gives programs and maps once it is loaded, and counts what the verifier walked', async () => {
    await withObject(async (object) => {
      expect(() => object.programFd('pl_pass')).toThrow(/ENODATA.*not loaded/);
      await object.load();
      const fd = object.programFd('pl_pass');
      expect(object.verifiedInstructions('pl_grow')).toBeGreaterThan(object.verifiedInstructions('pl_pass'));
      expect(object.verifiedInstructions('pl_pass')).toBeGreaterThan(0);
      native.closeFd(fd);
      expect(() => object.programFd('nothing')).toThrow(/program nothing of maps.bpf.o.*ENOENT/);
      expect(() => object.mapFd('nothing')).toThrow(/map nothing of maps.bpf.o.*ENOENT/);
    });
  });

  it('leaves out programs that are not wanted', async () => {
    await withObject(async (object) => {
      object.setAutoload('pl_grow', false);
      await object.load();
      expect(() => object.programFd('pl_grow')).toThrow(/not loaded/);
      native.closeFd(object.programFd('pl_pass'));
    });
  });

  it('runs with the settings that were put into .rodata', async () => {
    await withObject(async (object) => {
      const settings = new Uint8Array(16);
      new DataView(settings.buffer).setUint32(8, 42, true);
      new DataView(settings.buffer).setUint32(12, 0x4000, true);
      object.setVariable('settings', settings);
      await object.load();
      const program = object.programFd('pl_other');
      const run = native.programRun(program, new Uint8Array(64));
      expect(run.retval).toBe(42);
      expect(new DataView(run.context.buffer).getUint32(8, true)).toBe(0x4000);
      expect(run.context.length).toBe(192);
      native.closeFd(program);
      // Its neighbour in the section is untouched.
      const other = object.programFd('pl_grow');
      native.programRun(other, new Uint8Array(64));
      const map = object.mapFd('hash');
      const value = new Uint8Array(8);
      expect(native.mapLookup(map, keyOf(1), value)).toBe(true);
      expect(value[0]).toBe(7);
      native.closeFd(map);
      native.closeFd(other);
    });
  });

  it('refuses unknown variables and wrong sizes, and everything once it is loaded', async () => {
    await withObject(async (object) => {
      expect(() => object.setVariable('nothing', new Uint8Array(4))).toThrow(
        /no variable 'nothing' in .rodata/,
      );
      expect(() => object.setVariable('settings', new Uint8Array(4))).toThrow(
        /'settings' has 16 bytes, not 4/,
      );
      expect(() => object.setMapMaxEntries('nothing', 4)).toThrow(/no map 'nothing'/);
      expect(() => object.setAutoload('nothing', true)).toThrow(/no program 'nothing'/);
      object.setMapMaxEntries('hash', 123);
      await object.load();
      const fd = object.mapFd('hash');
      expect(native.mapInfo(fd).maxEntries).toBe(123);
      native.closeFd(fd);
      expect(() => object.setVariable('settings', new Uint8Array(16))).toThrow(/EBUSY.*has been loaded/);
      await expect(object.load()).rejects.toThrow(/EBUSY/);
    });
  });

  it('cannot be used after close, nor closed twice or while it is being loaded', async () => {
    const object = native.openObject(fixture('maps'), 'maps.bpf.o');
    const loading = object.load();
    expect(() => object.close()).toThrow(/EBADF.*being loaded/);
    await loading;
    object.close();
    expect(() => object.close()).toThrow(/EBADF/);
    expect(() => object.programFd('pl_pass')).toThrow(/EBADF/);
    await expect(object.load()).rejects.toThrow(/EBADF/);
  });
});

describe('a program that the verifier refuses', () => {
  it('fails with the reason in the message and the end of the log', async () => {
    const object = native.openObject(fixture('refused'), 'refused.bpf.o');
    const error = await failure(object.load());
    expect(error.code).toBe('EACCES');
    expect(error.operation).toBe('load refused.bpf.o');
    expect(error.log).toContain("prog 'pl_refused'");
    expect(error.log).toMatch(/R\d invalid mem access 'map_value_or_null'/);
    expect(error.message).toContain('invalid mem access');
    object.close();
  });

  it('leaves no pin of its maps behind', async () => {
    const object = native.openObject(fixture('refused'), 'refused.bpf.o');
    object.setMapPin('things', `${pins}/things`);
    await failure(object.load());
    expect(existsSync(`${pins}/things`)).toBe(false);
    object.close();
  });
});

describe('pinned maps', () => {
  it('are made once and found again by the next object', async () => {
    const path = `${pins}/hash`;
    const id = await withObject(async (object) => {
      object.setMapPin('hash', path);
      await object.load();
      const fd = object.mapFd('hash');
      native.mapUpdate(fd, keyOf(9), new Uint8Array(8).fill(9));
      const info = native.mapInfo(fd);
      native.closeFd(fd);
      return info.id;
    });
    await withObject(async (object) => {
      object.setMapPin('hash', path);
      await object.load();
      const fd = object.mapFd('hash');
      expect(native.mapInfo(fd).id).toBe(id);
      expect(native.mapLookup(fd, keyOf(9), new Uint8Array(8))).toBe(true);
      native.closeFd(fd);
    });
    const pinned = native.getPinned(path);
    expect(native.mapInfo(pinned).id).toBe(id);
    native.closeFd(pinned);
    expect(native.getPinned(`${path}-not`)).toBe(-1);
  });

  it('of other parameters are refused by map, path and difference', async () => {
    await withObject(async (object) => {
      object.setMapPin('small', `${pins}/hash`);
      const error = await failure(object.load());
      expect(error.code).toBe('EEXIST');
      expect(error.log).toContain(
        `map 'small' is pinned at ${pins}/hash with max_entries 5000, this object needs 100`,
      );
      expect(error.message).toContain("map 'small' is pinned");
    });
  });

  it('must be on a bpffs, in a folder that is there', async () => {
    await withObject(async (object) => {
      object.setMapPin('hash', '/tmp/plt-native-not-bpffs');
      expect((await failure(object.load())).message).toMatch(/BPF FS/);
    });
    await withObject(async (object) => {
      await object.load();
      const fd = object.mapFd('hash');
      expect(() => native.pin(fd, `${pins}/no/such/folder`)).toThrow(/ENOENT.*folder does not exist/);
      expect(() => native.pin(fd, '/tmp/plt-native-not-bpffs')).toThrow(/EPERM.*must be on a bpffs/);
      expect(() => native.pin(fd, `${pins}/hash`)).toThrow(/EEXIST/);
      native.closeFd(fd);
    });
  });
});

describe('garbage', () => {
  const whole = fixture('maps');

  it.each([
    ['nothing', new Uint8Array(0)],
    ['text', new TextEncoder().encode('not an ELF file, whatever it may be called')],
    ['zeros', new Uint8Array(4096)],
    ['an ELF header', whole.slice(0, 64)],
    ['a library', new Uint8Array(readFileSync(process.execPath).subarray(0, 100_000))],
  ])('%s is refused', (_, elf) => {
    expect(() => native.openObject(elf, 'garbage')).toThrow(NativeError);
  });

  it('cut off or changed in one byte anywhere is refused or loads, but never crashes', () => {
    const ends = childJson<Record<string, number>>('damage', [fixturePath('maps'), '61']);
    expect(ends['refused by open']).toBeGreaterThan(100);
    expect(ends.loaded).toBeGreaterThan(10);
  });
});

describe('programRun()', () => {
  it('gives back a packet that has grown, and what a context held', async () => {
    await withObject(async (object) => {
      await object.load();
      const program = object.programFd('pl_grow');
      const packet = new Uint8Array(64).map((_, i) => i);
      const context = new Uint8Array(192);
      new DataView(context.buffer).setUint32(8, 5, true);
      const run = native.programRun(program, packet, { context });
      expect(run.data.length).toBe(164);
      expect(run.data.subarray(14, 64)).toEqual(packet.subarray(14));
      expect(new DataView(run.context.buffer).getUint32(8, true)).toBe(5);
      expect(context[0]).toBe(0);
      expect(native.programRun(program, packet, { repeat: 10 }).durationNs).toBeGreaterThan(0);
      expect(() => native.programRun(program, new Uint8Array(3))).toThrow(/14 bytes or more/);
      native.closeFd(program);
    });
  });
});
