// Truncated and mutated packets. What we do not understand we do not change: whatever ingress makes of a packet differs
// from it only where a translation may, and a packet cut anywhere either passes as it is or is refused.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Dataplane, type Outcome, type Program } from './dataplane.js';
import { decode } from './decode.js';
import { encode, encodeIp } from './encode.js';
import { bare, icmp, type Packet, ping, portUnreachable, reply, tcp, to, udp } from './packet.js';
import { publish } from './services.js';

const MUTATIONS = 4000;

/**
 * Newer kernels refuse to run a program over less than an IP header, where the Ethernet type says IP. Behind a VLAN tag
 * they do not look, so that is how the shortest ones get in.
 */
const SHORTEST = { plain: 14 + 40, tagged: 14 } as const;

let plane: Dataplane;
beforeAll(async () => {
  plane = await Dataplane.load();
  publish(plane, { at: '10.96.0.1:80', cluster: ['10.244.2.7:8080'] });
  publish(plane, { at: '10.96.0.1:53', proto: 'udp', cluster: ['10.244.2.7:5353'] });
  publish(plane, { at: '[fd00:96::1]:80', cluster: ['[fd00:244:2::7]:8080'] });
  publish(plane, { at: '[fd00:96::1]:53', proto: 'udp', cluster: ['[fd00:244:2::7]:5353'] });
});
afterAll(() => plane.close());

const SEEDS: readonly Packet[] = [
  tcp('10.244.1.5:40000', '10.96.0.1:80', 'S'),
  { ...tcp('10.244.1.5:40001', '10.96.0.1:80', 'S', 'data'), options: new Uint8Array(8).fill(1), vlans: [7] },
  udp('10.244.1.5:40000', '10.96.0.1:53', 'query'),
  tcp('[fd00:244:1::5]:40000', '[fd00:96::1]:80', 'S'),
  { ...udp('[fd00:244:1::5]:40000', '[fd00:96::1]:53', 'query'), extensions: [0, 60, 43] },
  portUnreachable('10.244.1.5', '10.96.0.1', encodeIp(reply(udp('10.244.1.5:40000', '10.96.0.1:53')))),
  portUnreachable(
    'fd00:244:1::5',
    'fd00:96::1',
    encodeIp(reply(udp('[fd00:244:1::5]:40000', '[fd00:96::1]:53'))),
  ),
  ping('10.244.1.5', '10.96.0.1'),
  icmp('10.244.1.5', '10.96.0.1', 13, 0, new Uint8Array(12)),
];

/** Where the IP header begins, and how much of it nobody may change: all before the checksum, or the addresses. */
function unchangeable(program: Program, bytes: Uint8Array): number {
  let offset = program.endsWith('_eth') ? 14 : 0;
  const type = () => (bytes[offset - 2]! << 8) | bytes[offset - 1]!;
  while (offset > 0 && [0x8100, 0x88a8].includes(type()) && offset < 22) offset += 4;
  return offset + (bytes[offset]! >> 4 === 4 ? 10 : 8);
}

/** What holds for every packet, whatever it is. */
function check(program: Program, given: Uint8Array<ArrayBuffer>): Outcome {
  const out = plane.run(program, given);
  if (out.verdict === 'answer') decode(out.bytes, program.endsWith('_eth'));
  if (out.verdict !== 'next') return out;
  expect(out.bytes.length).toBe(given.length);
  const fixed = unchangeable(program, given);
  expect(out.bytes.subarray(0, fixed)).toEqual(given.subarray(0, fixed));
  return out;
}

const VARIANTS = SEEDS.flatMap((seed) => [
  [`${seed.body.kind} to ${seed.dst}`, { ...seed, vlans: [] }, SHORTEST.plain] as const,
  [`${seed.body.kind} to ${seed.dst}, in a VLAN`, { ...seed, vlans: [7] }, SHORTEST.tagged] as const,
]);

describe('every length', () => {
  test.each(VARIANTS)('%s', (_, seed, shortest) => {
    const whole = encode(seed);
    for (let length = Math.min(shortest, whole.length - 1); length < whole.length; length++) {
      const given = whole.slice(0, length);
      // The IP header says that there is more: not a packet that anybody would accept.
      expect(plane.run('pl_ingress_eth', given)).toEqual({ verdict: 'next', bytes: given, mark: 0 });
      expect(plane.run('pl_egress_eth', given)).toMatchObject({ bytes: given });
    }
  });

  test('without Ethernet header', () => {
    for (const seed of SEEDS.slice(0, 5)) {
      const whole = encode(bare({ ...seed, vlans: [] }));
      for (let length = 14; length < whole.length; length++) {
        const given = whole.slice(0, length);
        expect(plane.run('pl_ingress_ip', given)).toMatchObject({ verdict: 'next', bytes: given });
      }
    }
  });

  test('a header that says that the packet ends before its ports do', () => {
    for (const end of [20, 21, 24, 27, 39]) {
      const given = encode(tcp('10.244.1.5:40009', '10.96.0.1:80', 'S', 'payload'));
      new DataView(given.buffer).setUint16(16, end);
      expect(plane.run('pl_ingress_eth', given)).toMatchObject({ verdict: 'next', bytes: given });
    }
  });

  test('bytes after the end of the packet (Ethernet padding) stay as they are', () => {
    const syn = tcp('10.244.1.5:40010', '10.96.0.1:80', 'S');
    const padding = new Uint8Array(6).fill(0xee);
    const given = new Uint8Array([...encode(syn), ...padding]);
    const out = plane.run('pl_ingress_eth', given);
    expect(out.bytes).toEqual(new Uint8Array([...encode(to(syn, '10.244.2.7:8080')), ...padding]));
  });
});

/** mulberry32: small, and the same everywhere. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

function mutate(
  next: (below: number) => number,
  bytes: Uint8Array,
  shortest: number,
): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(bytes);
  for (let i = 1 + next(4); i > 0; i--) {
    const at = next(out.length);
    out[at] = next(3) === 0 ? next(256) : out[at]! ^ (1 << next(8));
  }
  return next(4) === 0 ? out.slice(0, shortest + next(Math.max(1, out.length - shortest))) : out;
}

test.each([1, 2])(`${MUTATIONS} random mutations (seed %i)`, (seed) => {
  const next = random(seed);
  const programs = ['pl_ingress_eth', 'pl_egress_eth', 'pl_ingress_ip', 'pl_egress_ip'] as const;
  const verdicts = new Set<string>();
  for (let i = 0; i < MUTATIONS; i++) {
    const program = programs[next(programs.length)]!;
    const packet = SEEDS[next(SEEDS.length)]!;
    const bytes = encode(program.endsWith('_ip') ? bare({ ...packet, vlans: [] }) : packet);
    const given = mutate(next, bytes, program.endsWith('_ip') ? SHORTEST.tagged : SHORTEST.plain);
    verdicts.add(check(program, given).verdict);
  }
  expect([...verdicts].sort()).toEqual(['answer', 'drop', 'next']);
});

test('packets to nobody of ours are the same afterwards, whatever is in them', () => {
  const next = random(3);
  for (let i = 0; i < MUTATIONS / 2; i++) {
    const given = new Uint8Array(SHORTEST.plain + next(200)).map(() => next(256));
    given.set(next(2) ? [0x08, 0x00, 0x45] : [0x86, 0xdd, 0x60], 12);
    const out = plane.run('pl_ingress_eth', given);
    expect(out).toEqual({ verdict: 'next', bytes: given, mark: 0 });
  }
});
