// Later fragments follow the first, in both directions.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Kind } from '../../src/abi/layout.gen.js';
import { Dataplane } from './dataplane.js';
import { encode, encodeFragments } from './encode.js';
import { from, reply, splitHost, to, udp } from './packet.js';
import { publish } from './services.js';

let plane: Dataplane;
beforeAll(async () => {
  plane = await Dataplane.load();
});
afterAll(() => plane.close());

const LONG = 'abcdefg'.repeat(400);

describe.each([
  ['IPv4', '10.244.1.5:40000', '10.96.0.1:53', '10.244.2.7:5353'],
  ['IPv6', '[fd00:244:1::5]:40000', '[fd00:96::1]:53', '[fd00:244:2::7]:5353'],
])('%s', (_, client, vip, backend) => {
  const query = { ...udp(client, vip, LONG), dontFragment: false };

  test('a datagram in three pieces, and its answer', () => {
    publish(plane, { at: vip, proto: 'udp', cluster: [backend] });
    const sent = encodeFragments(query, 1000, 0x51);
    const expected = encodeFragments(to(query, backend), 1000, 0x51);
    expect(sent.length).toBe(3);
    for (const [i, piece] of sent.entries())
      expect(plane.run('pl_ingress_eth', piece)).toMatchObject({ verdict: 'next', bytes: expected[i] });

    const back = { ...reply(to(query, backend)), dontFragment: false };
    const pieces = encodeFragments(back, 1000, 0x52);
    const seen = encodeFragments(from(back, vip), 1000, 0x52);
    for (const [i, piece] of pieces.entries())
      expect(plane.run('pl_egress_eth', piece)).toMatchObject({ verdict: 'next', bytes: seen[i] });
  });

  test('the first packet of a flow may be a fragment, and the next one whole', () => {
    const other = `${client.slice(0, -1)}1`;
    publish(plane, { at: vip, proto: 'udp', cluster: [backend] });
    const [first] = encodeFragments({ ...query, ...udp(other, vip, LONG), dontFragment: false }, 1000, 0x61);
    const [expected] = encodeFragments(
      { ...to(udp(other, vip, LONG), backend), dontFragment: false },
      1000,
      0x61,
    );
    expect(plane.run('pl_ingress_eth', first!).bytes).toEqual(expected);
    expect(plane.run('pl_ingress_eth', encode(udp(other, vip))).bytes).toEqual(encode(udp(other, backend)));
  });

  test('without its first one, a later fragment to a cluster IP is dropped', () => {
    publish(plane, { at: vip, proto: 'udp', cluster: [backend] });
    const before = plane.reasons()['drop-fragment'] ?? 0;
    const [, second] = encodeFragments(query, 1000, 0x71);
    expect(plane.run('pl_ingress_eth', second!).verdict).toBe('drop');
    expect(plane.reasons()['drop-fragment']).toBe(before + 1);
  });

  test('fragments that are not ours pass untouched, out and in', () => {
    const foreign = encodeFragments({ ...udp(client, backend, LONG), dontFragment: false }, 1000, 0x72);
    for (const piece of [...foreign, ...foreign.slice().reverse()])
      for (const program of ['pl_ingress_eth', 'pl_egress_eth'] as const)
        expect(plane.run(program, piece)).toEqual({ verdict: 'next', bytes: piece, mark: 0 });
  });

  test('a node address keeps its other fragments', () => {
    const node = client.startsWith('[') ? '[fd00:1::1]' : '192.0.2.1';
    publish(plane, { at: `${node}:30053`, proto: 'udp', kind: Kind.NODE_PORT, cluster: [backend] });
    expect(splitHost(`${node}:1`).port).toBe(1);
    const foreign = encodeFragments(
      { ...udp(client, `${node}:4789`, LONG), dontFragment: false },
      1000,
      0x73,
    );
    for (const piece of [...foreign, foreign[1]!])
      expect(plane.run('pl_ingress_eth', piece)).toEqual({ verdict: 'next', bytes: piece, mark: 0 });
    const [, unseen] = encodeFragments(
      { ...udp(client, `${node}:4789`, LONG), dontFragment: false },
      1000,
      0x74,
    );
    expect(plane.run('pl_ingress_eth', unseen!)).toEqual({ verdict: 'next', bytes: unseen, mark: 0 });
  });
});
