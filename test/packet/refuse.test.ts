// What is refused, and the bytes of the refusal: built here from nothing, compared bit by bit.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FrontendFlags, Kind, SettingFlags } from '../../src/abi/layout.gen.js';
import { Dataplane, SERVICE_RANGES, STRICT } from './dataplane.js';
import { encode, encodeFragments, encodeIp } from './encode.js';
import { bare, type Packet, ping, portUnreachable, reply, tcp, udp } from './packet.js';
import { publish } from './services.js';

let plane: Dataplane;
beforeAll(async () => {
  plane = await Dataplane.load();
});
afterAll(() => plane.close());

/** Port unreachable about a packet, from where it was sent to. */
function refusal(of: Packet): Packet {
  const quoted = encodeIp(of).slice(0, 128);
  return { ...portUnreachable(of.dst, of.src, quoted), macs: turned(of), vlans: of.vlans, ttl: 64, id: 0 };
}

function turned(of: Packet): Packet['macs'] {
  return of.macs && [of.macs[1], of.macs[0]];
}

function reset(of: Packet, seq: number, ack?: number): Packet {
  const back = reply(of, ack === undefined ? 'R' : 'RA');
  if (back.body.kind !== 'tcp') throw new Error('not TCP');
  return {
    ...back,
    macs: turned(of),
    ttl: 64,
    id: 0,
    body: { ...back.body, seq, ack: ack ?? 0, payload: new Uint8Array(0) },
  };
}

describe.each([
  ['IPv4', '10.244.1.5', '10.96.0.1', '10.96.77.1'],
  ['IPv6', '[fd00:244:1::5]', '[fd00:96::1]', '[fd00:96::77]'],
])('%s', (_, pod, vip, unallocated) => {
  const client = `${pod}:40000`;
  const hosts = { src: pod.replace(/[[\]]/g, ''), dst: vip.replace(/[[\]]/g, '') };

  test.each([
    ['UDP', udp(client, `${vip}:53`)],
    ['UDP, long', udp(client, `${vip}:53`, 'x'.repeat(1000))],
    ['UDP, odd length', udp(client, `${vip}:53`, 'x'.repeat(33))],
    ['TCP', tcp(client, `${vip}:53`, 'S')],
    ['TCP in a VLAN', { ...tcp(client, `${vip}:53`, 'S'), vlans: [12] }],
    ['TCP in two VLANs', { ...tcp(client, `${vip}:53`, 'S'), vlans: [12, 34] }],
  ])('no endpoint: port unreachable (%s)', (_name, packet) => {
    publish(plane, { at: `${vip}:53`, proto: packet.body.kind === 'tcp' ? 'tcp' : 'udp' });
    const before = plane.reasons()['reject-no-endpoint'] ?? 0;
    const out = plane.run('pl_ingress_eth', encode(packet));
    expect(out.verdict).toBe('answer');
    expect(out.bytes).toEqual(encode(refusal(packet)));
    expect(plane.reasons()['reject-no-endpoint']).toBe(before + 1);
    expect(plane.run('pl_egress_eth', out.bytes)).toMatchObject({ verdict: 'next', bytes: out.bytes });
  });

  test('no endpoint, on a device without Ethernet header', () => {
    publish(plane, { at: `${vip}:53`, proto: 'udp' });
    const packet = bare(udp(client, `${vip}:53`));
    const out = plane.run('pl_ingress_ip', encode(packet));
    expect(out).toMatchObject({ verdict: 'answer', bytes: encode(refusal(packet)) });
  });

  test('a port that an active cluster IP does not have', () => {
    publish(plane, { at: `${vip}:80`, cluster: [`${unallocated}:80`] });
    for (const packet of [tcp(client, `${vip}:81`, 'S'), udp(client, `${vip}:80`)]) {
      const out = plane.run('pl_ingress_eth', encode(packet));
      expect(out).toMatchObject({ verdict: 'answer', bytes: encode(refusal(packet)) });
    }
    expect(plane.reasons()['reject-no-frontend']).toBeGreaterThan(1);
  });

  test('echo to a cluster IP is refused, an ICMP error is not answered', () => {
    publish(plane, { at: `${vip}:80`, cluster: [`${unallocated}:80`] });
    const echo = ping(hosts.src, hosts.dst);
    const out = plane.run('pl_ingress_eth', encode(echo));
    expect(out).toMatchObject({ verdict: 'answer', bytes: encode(refusal(echo)) });
    const error = encode(portUnreachable(hosts.src, hosts.dst, encodeIp(udp(`${vip}:9`, client))));
    expect(plane.run('pl_ingress_eth', error)).toMatchObject({ verdict: 'next', bytes: error });
  });

  test('a TCP segment of no flow is reset', () => {
    publish(plane, { at: `${vip}:80`, cluster: [`${unallocated}:80`] });
    const data = tcp(`${pod}:41000`, `${vip}:80`, 'PA', 'some bytes');
    const out = plane.run('pl_ingress_eth', encode(data));
    expect(out).toMatchObject({ verdict: 'answer', bytes: encode(reset(data, 0x0a0b0c0d)) });
    const fin = tcp(`${pod}:41000`, `${vip}:80`, 'F', 'abc');
    const second = plane.run('pl_ingress_eth', encode(fin));
    expect(second.bytes).toEqual(encode(reset(fin, 0, 0x01020304 + 4)));
    const third = plane.run('pl_ingress_eth', encode(tcp(`${pod}:41000`, `${vip}:80`, 'R')));
    expect(third.verdict).toBe('drop');
    expect(plane.run('pl_egress_eth', out.bytes)).toMatchObject({ verdict: 'next', bytes: out.bytes });
  });

  test('segments of GSO are refused with one ordinary packet', () => {
    publish(plane, { at: `${vip}:80`, cluster: [`${unallocated}:80`] });
    const data = tcp(`${pod}:41000`, `${vip}:80`, 'PA', 'x'.repeat(3000));
    const out = plane.run('pl_ingress_eth', encode(data), { gsoSize: 1400 });
    expect(out.bytes).toEqual(encode(reset(data, 0x0a0b0c0d)));
  });

  test('an address that no Service has is dropped, and leaks are', () => {
    const packet = encode(udp(client, `${unallocated}:53`));
    expect(plane.run('pl_ingress_eth', packet).verdict).toBe('drop');
    expect(plane.run('pl_egress_eth', packet).verdict).toBe('drop');
    expect(plane.reasons()).toMatchObject({
      'drop-unallocated': expect.any(Number),
      'drop-service-leak': expect.any(Number),
    });
  });

  test('later fragments are refused without an answer', () => {
    publish(plane, { at: `${vip}:53`, proto: 'udp' });
    const [first, second] = encodeFragments(udp(client, `${vip}:53`, 'x'.repeat(1200)), 800, 0x99);
    expect(plane.run('pl_ingress_eth', first!).verdict).toBe('answer');
    expect(plane.run('pl_ingress_eth', second!).verdict).toBe('drop');
  });
});

test('policy Local without a local endpoint is silent where others have one', () => {
  publish(plane, {
    at: '192.0.2.1:30080',
    kind: Kind.NODE_PORT,
    cluster: ['10.244.2.7:80'],
    flags: FrontendFlags.LOCAL,
  });
  const out = plane.run('pl_ingress_eth', encode(tcp('198.51.100.7:4000', '192.0.2.1:30080', 'S')));
  expect(out.verdict).toBe('drop');
  expect(plane.reasons()['drop-no-local-endpoint']).toBe(1);
});

test('neighbour discovery to a cluster IP is left alone', () => {
  publish(plane, { at: '[fd00:96::1]:80', cluster: ['[fd00:244:2::7]:80'] });
  for (const type of [133, 134, 135, 136, 137, 143]) {
    const packet = encode({
      ...ping('fd00:244:1::5', 'fd00:96::1'),
      body: { kind: 'icmp', type, code: 0, rest: 0, payload: new Uint8Array(24) },
    });
    expect(plane.run('pl_ingress_eth', packet)).toMatchObject({ verdict: 'next', bytes: packet });
  }
});

test('nobody in particular gets no answer', () => {
  publish(plane, { at: '10.96.0.1:53', proto: 'udp' });
  for (const source of ['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255'])
    expect(plane.run('pl_ingress_eth', encode(udp(`${source}:4000`, '10.96.0.1:53'))).verdict).toBe('drop');
});

test('answers are limited', async () => {
  const limited = await Dataplane.load({ rejectPerSecond: 3 });
  publish(limited, { at: '10.96.0.1:53', proto: 'udp' });
  const packet = encode(udp('10.244.1.5:4000', '10.96.0.1:53'));
  const verdicts = Array.from({ length: 40 }, () => limited.run('pl_ingress_eth', packet).verdict);
  expect(verdicts.filter((verdict) => verdict === 'answer').length).toBeLessThanOrEqual(
    3 * limited.native.possibleCpus * 2,
  );
  expect(limited.reasons()['drop-reject-limited']).toBeGreaterThan(20);
  limited.close();
});

test('what the settings leave alone passes untouched', async () => {
  const lenient = await Dataplane.load({ flags: 0 });
  publish(lenient, { at: '10.96.0.1:80', cluster: ['10.244.2.7:80'] });
  for (const packet of [udp('10.244.1.5:4000', '10.96.0.1:53'), udp('10.244.1.5:4000', '10.96.77.1:53')].map(
    encode,
  )) {
    expect(lenient.run('pl_ingress_eth', packet)).toEqual({ verdict: 'next', bytes: packet, mark: 0 });
    expect(lenient.run('pl_egress_eth', packet)).toEqual({ verdict: 'next', bytes: packet, mark: 0 });
  }
  lenient.close();
});

test('while another proxy is taken over from, its connections pass', async () => {
  const takeover = await Dataplane.load({ flags: STRICT | SettingFlags.TAKEOVER });
  publish(takeover, { at: '10.96.0.1:80', cluster: ['10.244.2.7:80'] });
  const packet = encode(tcp('10.244.1.5:4000', '10.96.0.1:80', 'PA', 'data'));
  expect(takeover.run('pl_ingress_eth', packet)).toEqual({ verdict: 'next', bytes: packet, mark: 0 });
  const syn = takeover.run('pl_ingress_eth', encode(tcp('10.244.1.5:4001', '10.96.0.1:80', 'S')));
  expect(syn.bytes).toEqual(encode(tcp('10.244.1.5:4001', '10.244.2.7:80', 'S')));
  takeover.close();
});

test('service ranges of the tests hold the addresses that they use', () => {
  expect(SERVICE_RANGES).toEqual(['10.96.0.0/16', 'fd00:96::/64']);
});
