// From BTF to what user space must know: maps with the layouts of their keys and values, settings, enumerations.
// Everything that could not be written down field by field is refused: bit-fields, unions, pointers, hidden padding.
import type { BtfComposite, BtfEnum, BtfMember, BtfType } from './btf.js';
import { FormatError } from './elf.js';

export type FieldType =
  | { readonly kind: 'int'; readonly size: 1 | 2 | 4 | 8; readonly bigEndian: boolean }
  | { readonly kind: 'bytes'; readonly size: number }
  /** char[N], NUL-terminated. */
  | { readonly kind: 'text'; readonly size: number }
  | { readonly kind: 'struct'; readonly size: number; readonly name: string }
  | { readonly kind: 'array'; readonly size: number; readonly of: FieldType; readonly count: number };

export interface Field {
  readonly name: string;
  readonly offset: number;
  readonly type: FieldType;
  /** Named pad: zero, and nobody's business. */
  readonly padding: boolean;
}

export interface Struct {
  readonly name: string;
  readonly size: number;
  readonly fields: readonly Field[];
}

export interface Enum {
  readonly name: string;
  readonly values: readonly (readonly [name: string, value: number])[];
}

export interface MapLayout {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly maxEntries: number;
  readonly key: FieldType;
  readonly value: FieldType;
}

export interface Layout {
  /** Those that maps and settings use, innermost first. */
  readonly structs: readonly Struct[];
  /** Those of union pl_enums. */
  readonly enums: readonly Enum[];
  readonly maps: readonly MapLayout[];
}

/** What .rodata holds for the agent to set. */
const SETTINGS = 'settings';
/** See bpf/anchor.h. */
const ENUMS = 'pl_enums';

/**
 * @param shared names of the maps that user space knows; an object may have others for itself, of any layout.
 * @throws FormatError where something has no plain layout.
 */
export function layoutOf(types: readonly BtfType[], shared: ReadonlySet<string>): Layout {
  return new Collector(types).layout(shared);
}

/** Names of all maps of an object. */
export function mapNames(types: readonly BtfType[]): string[] {
  return new Collector(types).mapNames();
}

class Collector {
  readonly #types: readonly BtfType[];
  readonly #structs = new Map<string, Struct>();

  constructor(types: readonly BtfType[]) {
    this.#types = types;
  }

  mapNames(): string[] {
    return this.#variables('.maps').map(({ name }) => name);
  }

  layout(shared: ReadonlySet<string>): Layout {
    const variables = this.#variables('.maps').filter(({ name }) => shared.has(name));
    const maps = variables.map(({ name, typeId }) => this.#map(name, typeId));
    const settings = this.#variables('.rodata').find((variable) => variable.name === SETTINGS);
    if (settings) this.#fieldType(settings.typeId, SETTINGS);
    return { structs: [...this.#structs.values()], enums: this.#enums(), maps };
  }

  #at(id: number): BtfType {
    const type = this.#types[id - 1];
    if (!type) throw new FormatError(`BTF type ${id} does not exist`);
    return type;
  }

  /** The type itself, without typedefs and qualifiers; `bigEndian` where one of those says __be16, __be32 or __be64. */
  #strip(id: number): { type: BtfType; bigEndian: boolean } {
    let type = this.#at(id);
    let bigEndian = false;
    while (
      type.kind === 'TYPEDEF' ||
      type.kind === 'CONST' ||
      type.kind === 'VOLATILE' ||
      type.kind === 'TYPE_TAG'
    ) {
      bigEndian ||= /^__be(16|32|64)$/.test(type.name);
      type = this.#at(type.typeId);
    }
    return { type, bigEndian };
  }

  #variables(section: string): { name: string; typeId: number }[] {
    const found = this.#types.find((type) => type.kind === 'DATASEC' && type.name === section);
    if (found?.kind !== 'DATASEC') return [];
    return found.variables.map(({ typeId }) => {
      const variable = this.#at(typeId);
      if (variable.kind !== 'VAR') throw new FormatError(`${section} holds something other than variables`);
      return { name: variable.name, typeId: variable.typeId };
    });
  }

  /** A map's definition: __uint(x, N) is a pointer to an array of N, __type(x, T) a pointer to T (bpf_helpers.h). */
  #map(name: string, typeId: number): MapLayout {
    const definition = this.#strip(typeId).type;
    if (definition.kind !== 'STRUCT') throw new FormatError(`map ${name} has no BTF definition`);
    const pointee = (member: string): number | undefined => {
      const found = definition.members.find((candidate) => candidate.name === member);
      const pointer = found && this.#strip(found.typeId).type;
      return pointer?.kind === 'PTR' ? pointer.typeId : undefined;
    };
    const uint = (member: string): number => {
      const array = pointee(member);
      const type = array === undefined ? undefined : this.#strip(array).type;
      return type?.kind === 'ARRAY' ? type.count : 0;
    };
    const typed = (member: string): FieldType => {
      const id = pointee(member);
      if (id === undefined) throw new FormatError(`map ${name} has no type for its ${member}`);
      return this.#fieldType(id, `${member} of map ${name}`);
    };
    return {
      name,
      type: uint('type'),
      flags: uint('map_flags'),
      maxEntries: uint('max_entries'),
      key: typed('key'),
      value: typed('value'),
    };
  }

  #fieldType(id: number, where: string): FieldType {
    const { type, bigEndian } = this.#strip(id);
    switch (type.kind) {
      case 'INT':
        if (type.signed && type.size !== 1) throw new FormatError(`${where} is signed`);
        return { kind: 'int', size: type.size as 1 | 2 | 4 | 8, bigEndian };
      case 'STRUCT':
        this.#struct(type);
        return { kind: 'struct', size: type.size, name: type.name };
      case 'ARRAY':
        return this.#array(type.typeId, type.count, where);
      default:
        throw new FormatError(`${where} is a ${type.kind}, which has no plain layout`);
    }
  }

  #array(elementId: number, count: number, where: string): FieldType {
    const element = this.#strip(elementId).type;
    if (element.kind === 'INT' && element.size === 1) {
      // clang describes char as a signed integer of that name
      return { kind: element.name === 'char' ? 'text' : 'bytes', size: count };
    }
    const of = this.#fieldType(elementId, where);
    return { kind: 'array', size: of.size * count, of, count };
  }

  #struct(type: BtfComposite): void {
    if (type.name === '') throw new FormatError('a struct in a map or in settings has no name');
    if (this.#structs.has(type.name)) return;
    let end = 0;
    const fields = type.members.map((member) => {
      const field = this.#field(type.name, member);
      if (field.offset !== end)
        throw new FormatError(`struct ${type.name} has hidden padding before ${field.name}`);
      end += field.type.size;
      return field;
    });
    if (end !== type.size) throw new FormatError(`struct ${type.name} has hidden padding at its end`);
    this.#structs.set(type.name, { name: type.name, size: type.size, fields });
  }

  #field(struct: string, member: BtfMember): Field {
    const where = `${struct}.${member.name}`;
    if (member.bits !== 0 || member.name === '') throw new FormatError(`${where} has no plain layout`);
    const type = this.#fieldType(member.typeId, where);
    return { name: member.name, offset: member.bitOffset / 8, type, padding: /^pad\d*$/.test(member.name) };
  }

  #enums(): Enum[] {
    const union = this.#types.find((type) => type.kind === 'UNION' && type.name === ENUMS);
    if (union?.kind !== 'UNION') return [];
    return union.members
      .map((member) => this.#strip(member.typeId).type)
      .filter((type): type is BtfEnum => type.kind === 'ENUM')
      .map((type) => ({
        name: type.name,
        values: type.values.map(({ name, value }) => [name, Number(value)]),
      }));
  }
}

/**
 * One line for each struct, enumeration and map, sorted: what must be equal in user space and kernel. A map's size is not
 * in it, because it is a setting.
 */
export function describeLayout(layout: Layout): string[] {
  const lines = [
    ...layout.structs.map((struct) => {
      const fields = struct.fields.map(
        (field) => `${field.name}:${describeType(field.type)}@${field.offset}`,
      );
      return `struct ${struct.name} ${struct.size} ${fields.join(' ')}`;
    }),
    ...layout.enums.map(
      (one) => `enum ${one.name} ${one.values.map(([name, value]) => `${name}=${value}`).join(' ')}`,
    ),
    ...layout.maps.map((map) => {
      return `map ${map.name} type=${map.type} flags=${map.flags} key=${describeType(map.key)} value=${describeType(map.value)}`;
    }),
  ];
  return lines.sort();
}

function describeType(type: FieldType): string {
  switch (type.kind) {
    case 'int':
      return `${type.bigEndian ? 'be' : 'u'}${type.size * 8}`;
    case 'struct':
      return type.name;
    case 'array':
      return `${describeType(type.of)}[${type.count}]`;
    default:
      return `${type.kind}[${type.size}]`;
  }
}

/** FNV-1a over the lines, 64 bits, as 16 hexadecimal digits: what struct pl_meta keeps. */
export function hashLayout(lines: readonly string[]): string {
  let hash = 0xcbf29ce484222325n;
  for (const line of lines) {
    for (const char of `${line}\n`) {
      hash = BigInt.asUintN(64, (hash ^ BigInt(char.charCodeAt(0))) * 0x100000001b3n);
    }
  }
  return hash.toString(16).padStart(16, '0');
}
