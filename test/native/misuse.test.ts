import { describe, expect, it } from 'vitest';
import { childJson, fixturePath, runChild } from './lab.js';

const elf = fixturePath('maps');

describe('misuse of the native library', () => {
  const { status, signal, stdout, stderr } = runChild('misuse', [elf]);
  const lines = stdout.trim().split('\n');
  const outcomes = lines.map((line) => line.split(' => ') as [string, string]);

  it('never crashes the process, and leaves it working', () => {
    expect({ status, signal, stderr }).toEqual({ status: 0, signal: null, stderr: '' });
    expect(lines.at(-1)).toBe('still works => true');
    expect(lines.length).toBeGreaterThan(60);
  });

  it.each(outcomes.slice(0, -1))('%s: an error that says so (%s)', (_, outcome) => {
    expect(outcome).toMatch(/^(NativeError|RangeError|TypeError): /);
    expect(outcome).not.toMatch(/undefined.*properties|unknown error/);
  });
});

describe('asynchronous calls', () => {
  it('keep their buffers alive while the garbage collector runs', () => {
    expect(childJson('gc', [elf], { nodeFlags: ['--expose-gc'] })).toEqual({ bad: 0 });
  });
});
