// `make gen`: reads the BTF of the compiled objects and writes src/abi/layout.gen.ts.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type BtfType, readBtf } from '../src/abi/btf.js';
import { describeLayout, type Layout, layoutOf, mapNames } from '../src/abi/layout.js';
import { emitLayout } from './emit-layout.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const OBJECTS = ['build/tc.bpf.o', 'build/sock.bpf.o'];

interface Input {
  readonly path: string;
  readonly types: readonly BtfType[];
}

/** A map is shared when every object has it: bpf/maps.h is in all of them, what else there is concerns one only. */
function sharedMaps(inputs: readonly Input[]): Set<string> {
  const names = inputs.map(({ types }) => new Set(mapNames(types)));
  return new Set([...names[0]!].filter((name) => names.every((others) => others.has(name))));
}

function sharedLayout(inputs: readonly Input[]): Layout {
  const shared = sharedMaps(inputs);
  const layouts = inputs.map(({ path, types }) => ({ path, layout: layoutOf(types, shared) }));
  const [first, ...others] = layouts;
  for (const { path, layout } of others) {
    const known = new Set(describeLayout(first!.layout));
    const different = describeLayout(layout).find((line) => !known.has(line));
    if (different) throw new Error(`${path} and ${first!.path} do not agree, build both anew: ${different}`);
  }
  return first!.layout;
}

function main(): void {
  const given = process.argv.slice(2);
  const paths = given.length > 0 ? given : OBJECTS.map((path) => root + path);
  const inputs = paths.map((path) => ({ path, types: readBtf(readFileSync(path)) }));
  writeFileSync(`${root}src/abi/layout.gen.ts`, emitLayout(sharedLayout(inputs)));
}

main();
