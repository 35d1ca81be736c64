// What the generated code stands on. A DataView wraps numbers silently (70000 as a port becomes 4464), so every number is
// checked on its way in; the checks cost about a nanosecond each.

/** Writes and reads one type at an offset of a view. */
export interface Codec<T> {
  /** Bytes. */
  readonly size: number;
  /** @throws RangeError naming the field that does not fit. Every byte is written, padding as zero. */
  write(view: DataView, offset: number, value: T): void;
  read(view: DataView, offset: number): T;
}

/** A map as bpf/maps.h defines it. */
export interface MapDefinition<K, V> {
  /** enum bpf_map_type. */
  readonly type: number;
  readonly flags: number;
  /** By default; the agent sets what its configuration says. */
  readonly maxEntries: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly key: Codec<K>;
  readonly value: Codec<V>;
}

/** 16 bytes, IPv4 in its mapped form: see src/lib/ip.ts. */
export type Addr = Uint8Array<ArrayBuffer>;

export function u8(value: number, field: string): number {
  return (value & 0xff) === value ? value : refuse(value, 255, field);
}

export function u16(value: number, field: string): number {
  return (value & 0xffff) === value ? value : refuse(value, 65535, field);
}

export function u32(value: number, field: string): number {
  return value >>> 0 === value ? value : refuse(value, 0xffffffff, field);
}

export function u64(value: bigint, field: string): bigint {
  if (typeof value === 'bigint' && BigInt.asUintN(64, value) === value) return value;
  throw new RangeError(`${field} must be a bigint of 64 bits, not ${String(value)}`);
}

function refuse(value: number, max: number, field: string): never {
  throw new RangeError(`${field} must be an integer of 0 to ${max}, not ${String(value)}`);
}

/** Copies exactly `size` bytes. */
export function writeBytes(
  view: DataView,
  offset: number,
  value: Uint8Array,
  size: number,
  field: string,
): void {
  if (!(value instanceof Uint8Array) || value.length !== size) {
    throw new RangeError(`${field} must be ${size} bytes, not ${value?.length ?? String(value)}`);
  }
  for (let i = 0; i < size; i++) view.setUint8(offset + i, value[i]!);
}

export function readBytes(view: DataView, offset: number, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = view.getUint8(offset + i);
  return bytes;
}

export function writeZeros(view: DataView, offset: number, size: number): void {
  for (let i = 0; i < size; i++) view.setUint8(offset + i, 0);
}

const ENCODER = new TextEncoder();

/** char[size]: UTF-8 with at least one NUL after it. */
export function writeText(view: DataView, offset: number, value: string, size: number, field: string): void {
  const bytes = typeof value === 'string' ? ENCODER.encode(value) : undefined;
  if (!bytes || bytes.length >= size || bytes.includes(0)) {
    throw new RangeError(
      `${field} must be text of at most ${size - 1} bytes without NUL, not ${JSON.stringify(value)}`,
    );
  }
  for (let i = 0; i < size; i++) view.setUint8(offset + i, bytes[i] ?? 0);
}

export function readText(view: DataView, offset: number, size: number): string {
  const bytes = readBytes(view, offset, size);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

/** An array of the kernel: at most `count` elements, the rest is zeros. */
export function writeArray<T>(
  view: DataView,
  offset: number,
  values: readonly T[],
  count: number,
  codec: Codec<T>,
  field: string,
): void {
  if (!Array.isArray(values) || values.length > count) {
    throw new RangeError(
      `${field} must be an array of at most ${count}, not ${values?.length ?? String(values)}`,
    );
  }
  values.forEach((value, i) => {
    codec.write(view, offset + i * codec.size, value);
  });
  writeZeros(view, offset + values.length * codec.size, (count - values.length) * codec.size);
}

export function readArray<T>(view: DataView, offset: number, count: number, codec: Codec<T>): T[] {
  return Array.from({ length: count }, (_, i) => codec.read(view, offset + i * codec.size));
}

/** __u32 as a key or value of its own. */
export const U32: Codec<number> = {
  size: 4,
  write: (view, offset, value) => view.setUint32(offset, u32(value, 'u32'), true),
  read: (view, offset) => view.getUint32(offset, true),
};

/** __u64 as a key or value of its own. */
export const U64: Codec<bigint> = {
  size: 8,
  write: (view, offset, value) => view.setBigUint64(offset, u64(value, 'u64'), true),
  read: (view, offset) => view.getBigUint64(offset, true),
};

/** struct pl_addr as a key or value of its own. */
export const ADDR: Codec<Addr> = {
  size: 16,
  write: (view, offset, value) => writeBytes(view, offset, value, 16, 'address'),
  read: (view, offset) => readBytes(view, offset, 16),
};
