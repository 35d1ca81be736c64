import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FlowFlags } from '../../src/abi/layout.gen.js';
import { Dataplane } from './dataplane.js';
import { encode } from './encode.js';
import { from, reply, tcp, to, udp } from './packet.js';
import { flowAt, publish } from './services.js';

let plane: Dataplane;
beforeAll(async () => {
  plane = await Dataplane.load();
});
afterAll(() => plane.close());

describe.each([
  ['IPv4', '10.244.1.5:40000', '10.96.0.1:80', '10.244.2.7:8080'],
  ['IPv6', '[fd00:244:1::5]:40000', '[fd00:96::1]:80', '[fd00:244:2::7]:8080'],
])('%s, out and back again', (_, client, vip, backend) => {
  test('TCP: handshake, data and close', () => {
    publish(plane, { at: vip, cluster: [backend] });
    for (const flags of ['S', 'A', 'PA', 'FA']) {
      const out = tcp(client, vip, flags, flags === 'PA' ? 'GET /' : '');
      const sent = plane.run('pl_ingress_eth', encode(out));
      expect(sent.verdict).toBe('next');
      expect(sent.bytes).toEqual(encode(to(out, backend)));
      const back = reply(to(out, backend), flags === 'S' ? 'SA' : 'A', 'odd');
      const seen = plane.run('pl_egress_eth', encode(back));
      expect(seen.verdict).toBe('next');
      expect(seen.bytes).toEqual(encode(from(back, vip)));
    }
    expect(flowAt(plane, 'flows', 'tcp', client, vip)?.flags).toBe(FlowFlags.FIN);
    expect(flowAt(plane, 'flows', 'tcp', backend, client)?.flags).toBe(FlowFlags.REPLY | FlowFlags.ANSWERED);
  });

  test('UDP, also without checksum', () => {
    publish(plane, { at: vip, proto: 'udp', cluster: [backend] });
    for (const checksum of ['real', 'zero'] as const) {
      const query = udp(client, vip);
      if (query.body.kind !== 'udp') throw new Error('not UDP');
      const out = { ...query, body: { ...query.body, checksum } };
      const sent = plane.run('pl_ingress_eth', encode(out));
      expect(sent.bytes).toEqual(encode(to(out, backend)));
      const back = reply(to(out, backend));
      const seen = plane.run('pl_egress_eth', encode(back));
      expect(seen.bytes).toEqual(encode(from(back, vip)));
    }
    expect(flowAt(plane, 'flows', 'udp', client, vip)).toBeDefined();
  });
});
