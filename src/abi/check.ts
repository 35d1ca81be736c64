import { readBtf } from './btf.js';
import { FormatError } from './elf.js';
import { LAYOUT, MAPS } from './layout.gen.js';
import { describeLayout, hashLayout, layoutOf } from './layout.js';

const SHARED: ReadonlySet<string> = new Set(Object.keys(MAPS));

/**
 * The hash of an object's layout: LAYOUT_HASH when it is the one that this code was generated for.
 *
 * @throws FormatError for a file that is not an ELF object with BTF.
 */
export function layoutHashOf(elf: Uint8Array): string {
  return hashLayout(describeLayout(layoutOf(readBtf(elf), SHARED)));
}

/**
 * Refuses an object that was compiled from another abi.h or maps.h than the generated code: keys and values would be
 * written where its programs do not look for them.
 *
 * @param name of the object, for the message.
 */
export function assertLayout(elf: Uint8Array, name: string): void {
  const theirs = new Map(linesOf(elf, name).map((line) => [subject(line), line]));
  const ours = new Map(LAYOUT.map((line) => [subject(line), line]));
  const subjects = [...new Set([...ours.keys(), ...theirs.keys()])];
  const different = subjects.filter((key) => ours.get(key) !== theirs.get(key));
  if (different.length === 0) return;
  if (different.length === subjects.length) throw new Error(`${name} is not one of Portolan's objects`);
  throw new Error(
    `${name} has another layout than this program (${different.slice(0, 5).join(', ')}${different.length > 5 ? ', …' : ''}): ` +
      'they are of different builds; run `make bpf gen` and build again',
  );
}

function linesOf(elf: Uint8Array, name: string): string[] {
  try {
    return describeLayout(layoutOf(readBtf(elf), SHARED));
  } catch (error) {
    if (error instanceof FormatError) throw new FormatError(`${name}: ${error.message}`);
    throw error;
  }
}

/** `struct pl_flow` of `struct pl_flow 48 …`. */
function subject(line: string): string {
  return line.split(' ', 2).join(' ');
}
