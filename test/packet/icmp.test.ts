// ICMP errors about translated flows: what each end is told must be about a packet that it knows.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FrontendFlags, Kind } from '../../src/abi/layout.gen.js';
import { Dataplane, MASQUERADE_MARK } from './dataplane.js';
import { decode } from './decode.js';
import { encode, encodeIp } from './encode.js';
import { from, icmp, isIp6, type Packet, portUnreachable, reply, sourceOf, tcp, to, udp } from './packet.js';
import { publish } from './services.js';

let plane: Dataplane;
beforeAll(async () => {
  plane = await Dataplane.load();
});
afterAll(() => plane.close());

/** IP header (20 or 40), and this much of what follows. */
const cut = (packet: Packet, bytes: number) => encodeIp(packet).slice(0, (isIp6(packet) ? 40 : 20) + bytes);

describe.each([
  ['IPv4', '10.244.1.5', '10.96.0.1', '10.244.2.7', '10.0.0.254'],
  ['IPv6', 'fd00:244:1::5', 'fd00:96::1', 'fd00:244:2::7', 'fd00::fe'],
])('%s', (_, pod, vip, backend, router) => {
  const at = (host: string, port: number) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`);
  const flows = {
    udp: { out: udp(at(pod, 40000), at(vip, 53), 'a query of some length'), backend: at(backend, 5353) },
    tcp: { out: tcp(at(pod, 40000), at(vip, 53), 'S'), backend: at(backend, 5353) },
  };

  describe.each(['udp', 'tcp'] as const)('about %s', (proto) => {
    const flow = flows[proto];

    function open() {
      publish(plane, { at: at(vip, 53), proto, cluster: [flow.backend] });
      expect(plane.run('pl_ingress_eth', encode(flow.out)).bytes).toEqual(encode(to(flow.out, flow.backend)));
    }

    test.each([8, 20, 30])('to the client, from the backend, quoting %i bytes', (bytes) => {
      open();
      const error = portUnreachable(backend, pod, cut(to(flow.out, flow.backend), bytes));
      const expected = portUnreachable(vip, pod, cut(flow.out, bytes));
      const out = plane.run('pl_egress_eth', encode(error));
      expect(out).toMatchObject({ verdict: 'next', bytes: encode(expected) });
    });

    test('to the client, from a router on the way', () => {
      open();
      const tooBig = (quoted: Uint8Array) =>
        isIp6(flow.out) ? icmp(router, pod, 2, 0, quoted, 1400) : icmp(router, pod, 3, 4, quoted, 1400);
      const out = plane.run('pl_egress_eth', encode(tooBig(cut(to(flow.out, flow.backend), 20))));
      expect(out.bytes).toEqual(encode(tooBig(cut(flow.out, 20))));
    });

    test.each([8, 20, 30])('to the backend, from the client, quoting %i bytes', (bytes) => {
      open();
      const back = reply(to(flow.out, flow.backend));
      const error = portUnreachable(pod, vip, cut(from(back, at(vip, 53)), bytes));
      const expected = portUnreachable(pod, backend, cut(back, bytes));
      const out = plane.run('pl_ingress_eth', encode(error));
      expect(out).toMatchObject({ verdict: 'next', bytes: encode(expected) });
    });

    test('to the backend, from a router before the client', () => {
      open();
      const back = reply(to(flow.out, flow.backend));
      const error = portUnreachable(router, vip, cut(from(back, at(vip, 53)), 20));
      const expected = portUnreachable(router, backend, cut(back, 20));
      expect(plane.run('pl_ingress_eth', encode(error)).bytes).toEqual(encode(expected));
    });
  });

  test('errors about other flows pass untouched', () => {
    publish(plane, { at: at(vip, 53), proto: 'udp', cluster: [at(backend, 5353)] });
    const foreign = udp(at(pod, 1111), at(backend, 5353));
    const packets = [
      portUnreachable(backend, pod, cut(foreign, 20)),
      portUnreachable(pod, vip, cut(reply(udp(at(pod, 1111), at(vip, 53))), 20)),
      portUnreachable(pod, vip, cut(foreign, 0)),
      portUnreachable(pod, vip, new Uint8Array(5)),
      portUnreachable(pod, vip, new Uint8Array(60)),
    ];
    for (const packet of packets.map(encode))
      for (const program of ['pl_ingress_eth', 'pl_egress_eth'] as const)
        expect(plane.run(program, packet)).toEqual({ verdict: 'next', bytes: packet, mark: 0 });
  });

  test('in a flow whose source port was changed, each end reads its own', () => {
    const other = vip.replace(/1$/, '9');
    const client = at(pod, 42000);
    const target = at(backend, 5353);
    for (const one of [vip, other]) publish(plane, { at: at(one, 99), proto: 'udp', cluster: [target] });
    plane.run('pl_ingress_eth', encode(udp(client, at(vip, 99))));
    const out = udp(client, at(other, 99));
    const sent = decode(plane.run('pl_ingress_eth', encode(out)).bytes);
    expect(sourceOf(sent)).not.toBe(client);
    const toClient = plane.run('pl_egress_eth', encode(portUnreachable(backend, pod, cut(sent, 13))));
    expect(toClient.bytes).toEqual(encode(portUnreachable(other, pod, cut(out, 13))));
    const back = reply(sent);
    const seen = to(from(back, at(other, 99)), client);
    const toBackend = plane.run('pl_ingress_eth', encode(portUnreachable(pod, other, cut(seen, 13))));
    expect(toBackend.bytes).toEqual(encode(portUnreachable(pod, backend, cut(back, 13))));
  });
});

test('an error about a masqueraded flow carries the mark, too', () => {
  publish(plane, {
    at: '192.0.2.1:30053',
    proto: 'udp',
    kind: Kind.NODE_PORT,
    flags: FrontendFlags.MASQ,
    cluster: ['10.244.2.7:5353'],
  });
  const out = udp('198.51.100.7:4000', '192.0.2.1:30053');
  plane.run('pl_ingress_eth', encode(out));
  const back = reply(to(out, '10.244.2.7:5353'));
  const error = portUnreachable('198.51.100.7', '192.0.2.1', cut(from(back, '192.0.2.1:30053'), 8));
  const seen = plane.run('pl_ingress_eth', encode(error));
  expect(seen.bytes).toEqual(encode(portUnreachable('198.51.100.7', '10.244.2.7', cut(back, 8))));
  expect(seen.mark).toBe(MASQUERADE_MARK);
});
