// The FFI turns 1.5 into 1, NaN into 0 and undefined into a null pointer without a word, so arguments are checked here.

const U32_MAX = 0xffffffff;
const INT_MAX = 0x7fffffff;

/** @throws RangeError unless it is an integer of 0 .. 2^32 - 1. */
export function u32(value: number, what: string): number {
  return inRange(value, 0, U32_MAX, what);
}

/** A file descriptor, handle or ifindex. @throws RangeError unless it is an integer of 0 .. 2^31 - 1. */
export function descriptor(value: number, what: string): number {
  return inRange(value, 0, INT_MAX, what);
}

/** @throws RangeError unless it is an integer of that range. */
export function inRange(value: number, min: number, max: number, what: string): number {
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${what} must be an integer of ${min} to ${max}, not ${String(value)}`);
  }
  return value;
}

/** @throws TypeError unless it is a Uint8Array over ordinary memory, RangeError when it is detached or too long. */
export function bytes<T extends Uint8Array>(value: T, what: string): T {
  if (!(value instanceof Uint8Array) || !(value.buffer instanceof ArrayBuffer)) {
    throw new TypeError(`${what} must be a Uint8Array`);
  }
  if (value.byteLength > U32_MAX) throw new RangeError(`${what} has more than 4 GiB`);
  return value;
}

/** @throws TypeError unless it is text that C can hold. */
export function cString(value: string, what: string): string {
  if (typeof value !== 'string' || value === '' || value.includes('\0')) {
    throw new TypeError(`${what} must be text that is not empty and has no NUL`);
  }
  return value;
}
