import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseRange, unicastAddress } from '../../../src/compile/addresses.js';
import { canonicalAddress } from '../../../src/lib/ip.js';

describe('unicastAddress()', () => {
  test.each([
    ['10.0.0.1', '10.0.0.1'],
    ['010.0.0.01', '10.0.0.1'],
    ['223.255.255.255', '223.255.255.255'],
    ['169.253.1.1', '169.253.1.1'],
    ['FE8::1', 'fe8::1'],
    ['ff::1', 'ff::1'],
    ['fec0::1', 'fec0::1'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::2', '::2'],
  ])('%s is %s', (text, expected) => {
    expect(unicastAddress(text)).toBe(expected);
  });

  test.each([
    '',
    '10.0.0',
    '10.0.0.0.1',
    '10.0.0.256',
    '10..0.1',
    '.10.0.0.1',
    '10.0.0.1.',
    ' 10.0.0.1',
    'host',
    '10.0.0.1/32',
    '0.0.0.0',
    '0.1.2.3',
    '127.0.0.1',
    '127.255.0.9',
    '169.254.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    'fe80::1',
    'febf::1',
    'ff02::1',
    '::ffff:127.0.0.1',
    'fe80::1%eth0',
  ])('%j is none', (text) => {
    expect(unicastAddress(text)).toBeUndefined();
  });

  test('gives what a full parse gives, for any IPv4 address', () => {
    const part = fc.oneof(fc.nat(260).map(String), fc.constantFrom('00', '01', '', '-1', '1e1'));
    fc.assert(
      fc.property(fc.array(part, { minLength: 3, maxLength: 5 }), (parts) => {
        const text = parts.join('.');
        const got = unicastAddress(text);
        if (got !== undefined) expect(got).toBe(canonicalAddress(text));
      }),
    );
  });
});

describe('parseRange()', () => {
  test('knows what it contains', () => {
    const range = parseRange(' 10.1.2.3/8 ')!;
    expect(range).toMatchObject({ family: 'IPv4', text: '10.0.0.0/8', all: false });
    expect(['10.255.0.1', '11.0.0.1', 'fd00::1', 'x'].map((a) => range.contains(a))).toEqual([
      true,
      false,
      false,
      false,
    ]);
    expect(parseRange('::/0')).toMatchObject({ family: 'IPv6', all: true });
    expect(parseRange('10.0.0.1')).toBeUndefined();
  });
});
