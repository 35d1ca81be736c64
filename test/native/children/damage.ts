// Opens and loads an object that has been cut off or changed at many places. Prints how each attempt ended.
import { readFileSync } from 'node:fs';
import { NativeError } from '../../../src/native/api.js';
import { openNative } from '../../../src/native/binding.js';

const native = openNative();
const whole = new Uint8Array(readFileSync(process.argv[2]!));
const ends: Record<string, number> = {};

async function attempt(elf: Uint8Array<ArrayBuffer>): Promise<string> {
  try {
    const object = native.openObject(elf, 'damaged');
    try {
      await object.load();
      return 'loaded';
    } catch (error) {
      if (!(error instanceof NativeError)) throw error;
      return 'refused by load';
    } finally {
      object.close();
    }
  } catch (error) {
    if (!(error instanceof NativeError)) throw error;
    return 'refused by open';
  }
}

function flipped(at: number): Uint8Array<ArrayBuffer> {
  const elf = whole.slice();
  elf[at]! ^= 0xff;
  return elf;
}

const step = Number(process.argv[3]);
for (let at = 0; at < whole.length; at += step) {
  for (const elf of [flipped(at), whole.slice(0, at)]) {
    const end = await attempt(elf);
    ends[end] = (ends[end] ?? 0) + 1;
  }
}
console.log(JSON.stringify(ends));
