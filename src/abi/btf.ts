// Reads BTF, the kernel's compact type description (Documentation/bpf/btf.rst), from a compiled BPF object.
import { elfSection, FormatError, textAt, viewOf } from './elf.js';

export interface BtfMember {
  /** '' for an anonymous struct or union inside another. */
  readonly name: string;
  readonly typeId: number;
  readonly bitOffset: number;
  /** 0: not a bit-field. */
  readonly bits: number;
}

export interface BtfEnumerator {
  readonly name: string;
  readonly value: bigint;
}

export interface BtfVariable {
  readonly typeId: number;
  readonly offset: number;
  readonly size: number;
}

interface Common {
  /** Position in the section, from 1; 0 is void. */
  readonly id: number;
  /** '' where it has none. */
  readonly name: string;
}

export interface BtfInt extends Common {
  readonly kind: 'INT';
  readonly size: number;
  readonly bits: number;
  readonly signed: boolean;
  readonly encoding: '' | 'SIGNED' | 'CHAR' | 'BOOL';
}

export interface BtfArray extends Common {
  readonly kind: 'ARRAY';
  readonly typeId: number;
  readonly indexTypeId: number;
  readonly count: number;
}

export interface BtfComposite extends Common {
  readonly kind: 'STRUCT' | 'UNION';
  readonly size: number;
  readonly members: readonly BtfMember[];
}

export interface BtfEnum extends Common {
  readonly kind: 'ENUM' | 'ENUM64';
  readonly size: number;
  readonly values: readonly BtfEnumerator[];
}

export interface BtfReference extends Common {
  readonly kind:
    | 'PTR'
    | 'TYPEDEF'
    | 'VOLATILE'
    | 'CONST'
    | 'RESTRICT'
    | 'FUNC'
    | 'VAR'
    | 'TYPE_TAG'
    | 'DECL_TAG';
  readonly typeId: number;
}

export interface BtfSection extends Common {
  readonly kind: 'DATASEC';
  readonly size: number;
  readonly variables: readonly BtfVariable[];
}

export interface BtfOther extends Common {
  readonly kind: 'FWD' | 'FUNC_PROTO' | 'FLOAT';
}

export type BtfType = BtfInt | BtfArray | BtfComposite | BtfEnum | BtfReference | BtfSection | BtfOther;

const MAGIC = 0xeb9f;

const KINDS = [
  undefined,
  'INT',
  'PTR',
  'ARRAY',
  'STRUCT',
  'UNION',
  'ENUM',
  'FWD',
  'TYPEDEF',
  'VOLATILE',
  'CONST',
  'RESTRICT',
  'FUNC',
  'FUNC_PROTO',
  'VAR',
  'DATASEC',
  'FLOAT',
  'DECL_TAG',
  'TYPE_TAG',
  'ENUM64',
] as const;

/**
 * All types of an object, in order.
 *
 * @throws FormatError for a file that is not an ELF object with BTF, or is damaged.
 */
export function readBtf(elf: Uint8Array): BtfType[] {
  try {
    return new Reader(elfSection(elf, '.BTF')).types();
  } catch (error) {
    // What a DataView says when an offset leads out of the file.
    if (error instanceof RangeError) throw new FormatError('the BTF of this file is damaged');
    throw error;
  }
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #end: number;
  readonly #strings: number;
  #at: number;
  #id = 1;

  constructor(section: Uint8Array) {
    this.#bytes = section;
    this.#view = viewOf(section);
    if (this.#view.getUint16(0, true) !== MAGIC) throw new FormatError('bad magic number of BTF');
    const header = this.#view.getUint32(4, true);
    this.#at = header + this.#view.getUint32(8, true);
    this.#end = this.#at + this.#view.getUint32(12, true);
    this.#strings = header + this.#view.getUint32(16, true);
  }

  types(): BtfType[] {
    const types: BtfType[] = [];
    while (this.#at < this.#end) types.push(this.#type());
    return types;
  }

  #u32(): number {
    const value = this.#view.getUint32(this.#at, true);
    this.#at += 4;
    return value;
  }

  #text(): string {
    return textAt(this.#bytes, this.#strings + this.#u32());
  }

  #list<T>(count: number, one: () => T): T[] {
    return Array.from({ length: count }, one);
  }

  #type(): BtfType {
    const common = { id: this.#id++, name: this.#text() };
    const info = this.#u32();
    const sizeOrType = this.#u32();
    const kind = KINDS[(info >>> 24) & 0x1f];
    const count = info & 0xffff;
    const flag = info >>> 31 === 1;
    switch (kind) {
      case 'INT':
        return { ...common, kind, size: sizeOrType, ...this.#int() };
      case 'ARRAY':
        return { ...common, kind, typeId: this.#u32(), indexTypeId: this.#u32(), count: this.#u32() };
      case 'STRUCT':
      case 'UNION':
        return { ...common, kind, size: sizeOrType, members: this.#list(count, () => this.#member(flag)) };
      case 'ENUM':
        return { ...common, kind, size: sizeOrType, values: this.#list(count, () => this.#value32(flag)) };
      case 'ENUM64':
        return { ...common, kind, size: sizeOrType, values: this.#list(count, () => this.#value64(flag)) };
      case 'DATASEC':
        return { ...common, kind, size: sizeOrType, variables: this.#list(count, () => this.#variable()) };
      case 'FUNC_PROTO':
        this.#at += count * 8;
        return { ...common, kind };
      case 'FWD':
      case 'FLOAT':
        return { ...common, kind };
      case undefined:
        throw new FormatError(`BTF kind ${(info >>> 24) & 0x1f} is not known`);
      default:
        // VAR has its linkage, DECL_TAG its component after it
        if (kind === 'VAR' || kind === 'DECL_TAG') this.#at += 4;
        return { ...common, kind, typeId: sizeOrType };
    }
  }

  #int(): Pick<BtfInt, 'bits' | 'signed' | 'encoding'> {
    const word = this.#u32();
    const bit = (word >>> 24) & 0xf;
    const encoding = bit & 1 ? 'SIGNED' : bit & 2 ? 'CHAR' : bit & 4 ? 'BOOL' : '';
    return { bits: word & 0xff, signed: (bit & 1) === 1, encoding };
  }

  #member(bitFields: boolean): BtfMember {
    const name = this.#text();
    const typeId = this.#u32();
    const offset = this.#u32();
    return bitFields
      ? { name, typeId, bitOffset: offset & 0xffffff, bits: offset >>> 24 }
      : { name, typeId, bitOffset: offset, bits: 0 };
  }

  #value32(signed: boolean): BtfEnumerator {
    const name = this.#text();
    const value = this.#u32();
    return { name, value: BigInt(signed ? value | 0 : value) };
  }

  #value64(signed: boolean): BtfEnumerator {
    const name = this.#text();
    const value = BigInt(this.#u32()) | (BigInt(this.#u32()) << 32n);
    return { name, value: signed ? BigInt.asIntN(64, value) : value };
  }

  #variable(): BtfVariable {
    return { typeId: this.#u32(), offset: this.#u32(), size: this.#u32() };
  }
}
