import { formatAddress, parseAddress } from '../lib/ip.js';
import type { Addr } from './codec.js';

/**
 * An address as maps hold it: 16 bytes, IPv4 in its mapped form.
 *
 * @throws RangeError where the text is no address.
 */
export function parseAddr(text: string): Addr {
  const parsed = parseAddress(text);
  if (!parsed) throw new RangeError(`not an IP address: ${JSON.stringify(text)}`);
  return parsed.bytes;
}

/** Canonical text (RFC 5952) of a map's address; plain IPv4 for the mapped form. */
export const formatAddr: (bytes: Uint8Array) => string = formatAddress;
