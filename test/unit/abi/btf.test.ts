import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { type BtfType, readBtf } from '../../../src/abi/btf.js';
import { assertLayout, layoutHashOf } from '../../../src/abi/check.js';
import { FormatError } from '../../../src/abi/elf.js';
import { LAYOUT_HASH } from '../../../src/abi/layout.gen.js';
import { layoutOf } from '../../../src/abi/layout.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const work = mkdtempSync(join(tmpdir(), 'plt-abi-'));
afterAll(() => rmSync(work, { recursive: true }));

let count = 0;
const include = [
  '-Ibpf',
  `-I/usr/include/${execFileSync('uname', ['-m'], { encoding: 'utf8' }).trim()}-linux-gnu`,
];

function compile(source: string): { path: string; elf: Uint8Array } {
  const path = join(work, `${count++}.bpf.o`);
  writeFileSync(`${path}.c`, source);
  execFileSync(
    'clang',
    ['-g', '-O2', '-target', 'bpf', '-mcpu=v3', ...include, '-c', `${path}.c`, '-o', path],
    {
      cwd: root,
    },
  );
  return { path, elf: new Uint8Array(readFileSync(path)) };
}

const MANY_KINDS = `
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
enum small { ONE = 1, BIG = 0x40000000 };
typedef volatile const int wrapped;
struct inner { __u8 a; __be16 b; };
union either { __u32 number; struct inner inner; };
struct outer {
	struct inner inner; union either either; enum small small; char text[8]; __u64 big; wrapped *pointer;
	unsigned bit1 : 1; int bit5 : 5; _Bool yes; __s16 minus; struct unknown *unknown; struct { int x; }; float real;
};
struct outer global = {};
const volatile __u32 setting = 5;
static __noinline int twice(const struct outer *o) { return o ? o->bit1 * 2 + o->bit5 : 0; }
struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 7); __type(key, __u32); __type(value, struct outer); } map SEC(".maps");
SEC("tc") int prog(struct __sk_buff *skb) { return twice(&global) + setting + (bpf_map_lookup_elem(&map, &global) ? 1 : 0); }
char LICENSE[] SEC("license") = "GPL";
`;

/** What `bpftool -j btf dump` says. */
interface BpftoolType {
  readonly id: number;
  readonly kind: string;
  readonly name: string;
  readonly [key: string]: unknown;
}

function fromBpftool(type: BpftoolType): BtfType {
  const common = { id: type.id, name: type.name === '(anon)' ? '' : type.name };
  const list = <T>(key: string, one: (entry: Record<string, never>) => T): T[] =>
    ((type[key] ?? []) as Record<string, never>[]).map(one);
  const nameOf = (entry: Record<string, never>): string => (entry.name === '(anon)' ? '' : entry.name!);
  const rest = (): object => {
    switch (type.kind) {
      case 'INT': {
        const encoding = type.encoding === '(none)' ? '' : type.encoding;
        return { size: type.size, bits: type.nr_bits, encoding, signed: encoding === 'SIGNED' };
      }
      case 'ARRAY':
        return { typeId: type.type_id, indexTypeId: type.index_type_id, count: type.nr_elems };
      case 'STRUCT':
      case 'UNION':
        return {
          size: type.size,
          members: list('members', (m) => ({
            name: nameOf(m),
            typeId: m.type_id,
            bitOffset: m.bits_offset,
            bits: m.bitfield_size ?? 0,
          })),
        };
      case 'ENUM':
        return { size: type.size, values: list('values', (v) => ({ name: v.name, value: BigInt(v.val!) })) };
      case 'DATASEC':
        return {
          size: type.size,
          variables: list('vars', (v) => ({ typeId: v.type_id, offset: v.offset, size: v.size })),
        };
      case 'FUNC_PROTO':
      case 'FWD':
      case 'FLOAT':
        return {};
      default:
        return { typeId: type.type_id };
    }
  };
  return { ...common, kind: type.kind, ...rest() } as BtfType;
}

const hasBpftool = existsSync('/usr/sbin/bpftool') || existsSync('/usr/bin/bpftool');

describe('readBtf()', () => {
  const many = compile(MANY_KINDS);

  it.skipIf(!hasBpftool)('reads what bpftool reads', () => {
    const text = execFileSync('bpftool', ['-j', 'btf', 'dump', 'file', many.path], { encoding: 'utf8' });
    const expected = (JSON.parse(text) as { types: BpftoolType[] }).types.map(fromBpftool);
    expect(readBtf(many.elf)).toEqual(expected);
    expect(expected.length).toBeGreaterThan(40);
  });

  it('reads enumerations and bit-fields', () => {
    const types = readBtf(many.elf);
    expect(types.find((type) => type.name === 'small')).toMatchObject({
      kind: 'ENUM',
      values: [
        { name: 'ONE', value: 1n },
        { name: 'BIG', value: 0x40000000n },
      ],
    });
    const outer = types.find((type) => type.name === 'outer');
    expect(outer?.kind === 'STRUCT' && outer.members.find(({ name }) => name === 'bit5')).toMatchObject({
      bits: 5,
    });
  });

  it.each([
    ['nothing', new Uint8Array(0), 'not an ELF file'],
    ['text', new TextEncoder().encode('x'.repeat(100)), 'not an ELF file'],
    ['a program without BTF', new Uint8Array(readFileSync('/bin/true')), 'no section .BTF'],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => readBtf(bytes)).toThrow(FormatError);
    expect(() => readBtf(bytes)).toThrow(message);
  });

  it('refuses a file that is cut off anywhere, or changed, with an error of its own', () => {
    for (let at = 1; at < many.elf.length; at += 13) {
      const changed = many.elf.slice();
      changed[at]! ^= 0xff;
      for (const bytes of [many.elf.slice(0, at), changed]) {
        try {
          layoutOf(readBtf(bytes), new Set(['map']));
        } catch (error) {
          expect(error).toBeInstanceOf(FormatError);
        }
      }
    }
  });
});

describe('layoutOf()', () => {
  const layout = (members: string, body = '') => {
    const source = `${body}\n#include <linux/bpf.h>\n#include <bpf/bpf_helpers.h>\nstruct thing { ${members} };
      struct { __uint(type, BPF_MAP_TYPE_HASH); __uint(max_entries, 7); __type(key, __u32); __type(value, struct thing); } map SEC(".maps");`;
    return layoutOf(readBtf(compile(source).elf), new Set(['map']));
  };

  it('takes plain fields', () => {
    expect(
      layout('__u64 a; __be16 b; __u8 c[2]; char d[4];').structs[0]!.fields.map(({ offset }) => offset),
    ).toEqual([0, 8, 10, 12]);
  });

  it.each([
    ['hidden padding', '__u8 a; __u32 b;', 'hidden padding before b'],
    ['hidden padding at the end', '__u32 b; __u8 a;', 'hidden padding at its end'],
    ['bit-fields', '__u32 a : 3; __u32 b : 29;', 'no plain layout'],
    ['unions', 'union { __u32 x; __u8 y[4]; } a;', 'which has no plain layout'],
    ['pointers', 'void *a;', 'which has no plain layout'],
    ['signed numbers', 'int a;', 'is signed'],
  ])('refuses %s', (_, members, message) => {
    expect(() => layout(members)).toThrow(message);
  });

  it('is not asked about maps that an object has for itself', () => {
    const elf = compile(MANY_KINDS).elf;
    expect(layoutOf(readBtf(elf), new Set()).maps).toEqual([]);
    expect(() => layoutOf(readBtf(elf), new Set(['map']))).toThrow(FormatError);
  });
});

describe('the check of an object before it is loaded', () => {
  const source = (header = '') => `${header}\n#include "common.h"\nchar LICENSE[] SEC("license") = "GPL";`;

  it('accepts what was compiled from our headers', () => {
    const { elf } = compile(source());
    expect(layoutHashOf(elf)).toBe(LAYOUT_HASH);
    expect(() => assertLayout(elf, 'x.bpf.o')).not.toThrow();
  });

  it('names what differs', () => {
    const { elf } = compile(source('#include "abi.h"\n#undef PL_NAME_MAX\n#define PL_NAME_MAX 128'));
    expect(layoutHashOf(elf)).not.toBe(LAYOUT_HASH);
    expect(() => assertLayout(elf, 'x.bpf.o')).toThrow(
      /x\.bpf\.o has another layout.*enum pl_limits.*make bpf gen/,
    );
  });

  it('refuses objects of others', () => {
    expect(() => assertLayout(compile(MANY_KINDS).elf, 'y.bpf.o')).toThrow(/y\.bpf\.o/);
    expect(() => assertLayout(new Uint8Array(10), 'z.bpf.o')).toThrow('z.bpf.o: not an ELF file');
  });
});

it('the checked-in code is what the generator makes of the objects', () => {
  const objects = ['tc', 'sock'].map((name) => join(root, 'build', `${name}.bpf.o`));
  for (const object of objects.filter((path) => existsSync(path))) {
    expect(layoutHashOf(new Uint8Array(readFileSync(object)))).toBe(LAYOUT_HASH);
  }
});
