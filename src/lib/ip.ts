// Addresses and address ranges as text and as 16 bytes. IPv4 lives in its mapped form ::ffff:a.b.c.d (RFC 4291 section
// 2.5.5.2), as the BPF maps have it, so an address written either way is one and the same.

/** 4 or 6. An IPv4-mapped IPv6 address is of family 4. */
export type Family = 4 | 6;

/** The 16 bytes of an address in network byte order; IPv4 in its mapped form. */
export type AddressBytes = Uint8Array<ArrayBuffer>;

export interface Address {
  readonly family: Family;
  readonly bytes: AddressBytes;
}

export interface Cidr {
  readonly family: Family;
  /** Masked: bits after the prefix are zero. */
  readonly address: AddressBytes;
  /** Prefix length in the family's own width: 0..32 or 0..128. */
  readonly prefix: number;
}

const DOT = 46;
const COLON = 58;
const ZERO = 48;
const NINE = 57;
/** Bits before the IPv4 address in its mapped form. */
const MAPPED_BITS = 96;

/**
 * Parses an IPv4 or IPv6 address. Leading zeros of IPv4 parts are accepted and read as decimal (172.30.0.041), as
 * Kubernetes does with objects older than its strict validation (ParseIPSloppy). Zones (fe80::1%eth0) are not accepted.
 *
 * @returns undefined for anything else.
 */
export function parseAddress(text: string): Address | undefined {
  const bytes = new Uint8Array(16);
  if (text.includes(':')) return parse6(text, bytes) ? { family: familyOf(bytes), bytes } : undefined;
  if (!parse4(text, 0, bytes, 12)) return undefined;
  bytes[10] = 0xff;
  bytes[11] = 0xff;
  return { family: 4, bytes };
}

/** The family of 16 address bytes: 4 for the mapped form, else 6. */
export function familyOf(bytes: Uint8Array): Family {
  if (bytes[10] !== 0xff || bytes[11] !== 0xff) return 6;
  for (let i = 0; i < 10; i++) if (bytes[i] !== 0) return 6;
  return 4;
}

/** Canonical text (RFC 5952) of 16 address bytes; the mapped form is written as plain IPv4. */
export function formatAddress(bytes: Uint8Array): string {
  if (bytes.length !== 16) throw new RangeError(`an address has 16 bytes, not ${bytes.length}`);
  if (familyOf(bytes) === 4) return `${bytes[12]}.${bytes[13]}.${bytes[14]}.${bytes[15]}`;
  return format6(bytes);
}

/** The canonical form of an address, so that two spellings compare equal: 172.30.0.041 → 172.30.0.41. */
export function canonicalAddress(text: string): string | undefined {
  const parsed = parseAddress(text);
  return parsed && formatAddress(parsed.bytes);
}

/**
 * Parses `address/prefix`; bits after the prefix are cleared (10.1.2.3/8 is 10.0.0.0/8). Spaces around it are accepted,
 * as Kubernetes does in loadBalancerSourceRanges.
 */
export function parseCidr(text: string): Cidr | undefined {
  const trimmed = text.trim();
  const slash = trimmed.indexOf('/');
  if (slash < 0) return undefined;
  const base = parseAddress(trimmed.slice(0, slash));
  const digits = trimmed.slice(slash + 1);
  if (!base || !/^\d{1,3}$/.test(digits)) return undefined;
  const written4 = !trimmed.slice(0, slash).includes(':');
  const bits = Number(digits) + (written4 ? MAPPED_BITS : 0);
  if (bits > 128) return undefined;
  clearAfter(base.bytes, bits);
  // ::ffff:10.0.0.0/104 is 10.0.0.0/8; a shorter prefix reaches beyond IPv4 and stays an IPv6 range.
  const family = bits >= MAPPED_BITS ? familyOf(base.bytes) : 6;
  return { family, address: base.bytes, prefix: family === 4 ? bits - MAPPED_BITS : bits };
}

/** Canonical text of a range: 10.0.0.0/8. */
export function formatCidr(cidr: Cidr): string {
  return `${formatAddress(cidr.address)}/${cidr.prefix}`;
}

/** Is the address (16 bytes) in the range? An IPv6 range holds no IPv4 address, not even ::/0. */
export function cidrContains(cidr: Cidr, bytes: Uint8Array): boolean {
  if (familyOf(bytes) !== cidr.family) return false;
  const bits = prefixBits(cidr);
  const whole = bits >> 3;
  for (let i = 0; i < whole; i++) if (bytes[i] !== cidr.address[i]) return false;
  const rest = bits & 7;
  return rest === 0 || ((bytes[whole]! ^ cidr.address[whole]!) & (0xff00 >> rest) & 0xff) === 0;
}

/** Prefix length over the 16 bytes: 96 more for IPv4. What an LPM trie over mapped addresses takes. */
export function prefixBits(cidr: Cidr): number {
  return cidr.family === 4 ? cidr.prefix + MAPPED_BITS : cidr.prefix;
}

/** The 16 bytes of the range's mask. */
export function maskOf(cidr: Cidr): AddressBytes {
  const mask = new Uint8Array(16).fill(0xff);
  clearAfter(mask, prefixBits(cidr));
  return mask;
}

function clearAfter(bytes: Uint8Array, bits: number): void {
  const whole = bits >> 3;
  if (whole >= 16) return;
  bytes[whole]! &= 0xff00 >> (bits & 7);
  bytes.fill(0, whole + 1);
}

/** Four decimal parts from `at` to the end of the text, written at `out[to]`. */
function parse4(text: string, at: number, out: Uint8Array, to: number): boolean {
  let part = 0;
  let value = -1;
  for (let i = at; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c >= ZERO && c <= NINE) {
      value = (value < 0 ? 0 : value * 10) + c - ZERO;
      if (value > 255) return false;
    } else if (c === DOT && value >= 0 && part < 3) {
      out[to + part++] = value;
      value = -1;
    } else {
      return false;
    }
  }
  if (part !== 3 || value < 0) return false;
  out[to + 3] = value;
  return true;
}

function hexDigit(c: number): number {
  if (c >= ZERO && c <= NINE) return c - ZERO;
  const lower = c | 0x20;
  return lower >= 97 && lower <= 102 ? lower - 87 : -1;
}

/** Groups are written from the left; what followed `::` is moved to the right end when the text is through. */
function parse6(text: string, out: Uint8Array): boolean {
  let at = 0;
  let written = 0;
  let gap = -1;
  if (text.startsWith('::')) {
    gap = 0;
    at = 2;
  }
  while (at < text.length) {
    const start = at;
    let value = 0;
    for (; at < text.length; at++) {
      const digit = hexDigit(text.charCodeAt(at));
      if (digit < 0) break;
      value = value * 16 + digit;
    }
    if (at < text.length && text.charCodeAt(at) === DOT) {
      if (written > 12 || !parse4(text, start, out, written)) return false;
      written += 4;
      break;
    }
    if (at === start || at - start > 4 || written === 16) return false;
    out[written++] = value >> 8;
    out[written++] = value & 0xff;
    if (at === text.length) break;
    if (text.charCodeAt(at++) !== COLON) return false;
    if (at < text.length && text.charCodeAt(at) === COLON) {
      if (gap >= 0) return false;
      gap = written;
      at++;
    } else if (at === text.length) {
      return false;
    }
  }
  return spread(out, written, gap);
}

/** Puts the zeros of `::` in their place. */
function spread(out: Uint8Array, written: number, gap: number): boolean {
  if (gap < 0) return written === 16;
  if (written > 14) return false;
  out.copyWithin(16 - (written - gap), gap, written);
  out.fill(0, gap, 16 - (written - gap));
  return true;
}

/** RFC 5952: no leading zeros, lower case, the first longest run of two or more zero groups as `::`. */
function format6(bytes: Uint8Array): string {
  let bestStart = -1;
  let bestLength = 1;
  for (let i = 0; i < 8; ) {
    let end = i;
    while (end < 8 && group(bytes, end) === 0) end++;
    if (end - i > bestLength) {
      bestStart = i;
      bestLength = end - i;
    }
    i = end + 1;
  }
  let text = '';
  for (let i = 0; i < 8; i++) {
    if (i === bestStart) {
      text += '::';
      i += bestLength - 1;
    } else {
      text += (i > 0 && i !== bestStart + bestLength ? ':' : '') + group(bytes, i).toString(16);
    }
  }
  return text;
}

function group(bytes: Uint8Array, i: number): number {
  return (bytes[2 * i]! << 8) | bytes[2 * i + 1]!;
}
