import { expect, test } from 'vitest';
import { forwardRules, nftRules } from '../../../src/agent/netfilter-rules.js';
import { kernelIsAtLeast } from '../../../src/agent/preflight.js';

test.each([
  ['5.10.0-46-cloud-amd64', true],
  ['6.18.44', true],
  ['5.9.16', false],
  ['4.19.0', false],
  ['10.1.0', true],
  ['weird', false],
])('kernelIsAtLeast(%s, 5.10) is %s', (release, expected) => {
  expect(kernelIsAtLeast(release, [5, 10])).toBe(expected);
});

test('the netfilter rules name the mark and its complement', () => {
  expect(nftRules(0x4000)).toContain(
    'meta mark and 0x4000 == 0x4000 meta l4proto { tcp, udp, sctp } counter masquerade',
  );
  // Not from a node port: the answer would be taken for a question to it.
  expect(nftRules(0x4000)).toContain('masquerade to :32768-65535 fully-random');
  expect(nftRules(0x4000, { from: 40_000, to: 50_000 })).toContain('masquerade to :1024-39999 fully-random');
  expect(nftRules(0x4000)).toContain('meta mark set meta mark and 0xffffbfff');
  expect(nftRules(0x8000_0000)).toContain('meta mark and 0x80000000');
  expect(forwardRules(0x4000)).toContain('--mark 0x4000/0x4000 -j ACCEPT');
});
