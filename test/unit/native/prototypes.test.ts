import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { PROTOTYPES } from '../../../src/native/prototypes.js';

const header = readFileSync(fileURLToPath(new URL('../../../native/portolan.h', import.meta.url)), 'utf8');
const binding = readFileSync(
  fileURLToPath(new URL('../../../src/native/binding.ts', import.meta.url)),
  'utf8',
);

/** Declarations of the header, on one line each; text buffers are bytes in the binding. */
function declared(): string[] {
  return [...header.matchAll(/^PL_API ([^;]+);/gm)].map((match) =>
    match[1]!.replace(/\s+/g, ' ').replace('char *err,', 'uint8_t *err,'),
  );
}

it('the binding declares every function of portolan.h, with the same arguments', () => {
  expect(Object.values(PROTOTYPES).toSorted()).toEqual(declared().toSorted());
  for (const [name, prototype] of Object.entries(PROTOTYPES)) expect(prototype).toContain(` ${name}(`);
});

it('the binding wants the version that portolan.h has', () => {
  const version = /#define PL_ABI_VERSION (\d+)/.exec(header)![1];
  expect(binding).toContain(`const ABI_VERSION = ${version};`);
});
