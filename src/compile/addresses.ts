// Which addresses a Service or an endpoint can have: canonical, unicast, and of the wire.

import { canonicalAddress, cidrContains, formatCidr, parseAddress, parseCidr } from '../lib/ip.js';
import type { Family } from '../model/service.js';

export const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];

const DOT = 46;
const ZERO = 48;
const NINE = 57;

/** The family of a canonical address. */
export function familyOfAddress(canonical: string): Family {
  return canonical.includes(':') ? 'IPv6' : 'IPv4';
}

/**
 * @returns the canonical form of a unicast address; undefined where it is none, or is unspecified, loopback, link-local or
 * multicast: no packet to such an address is a Service's business, and Kubernetes refuses them, too.
 */
export function unicastAddress(text: string): string | undefined {
  // Nearly all addresses are canonical already; they are told without parsing, and the string stays the same object.
  const canonical = isCanonical4(text) ? text : canonicalAddress(text);
  return canonical !== undefined && isUnicast(canonical) ? canonical : undefined;
}

function isUnicast(canonical: string): boolean {
  if (canonical.includes(':')) {
    return canonical !== '::' && canonical !== '::1' && !/^(fe[89ab][0-9a-f]|ff[0-9a-f]{2}):/.test(canonical);
  }
  const first = Number.parseInt(canonical, 10);
  return first > 0 && first < 224 && first !== 127 && !canonical.startsWith('169.254.');
}

/** Four decimal parts without leading zeros? */
function isCanonical4(text: string): boolean {
  let parts = 1;
  let value = -1;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    if (c === DOT) {
      if (value < 0 || ++parts > 4) return false;
      value = -1;
    } else {
      if (c < ZERO || c > NINE || value === 0) return false;
      value = (value < 0 ? 0 : value * 10) + c - ZERO;
      if (value > 255) return false;
    }
  }
  return parts === 4 && value >= 0;
}

/** A canonical CIDR and its family. */
export interface Range {
  readonly family: Family;
  readonly text: string;
  /** Of prefix length 0: everything. */
  readonly all: boolean;
  contains(address: string): boolean;
}

/** @returns undefined where the text is no CIDR. */
export function parseRange(text: string): Range | undefined {
  const cidr = parseCidr(text);
  if (cidr === undefined) return undefined;
  return {
    family: cidr.family === 4 ? 'IPv4' : 'IPv6',
    text: formatCidr(cidr),
    all: cidr.prefix === 0,
    contains: (address) => {
      const parsed = parseAddress(address);
      return parsed !== undefined && cidrContains(cidr, parsed.bytes);
    },
  };
}

/** The range of an address alone. */
export function hostRange(canonical: string): string {
  return `${canonical}/${canonical.includes(':') ? 128 : 32}`;
}
