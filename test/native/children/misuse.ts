// Everything that must not be done to the native library. Prints one line for each case: a crash ends the list.
import { readFileSync } from 'node:fs';
import type { Bytes, Native, SocketToDestroy } from '../../../src/native/api.js';
import { openNative } from '../../../src/native/binding.js';

const native = openNative();
const elf = new Uint8Array(readFileSync(process.argv[2]!));
const wrong = <T>(value: unknown): T => value as T;
const bytes = (length: number): Bytes => new Uint8Array(length);

const object = native.openObject(elf, 'maps.bpf.o');
await object.load();
const map = object.mapFd('hash');
const program = object.programFd('pl_pass');
const closed = object.mapFd('lru');
native.closeFd(closed);
const gone = native.openObject(elf, 'gone');
gone.close();
const detached = bytes(4);
structuredClone(detached.buffer, { transfer: [detached.buffer] });

const cases: Record<string, () => unknown> = {
  'object closed twice': () => gone.close(),
  'object loaded after close': () => gone.load(),
  'object used after close': () => gone.mapFd('hash'),
  'variable set after close': () => gone.setVariable('settings', bytes(16)),
  'object of a number': () => native.openObject(wrong(5), 'x'),
  'object of null': () => native.openObject(wrong(null), 'x'),
  'object of text': () => native.openObject(wrong('x'), 'x'),
  'object without a name': () => native.openObject(elf, wrong(undefined)),
  'object with NUL in its name': () => native.openObject(elf, 'a\0b'),
  'map of undefined name': () => object.mapFd(wrong(undefined)),
  'program of a name with NUL': () => object.programFd('pl_pass\0'),
  'max entries of NaN': () => object.setMapMaxEntries('hash', Number.NaN),
  'descriptor closed twice': () => native.closeFd(closed),
  'foreign descriptor closed': () => native.closeFd(0),
  'descriptor NaN closed': () => native.closeFd(Number.NaN),
  'closed map read': () => native.mapLookup(closed, bytes(4), bytes(8)),
  'program read as a map': () => native.mapLookup(program, bytes(4), bytes(8)),
  'program described as a map': () => native.mapInfo(program),
  'standard output read as a map': () => native.mapLookup(1, bytes(4), bytes(8)),
  'map undefined': () => native.mapInfo(wrong(undefined)),
  'map -1': () => native.mapInfo(-1),
  'map 1.5': () => native.mapInfo(1.5),
  'map 2^40': () => native.mapInfo(2 ** 40),
  'map 999999': () => native.mapInfo(999_999),
  'short key': () => native.mapLookup(map, bytes(3), bytes(8)),
  'long key': () => native.mapLookup(map, bytes(5), bytes(8)),
  'short value to read into': () => native.mapLookup(map, bytes(4), bytes(7)),
  'short value to write': () => native.mapUpdate(map, bytes(4), bytes(1)),
  'no key': () => native.mapDelete(map, wrong(undefined)),
  'number as key': () => native.mapDelete(map, wrong(5n)),
  'array as key': () => native.mapDelete(map, wrong([0, 0, 0, 0])),
  'other typed array as key': () => native.mapDelete(map, wrong(new Uint32Array(1))),
  'shared memory as key': () => native.mapDelete(map, wrong(new Uint8Array(new SharedArrayBuffer(4)))),
  'detached key': () => native.mapDelete(map, detached),
  'flags 2^33': () => native.mapUpdate(map, bytes(4), bytes(8), 2 ** 33),
  'flags of nonsense': () => native.mapUpdate(map, bytes(4), bytes(8), 99),
  'batch with short keys': () => native.mapUpdateBatch(map, bytes(40), bytes(160), 20),
  'batch with short values': () => native.mapUpdateBatch(map, bytes(80), bytes(100), 20),
  'batch of 2^32 elements': () => native.mapUpdateBatch(map, bytes(80), bytes(160), 2 ** 32 - 1),
  'batch of -1 elements': () => native.mapDeleteBatch(map, bytes(80), -1),
  'batch of NaN elements': () => native.mapDeleteBatch(map, bytes(80), Number.NaN),
  'batch to a program': () => native.mapDeleteBatch(program, bytes(80), 20),
  'dump of a program': () => native.mapDump(program),
  'dump of nothing': () => native.mapDump(wrong(undefined)),
  'link of a map': () => native.linkCreate(map, 1, 46),
  'link to no device': () => native.linkCreate(program, 0x7fffffff, 46),
  'link of no type': () => native.linkCreate(program, 1, 4000),
  'link of undefined': () => native.linkCreate(wrong(undefined), 1, 46),
  'link to a file': () => native.linkCreate(object.programFd('pl_connect'), 0, 10),
  'update of a map as a link': () => native.linkUpdate(map, program),
  'detach of a map': () => native.linkDetach(map),
  'info of a closed link': () => native.linkInfo(closed),
  'filter on no device': () => native.tcAttach(0x7fffffff, 'ingress', program),
  'filter on device 0': () => native.tcAttach(0, 'ingress', program),
  'filter sideways': () => native.tcAttach(1, wrong('sideways'), program),
  'detach from no device': () => native.tcDetach(0x7fffffff, 'egress'),
  'pin without a path': () => native.pin(map, ''),
  'pin of a path that is too long': () => native.pin(map, `/sys/fs/bpf/${'x'.repeat(5000)}`),
  'pin of undefined': () => native.pin(map, wrong(undefined)),
  'run of a map': () => native.programRun(map, bytes(64)),
  'run over nothing': () => native.programRun(program, bytes(0)),
  'run over too much': () => native.programRun(program, bytes(1 << 20)),
  'run with a strange context': () =>
    native.programRun(program, bytes(64), { context: bytes(192).fill(0xff) }),
  'run with a long context': () => native.programRun(program, bytes(64), { context: bytes(100_000).fill(1) }),
  'run -1 times': () => native.programRun(program, bytes(64), { repeat: -1 }),
  'cookie of a file': () => native.netnsCookie('/etc/hostname'),
  'cookie of nothing': () => native.netnsCookie('/nowhere'),
  'cookie of ""': () => native.netnsCookie(''),
  'sockets of no namespace': () =>
    native.destroySockets('/nowhere', [{ family: 4, protocol: 17, cookie: 1n }]),
  'socket of family 5': () =>
    native.destroySockets('/proc/self/ns/net', [
      wrong<SocketToDestroy>({ family: 5, protocol: 17, cookie: 1n }),
    ]),
  'socket with a number as cookie': () =>
    native.destroySockets('/proc/self/ns/net', [
      wrong<SocketToDestroy>({ family: 4, protocol: 17, cookie: 1 }),
    ]),
  'socket with a long cookie': () =>
    native.destroySockets('/proc/self/ns/net', [{ family: 4, protocol: 17, cookie: 1n << 64n }]),
  'lock of nothing': () => native.lock('/nowhere'),
  'mount at nothing': () => native.mountBpffs('/nowhere'),
  'file system of nothing': () => native.filesystemType('/nowhere'),
};

async function outcome(run: () => unknown): Promise<string> {
  try {
    const result = await run();
    return `RETURNED ${String(result)}`;
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
}

for (const [name, run] of Object.entries(cases)) console.log(`${name} => ${await outcome(run)}`);

// Afterwards everything works as before.
native.mapUpdate(map, bytes(4), bytes(8).fill(1));
const value = bytes(8);
console.log(`still works => ${(native satisfies Native).mapLookup(map, bytes(4), value) && value[0] === 1}`);
