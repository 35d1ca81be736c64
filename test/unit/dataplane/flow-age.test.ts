import { describe, expect, it } from 'vitest';
import { FlowFlags } from '../../../src/abi/layout.gen.js';
import { DEFAULT_TIMEOUTS, expired, mayHaveExpired } from '../../../src/dataplane/bpf/flow-age.js';

const TCP = 6;
const UDP = 17;
const { REPLY, ANSWERED, FIN, RST } = FlowFlags;
const SECOND = 1e9;
const NOW = 1e6 * SECOND;

interface Case {
  readonly what: string;
  readonly protocol: number;
  readonly forward: number | undefined;
  readonly reply: number | undefined;
  readonly seconds: number;
}

const CASES: readonly Case[] = [
  { what: 'established TCP', protocol: TCP, forward: 0, reply: ANSWERED, seconds: 86_400 },
  { what: 'TCP with a FIN from the client', protocol: TCP, forward: FIN, reply: ANSWERED, seconds: 3600 },
  {
    what: 'TCP with a FIN from the backend',
    protocol: TCP,
    forward: 0,
    reply: ANSWERED | FIN,
    seconds: 3600,
  },
  { what: 'TCP with a FIN from both', protocol: TCP, forward: FIN, reply: ANSWERED | FIN, seconds: 30 },
  { what: 'TCP with a RST', protocol: TCP, forward: RST, reply: ANSWERED, seconds: 30 },
  { what: 'TCP with a RST from the backend', protocol: TCP, forward: 0, reply: ANSWERED | RST, seconds: 30 },
  { what: 'TCP that nobody answered', protocol: TCP, forward: 0, reply: 0, seconds: 60 },
  { what: 'half of a TCP flow', protocol: TCP, forward: 0, reply: undefined, seconds: 60 },
  { what: 'UDP that was answered', protocol: UDP, forward: 0, reply: ANSWERED, seconds: 120 },
  { what: 'UDP that nobody answered', protocol: UDP, forward: 0, reply: 0, seconds: 30 },
  { what: 'half of a UDP flow', protocol: UDP, forward: undefined, reply: ANSWERED, seconds: 30 },
];

describe('ageing', () => {
  it.each(CASES)('$what lives for $seconds s', ({ protocol, forward, reply, seconds }) => {
    const isOver = (idle: number): boolean => {
      const seenNs = NOW - idle * SECOND;
      const half = (flags: number | undefined) => (flags === undefined ? undefined : { seenNs, flags });
      const pair = {
        protocol,
        forward: half(forward),
        reply: half(reply === undefined ? undefined : reply | REPLY),
      };
      return expired(pair, NOW, DEFAULT_TIMEOUTS);
    };
    expect(isOver(seconds - 1)).toBe(false);
    expect(isOver(seconds + 1)).toBe(true);
  });

  it.each(CASES.filter((c) => c.forward !== undefined && c.reply !== undefined))(
    '$what is looked at by one of its entries once it may be over',
    ({ protocol, forward, reply, seconds }) => {
      const seenNs = NOW - (seconds + 1) * SECOND;
      const seen = [forward!, reply! | REPLY].map((flags) =>
        mayHaveExpired(protocol, { seenNs, flags }, NOW, DEFAULT_TIMEOUTS),
      );
      expect(seen).toContain(true);
    },
  );

  it('goes by the later of both directions', () => {
    const forward = { seenNs: NOW - 1000 * SECOND, flags: 0 };
    const reply = { seenNs: NOW - SECOND, flags: REPLY | ANSWERED };
    expect(expired({ protocol: UDP, forward, reply }, NOW, DEFAULT_TIMEOUTS)).toBe(false);
  });
});
