// Everything that may stand before the ports; each also by the helpers that kernels before 6.2 need.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Dataplane } from './dataplane.js';
import { encode } from './encode.js';
import { bare, from, type Packet, reply, tcp, to, udp } from './packet.js';
import { publish } from './services.js';

const CASES: readonly [string, Partial<Packet>][] = [
  ['nothing else', {}],
  ['a VLAN tag', { vlans: [100] }],
  ['two VLAN tags', { vlans: [100, 200] }],
];
const CASES4: readonly [string, Partial<Packet>][] = [
  ...CASES,
  ['IPv4 options', { options: Uint8Array.of(7, 7, 4, 0, 0, 0, 0, 0) }],
  ['as many IPv4 options as fit, in a VLAN', { options: new Uint8Array(40).fill(1), vlans: [5] }],
];
const CASES6: readonly [string, Partial<Packet>][] = [
  ...CASES,
  ['a hop-by-hop header', { extensions: [0] }],
  ['destination options', { extensions: [60] }],
  ['all kinds of extension headers, in a VLAN', { extensions: [0, 60, 43, 60, 135], vlans: [5] }],
];

describe.each([
  ['by hand', false],
  ['by helpers', true],
])('sums taken %s', (_, byHelpers) => {
  let plane: Dataplane;
  beforeAll(async () => {
    plane = await Dataplane.load({ variables: { nat_by_helpers: Uint8Array.of(byHelpers ? 1 : 0) } });
  });
  afterAll(() => plane.close());

  function lives(client: string, vip: string, backend: string, changes: Partial<Packet>) {
    for (const proto of ['tcp', 'udp'] as const) {
      publish(plane, { at: vip, proto, cluster: [backend] });
      const out = { ...(proto === 'tcp' ? tcp(client, vip, 'S') : udp(client, vip, 'abc')), ...changes };
      const back = { ...reply(to(out, backend)), ...changes };
      const programs = out.macs
        ? (['pl_ingress_eth', 'pl_egress_eth'] as const)
        : (['pl_ingress_ip', 'pl_egress_ip'] as const);
      for (let i = 0; i < 3; i++) {
        const sent = {
          ...out,
          body: out.body.kind === 'tcp' && i > 0 ? { ...out.body, flags: 'A' } : out.body,
        };
        expect(plane.run(programs[0], encode(sent)).bytes).toEqual(encode(to(sent, backend)));
        expect(plane.run(programs[1], encode(back)).bytes).toEqual(encode(from(back, vip)));
      }
    }
  }

  test.each(CASES4)('IPv4 with %s', (_name, changes) => {
    lives('10.244.1.5:40000', '10.96.0.1:80', '10.244.2.7:8080', changes);
  });

  test.each(CASES6)('IPv6 with %s', (_name, changes) => {
    lives('[fd00:244:1::5]:40000', '[fd00:96::1]:80', '[fd00:244:2::7]:8080', changes);
  });

  test('the backend listens on the same port', () => {
    lives('10.244.1.5:40001', '10.96.0.2:80', '10.244.2.7:80', {});
    lives('[fd00:244:1::5]:40001', '[fd00:96::2]:80', '[fd00:244:2::7]:80', {});
  });

  test('without Ethernet header', () => {
    lives('10.244.1.5:40002', '10.96.0.1:80', '10.244.2.7:8080', { macs: null });
    lives('[fd00:244:1::5]:40002', '[fd00:96::1]:80', '[fd00:244:2::7]:8080', {
      macs: null,
      extensions: [60],
    });
  });

  test('a UDP checksum that comes out as 0 is sent as 0xffff', () => {
    publish(plane, { at: '10.96.0.3:53', proto: 'udp', cluster: ['10.244.2.7:5353'] });
    for (let i = 0; i < 65536; i += 1) {
      const query = udp('10.244.1.5:40003', '10.96.0.3:53', Uint8Array.of(i >> 8, i & 255));
      const expected = encode(to(query, '10.244.2.7:5353'));
      if (expected[40] !== 0xff || expected[41] !== 0xff) continue;
      expect(plane.run('pl_ingress_eth', encode(query)).bytes).toEqual(expected);
      return;
    }
    throw new Error('no payload gives that checksum');
  });
});

test('what is too deep, or no IP, passes untouched', async () => {
  const plane = await Dataplane.load({ flags: 0 });
  publish(plane, { at: '10.96.0.1:80', cluster: ['10.244.2.7:8080'] });
  publish(plane, { at: '[fd00:96::1]:80', cluster: ['[fd00:244:2::7]:8080'] });
  const v4 = tcp('10.244.1.5:40000', '10.96.0.1:80', 'S');
  const v6 = tcp('[fd00:244:1::5]:40000', '[fd00:96::1]:80', 'S');
  const packets = [
    encode({ ...v4, vlans: [1, 2, 3] }),
    encode({ ...v6, extensions: [0, 60, 60, 60, 60, 60, 60, 60] }),
    encode({
      ...v4,
      macs: ['ff:ff:ff:ff:ff:ff', '02:00:00:00:00:01'],
      body: { kind: 'raw', protocol: 47, payload: new Uint8Array(40) },
    }),
  ];
  const arp = encode(v4);
  arp.set([0x08, 0x06], 12);
  for (const packet of [...packets, arp])
    for (const program of ['pl_ingress_eth', 'pl_egress_eth'] as const)
      expect(plane.run(program, packet)).toEqual({ verdict: 'next', bytes: packet, mark: 0 });
  const mpls = encode(bare(v4));
  mpls[0] = 0x15;
  expect(plane.run('pl_ingress_ip', mpls)).toEqual({ verdict: 'next', bytes: mpls, mark: 0 });
  plane.close();
});
