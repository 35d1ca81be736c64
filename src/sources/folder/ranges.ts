// Ranges from which cluster IPs are taken: which addresses of one are usable, and where the search for a free one begins.
// Pure.

import { type Cidr, cidrContains, formatAddress, parseAddress, parseCidr } from '../../lib/ip.js';
import type { Family } from '../../model/service.js';

/** A range of numbers 0..size-1 of which the first `fixed` are kept for values that people choose themselves. */
export interface Pool {
  readonly size: number;
  readonly fixed: number;
}

export interface AddressPool extends Pool {
  readonly cidr: Cidr;
  readonly family: Family;
  /** @returns the usable address of that number, canonical. */
  readonly address: (index: number) => string;
}

/** Of bigger ranges only so many addresses are used: the API server, too, allows no more. */
const POOL_LIMIT = 2 ** 20;

/**
 * @returns the pool of a range; it leaves out the network address and, for IPv4, the broadcast address.
 * @throws RangeError when the text is no range, or one without usable addresses.
 */
export function addressPool(text: string): AddressPool {
  const cidr = parseCidr(text);
  if (!cidr) throw new RangeError(`service range "${text}" is not a CIDR such as 10.96.0.0/16`);
  const hostBits = (cidr.family === 4 ? 32 : 128) - cidr.prefix;
  const all = 2 ** Math.min(hostBits, 20);
  const size = Math.min(all, POOL_LIMIT) - (cidr.family === 4 && hostBits <= 20 ? 2 : 1);
  if (size < 1) throw new RangeError(`service range "${text}" has no usable address`);
  const address = (index: number) => {
    const bytes = cidr.address.slice();
    const view = new DataView(bytes.buffer);
    // The host part is zero and the number fits in it, so nothing is carried beyond the last 32 bits.
    view.setUint32(12, view.getUint32(12) + index + 1);
    return formatAddress(bytes);
  };
  return {
    cidr,
    family: cidr.family === 4 ? 'IPv4' : 'IPv6',
    size,
    fixed: fixedBand(size, 16, 256),
    address,
  };
}

/** @returns is the address in the range? */
export function inPool(pool: AddressPool, address: string): boolean {
  const parsed = parseAddress(address);
  return parsed !== undefined && cidrContains(pool.cidr, parsed.bytes);
}

/**
 * The numbers that Kubernetes leaves to people as long as others are free (KEP-3070, KEP-3668): a sixteenth (node ports:
 * a 32nd) of the range, between 16 and `most`; nothing of small ranges.
 */
export function fixedBand(size: number, share: number, most: number): number {
  return size <= 16 ? 0 : Math.min(Math.max(16, Math.floor(size / share)), most);
}

/**
 * Looks for a free number, from a start that only `seed` decides, so that the same Service gets the same number again
 * even when the state is lost. Numbers of the fixed band come last.
 *
 * @returns undefined when none is free.
 */
export function findFree(
  { size, fixed }: Pool,
  seed: string,
  free: (index: number) => boolean,
): number | undefined {
  const dynamic = size - fixed;
  const begin = hash(seed) % dynamic;
  for (let i = 0; i < dynamic; i++) {
    const index = fixed + ((begin + i) % dynamic);
    if (free(index)) return index;
  }
  for (let index = 0; index < fixed; index++) if (free(index)) return index;
  return undefined;
}

/** FNV-1a, 32 bits, with a final mix: names that differ in one letter begin far apart. */
function hash(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  return (h ^ (h >>> 13)) >>> 0;
}
