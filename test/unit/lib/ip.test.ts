import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  canonicalAddress,
  cidrContains,
  familyOf,
  formatAddress,
  formatCidr,
  maskOf,
  parseAddress,
  parseCidr,
  prefixBits,
} from '../../../src/lib/ip.js';

const bytesOf = (text: string) => parseAddress(text)!.bytes;

describe('parseAddress()', () => {
  it('gives IPv4 in its mapped form', () => {
    expect(parseAddress('10.96.0.1')).toEqual({
      family: 4,
      bytes: new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 96, 0, 1]),
    });
  });

  it('takes the mapped spelling as the same IPv4 address', () => {
    expect(parseAddress('::ffff:10.96.0.1')).toEqual(parseAddress('10.96.0.1'));
    expect(parseAddress('::FFFF:a60:1')).toEqual(parseAddress('10.96.0.1'));
  });

  it.each([
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['fd00:10:96::000a', 'fd00:10:96::a'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['172.30.0.041', '172.30.0.41'],
    ['010.000.000.001', '10.0.0.1'],
    ['0.0.0.0', '0.0.0.0'],
  ])('%s is %s', (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical);
  });

  it.each([
    '',
    ' ',
    '1',
    '1.2.3',
    '1.2.3.',
    '.1.2.3',
    '1..2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '1.2.3.-4',
    '0x1.2.3.4',
    '1.2.3.4 ',
    ' 1.2.3.4',
    ':',
    ':1',
    '1:',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7:8::',
    '::1:2:3:4:5:6:7:8',
    '12345::',
    'g::1',
    'fe80::1%eth0',
    '::1.2.3',
    '1.2.3.4::',
    '::1.2.3.4:5',
    '1:2:3:4:5:6:7:1.2.3.4',
    '[::1]',
    '10.0.0.0/8',
    '１.2.3.4',
  ])('refuses %j', (text) => {
    expect(parseAddress(text)).toBeUndefined();
    expect(canonicalAddress(text)).toBeUndefined();
  });

  it('agrees with Node about what an address is, but for leading zeros', () => {
    const spelling = fc.oneof(
      fc.ipV4(),
      fc.ipV6(),
      fc.string({ unit: fc.constantFrom(...'0123456789abfF:.'), maxLength: 24 }),
      fc
        .array(fc.constantFrom('::', ':', '.', '0', '1', 'ffff', '10.0.0.1', '255'), { maxLength: 9 })
        .map((parts) => parts.join('')),
    );
    fc.assert(
      fc.property(spelling, (text) => {
        const valid = text.includes(':') ? isIPv6(withoutZeros(text)) : isIPv4(withoutZeros(text));
        expect(parseAddress(text) !== undefined).toBe(valid);
      }),
      { numRuns: 3000 },
    );
  });
});

/** The dotted part without leading zeros, which Node refuses and Kubernetes accepts. */
function withoutZeros(text: string): string {
  const at = text.lastIndexOf(':') + 1;
  const last = text.slice(at);
  return last.includes('.') ? text.slice(0, at) + last.replace(/(^|\.)0+(?=\d)/g, '$1') : text;
}

describe('formatAddress()', () => {
  it('is the inverse of parseAddress()', () => {
    const address = fc.oneof(
      fc.uint8Array({ minLength: 16, maxLength: 16 }),
      fc
        .array(fc.constantFrom(0, 0, 0, 1, 255), { minLength: 16, maxLength: 16 })
        .map((b) => new Uint8Array(b)),
      fc.ipV4().map((text) => bytesOf(text)),
    );
    fc.assert(
      fc.property(address, (bytes) => {
        const text = formatAddress(bytes);
        const again = parseAddress(text)!;
        expect(Array.from(again.bytes)).toEqual(Array.from(bytes));
        expect(again.family).toBe(familyOf(bytes));
        expect(canonicalAddress(text)).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuses other lengths', () => {
    expect(() => formatAddress(new Uint8Array(4))).toThrow('an address has 16 bytes, not 4');
  });
});

describe('parseCidr()', () => {
  it.each([
    ['10.1.2.3/8', '10.0.0.0/8', 4, 8, 104],
    ['10.1.2.3/32', '10.1.2.3/32', 4, 32, 128],
    ['10.1.255.3/23', '10.1.254.0/23', 4, 23, 119],
    ['0.0.0.0/0', '0.0.0.0/0', 4, 0, 96],
    [' 010.0.0.0/8 ', '10.0.0.0/8', 4, 8, 104],
    ['::/0', '::/0', 6, 0, 0],
    ['2001:db8:ffff::1/33', '2001:db8:8000::/33', 6, 33, 33],
    ['fd00::1/128', 'fd00::1/128', 6, 128, 128],
    ['::ffff:10.1.2.3/104', '10.0.0.0/8', 4, 8, 104],
    ['::ffff:10.1.2.3/64', '::/64', 6, 64, 64],
  ])('%s is %s', (text, canonical, family, prefix, bits) => {
    const cidr = parseCidr(text)!;
    expect(formatCidr(cidr)).toBe(canonical);
    expect([cidr.family, cidr.prefix, prefixBits(cidr)]).toEqual([family, prefix, bits]);
  });

  it.each([
    '10.0.0.0',
    '10.0.0.0/',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    'x/8',
    '/8',
    '10.0.0.0/8.0',
    '10.0.0.0/ 8',
  ])('refuses %j', (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });
});

describe('cidrContains()', () => {
  it.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.0.0.0/8', '::ffff:10.0.0.1', true],
    ['0.0.0.0/0', '1.2.3.4', true],
    ['0.0.0.0/0', '::1', false],
    ['::/0', '1.2.3.4', false],
    ['::/0', 'fd00::1', true],
    ['192.168.4.0/22', '192.168.7.255', true],
    ['192.168.4.0/22', '192.168.8.0', false],
    ['10.1.2.3/32', '10.1.2.3', true],
    ['10.1.2.3/32', '10.1.2.2', false],
    ['fd00::/9', 'fd7f::1', true],
    ['fd00::/9', 'fd80::1', false],
  ])('%s, %s: %s', (range, address, expected) => {
    expect(cidrContains(parseCidr(range)!, bytesOf(address))).toBe(expected);
  });

  it('is what comparing under the mask says', () => {
    const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });
    fc.assert(
      fc.property(
        bytes,
        bytes,
        fc.integer({ min: 0, max: 128 }),
        fc.boolean(),
        (base, other, prefix, near) => {
          const cidr = parseCidr(`${formatAddress(base)}/${familyOf(base) === 4 ? prefix >> 2 : prefix}`)!;
          const mask = maskOf(cidr);
          const candidate = near ? base.map((byte, i) => (byte & mask[i]!) | (other[i]! & ~mask[i]!)) : other;
          const inside = candidate.every((byte, i) => (byte & mask[i]!) === cidr.address[i]);
          expect(cidrContains(cidr, candidate)).toBe(inside && familyOf(candidate) === cidr.family);
        },
      ),
    );
  });
});

it('100,000 addresses are parsed and formatted in a fraction of a second', () => {
  const texts = Array.from({ length: 100_000 }, (_, i) =>
    i % 2 ? `10.${i & 255}.${(i >> 8) & 255}.1` : `fd00:${i.toString(16).slice(-4)}::${i & 255}`,
  );
  const started = performance.now();
  for (const text of texts) formatAddress(bytesOf(text));
  expect(performance.now() - started).toBeLessThan(500);
});
