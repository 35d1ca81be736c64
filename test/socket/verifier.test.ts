// What the verifier walks, program by program: growth is a decision, not an accident.

import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { release } from 'node:os';
import { beforeAll, describe, expect, it } from 'vitest';
import { openNative } from '../../src/native/binding.js';
import { openSockObject, PROGRAMS } from './hook.js';

const FILE = 'test/socket/verifier.csv';
const HEADER = 'kernel,program,instructions\n';
const UPDATE = process.env.UPDATE_VERIFIER === '1';
/** Kernels of one series walk a program alike. */
const kernel = release().split('.').slice(0, 2).join('.');

const native = openNative();
const instructions = new Map<string, number>();

beforeAll(async () => {
  const object = openSockObject(native, native.netnsCookie());
  await object.load();
  for (const program of Object.keys(PROGRAMS))
    instructions.set(program, object.verifiedInstructions(program));
  object.close();
});

/** Counts on file for this kernel series. */
function known(): Map<string, number> {
  const rows = readFileSync(FILE, 'utf8').trim().split('\n').slice(1);
  const own = rows.map((row) => row.split(',')).filter(([series]) => series === kernel);
  return new Map(own.map(([, program, count]) => [program!, Number(count)]));
}

/** Writes this kernel's counts: all anew when asked to, else only where the series is not on file yet. */
function record(): void {
  const rows = [...instructions].map(([program, count]) => `${kernel},${program},${count}\n`).join('');
  if (UPDATE) {
    const others = readFileSync(FILE, 'utf8')
      .split('\n')
      .slice(1)
      .filter((row) => row !== '');
    const kept = others.filter((row) => !row.startsWith(`${kernel},`)).map((row) => `${row}\n`);
    writeFileSync(FILE, HEADER + kept.join('') + rows);
  } else if (known().size === 0) {
    appendFileSync(FILE, rows);
  }
}

describe('verifier', () => {
  it.each([
    ['a kernel without cookies of network namespaces', 0n, true],
    ['connected UDP per packet', 1n, false],
  ])('every program loads: %s', async (_name, hostNetns, udpConnect) => {
    const object = openSockObject(native, hostNetns, { udpConnect });
    await object.load();
    object.close();
  });

  it.each(Object.keys(PROGRAMS))('%s loads, and has not grown by more than 10 %', (program) => {
    record();
    const count = instructions.get(program)!;
    // Linux before 5.16 does not tell: then loading is what is tested.
    if (count === 0 && Number(kernel.split('.')[0]) < 6) return;
    expect(count).toBeGreaterThan(0);
    const before = known().get(program);
    const hint = `${program}: ${count} instructions, ${before} in ${FILE}; if that is meant: UPDATE_VERIFIER=1 npx vitest run ${FILE.replace('csv', 'test.ts')}`;
    expect(count, hint).toBeLessThanOrEqual((before ?? 0) * 1.1);
  });
});
