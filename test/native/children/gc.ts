// Asynchronous calls whose buffers nobody but the binding holds, with the garbage collector at work: run with --expose-gc.
import { readFileSync } from 'node:fs';
import { openNative } from '../../../src/native/binding.js';

const native = openNative();
const object = native.openObject(new Uint8Array(readFileSync(process.argv[2]!)), 'maps.bpf.o');
await object.load();
const map = object.mapFd('hash');
const COUNT = 2000;
const collect = (globalThis as { gc?: () => void }).gc;
if (!collect) throw new Error('run with --expose-gc');

/** Fills memory that was freed, so that a buffer that was collected would be read as 0xee. */
function overwriteFreed(): void {
  for (let i = 0; i < 50; i++) new Uint8Array(COUNT * 4 + 64).fill(0xee);
}

function update(round: number): Promise<unknown> {
  const keys = new Uint8Array(Uint32Array.from({ length: COUNT }, (_, i) => i).buffer);
  const values = new Uint8Array(
    BigUint64Array.from({ length: COUNT }, (_, i) => BigInt(round * COUNT + i)).buffer,
  );
  return native.mapUpdateBatch(map, keys, values, COUNT);
}

let bad = 0;
for (let round = 0; round < 20; round++) {
  // More than the pool takes at a time: some wait in the binding's queue.
  const calls = [update(round), update(round), update(round), update(round), update(round)];
  collect();
  overwriteFreed();
  collect();
  await Promise.all(calls);
  const pending = native.mapDump(map);
  collect();
  overwriteFreed();
  const dump = await pending;
  const keys = new Uint32Array(dump.keys.buffer);
  const values = new BigUint64Array(dump.values.buffer);
  if (dump.count !== COUNT) bad++;
  keys.forEach((key, i) => {
    if (values[i] !== BigInt(round * COUNT + key)) bad++;
  });
}
native.closeFd(map);
object.close();
console.log(JSON.stringify({ bad }));
