// The little of ELF that is needed to find a section. Objects of clang's BPF target are 64-bit little-endian.

const MAGIC = 0x464c457f;
const CLASS_64 = 2;
const LITTLE_ENDIAN = 1;
const HEADER_SIZE = 64;
const SECTION_HEADER_SIZE = 64;

/** A file that is not what it should be: truncated, garbage, or of another kind. */
export class FormatError extends Error {
  constructor(text: string) {
    super(text);
    this.name = 'FormatError';
  }
}

/**
 * The bytes of the section of that name.
 *
 * @throws FormatError where the file is no such ELF file or has no such section.
 */
export function elfSection(elf: Uint8Array, name: string): Uint8Array {
  const view = viewOf(elf);
  checkHeader(elf, view);
  const sections = sectionHeaders(elf, view);
  const names = sections[view.getUint16(0x3e, true)];
  if (!names) throw new FormatError('not a usable ELF file: no section names');
  const found = sections.find((section) => textAt(elf, names.offset + section.name) === name);
  if (!found) throw new FormatError(`this ELF file has no section ${name}`);
  return elf.subarray(found.offset, found.offset + found.size);
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** NUL-terminated text. */
export function textAt(bytes: Uint8Array, offset: number): string {
  const end = bytes.indexOf(0, offset);
  if (offset >= bytes.length || end < 0) throw new FormatError('a name lies outside the file');
  let text = '';
  for (let i = offset; i < end; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}

function checkHeader(elf: Uint8Array, view: DataView): void {
  if (elf.length < HEADER_SIZE || view.getUint32(0, true) !== MAGIC) throw new FormatError('not an ELF file');
  if (elf[4] !== CLASS_64 || elf[5] !== LITTLE_ENDIAN) {
    throw new FormatError('not a 64-bit little-endian ELF file');
  }
}

interface Section {
  /** Offset in the table of names. */
  readonly name: number;
  readonly offset: number;
  readonly size: number;
}

function sectionHeaders(elf: Uint8Array, view: DataView): Section[] {
  const table = Number(view.getBigUint64(0x28, true));
  const entry = view.getUint16(0x3a, true);
  const count = view.getUint16(0x3c, true);
  if (entry !== SECTION_HEADER_SIZE || table + entry * count > elf.length) {
    throw new FormatError('the ELF file is truncated');
  }
  return Array.from({ length: count }, (_, i) => {
    const at = table + i * entry;
    return {
      name: view.getUint32(at, true),
      offset: Number(view.getBigUint64(at + 0x18, true)),
      size: Number(view.getBigUint64(at + 0x20, true)),
    };
  });
}
