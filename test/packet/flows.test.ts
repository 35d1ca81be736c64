// How decisions last: who may enter `flows`, which SYN decides anew, what happens to colliding replies.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAddr } from '../../src/abi/addr.js';
import { FlowFlags } from '../../src/abi/layout.gen.js';
import { Dataplane } from './dataplane.js';
import { decode } from './decode.js';
import { encode } from './encode.js';
import { destinationOf, type Endpoint, from, type Packet, reply, sourceOf, tcp, to, udp } from './packet.js';
import { flowAt, publish, retarget, withdraw } from './services.js';

const A = '10.244.2.1:8080';
const B = '10.244.2.2:8080';

let plane: Dataplane;
beforeAll(async () => {
  plane = await Dataplane.load();
});
afterAll(() => plane.close());

let clients = 0;
const newClient = () => `10.244.1.${(clients % 250) + 1}:${20000 + clients++}`;
let vips = 0;
const newVip = () => `10.96.${10 + (vips >> 7)}.${(vips++ & 127) + 1}:80`;

/** Where ingress sends the packet. */
function send(packet: Packet): Packet {
  const out = plane.run('pl_ingress_eth', encode(packet));
  expect(out.verdict).toBe('next');
  return decode(out.bytes);
}

function answer(packet: Packet, flags = 'SA'): Packet {
  return decode(plane.run('pl_egress_eth', encode(reply(packet, flags))).bytes);
}

/** Handshake; returns the backend. */
function connect(client: Endpoint, vip: Endpoint): Endpoint {
  const sent = send(tcp(client, vip, 'S'));
  expect(sourceOf(answer(sent))).toBe(vip);
  send(tcp(client, vip, 'A'));
  expect(flowAt(plane, 'flows', 'tcp', client, vip)).toBeDefined();
  return destinationOf(sent);
}

describe('promotion', () => {
  test('TCP moves when the client goes on after an answer, not for a repeated SYN', () => {
    const [client, vip] = [newClient(), newVip()];
    publish(plane, { at: vip, cluster: [A] });
    const confirmed = () => flowAt(plane, 'flows', 'tcp', client, vip) !== undefined;
    const sent = send(tcp(client, vip, 'S'));
    send(tcp(client, vip, 'S'));
    expect(confirmed()).toBe(false);
    answer(sent);
    send(tcp(client, vip, 'S'));
    expect(confirmed()).toBe(false);
    send(tcp(client, vip, 'A'));
    expect(confirmed()).toBe(true);
    expect(flowAt(plane, 'flows', 'tcp', A, client)?.flags).toBe(FlowFlags.REPLY | FlowFlags.ANSWERED);
    expect(flowAt(plane, 'opening', 'tcp', client, vip)?.flags).toBe(FlowFlags.CONFIRMED);
  });

  test('UDP moves with the query after the first answer', () => {
    const [client, vip] = [newClient(), newVip()];
    publish(plane, { at: vip, proto: 'udp', cluster: [A] });
    const sent = send(udp(client, vip));
    send(udp(client, vip));
    expect(flowAt(plane, 'flows', 'udp', client, vip)).toBeUndefined();
    answer(sent);
    send(udp(client, vip));
    expect(flowAt(plane, 'flows', 'udp', client, vip)).toBeDefined();
  });

  test('an evicted reply entry comes back with the next packet of the client', () => {
    const [client, vip] = [newClient(), newVip()];
    publish(plane, { at: vip, cluster: [A] });
    const sent = send(tcp(client, vip, 'S'));
    plane.delete('opening', key('tcp', A, client));
    send(tcp(client, vip, 'S'));
    expect(sourceOf(answer(sent))).toBe(vip);
  });

  test('a full table keeps flows in `opening`, which serves them', async () => {
    const small = await Dataplane.load({ maxEntries: { flows: 1 } });
    const [client, vip] = ['10.244.1.1:1000', '10.96.1.1:80'];
    publish(small, { at: vip, cluster: [A] });
    small.run('pl_ingress_eth', encode(tcp(client, vip, 'S')));
    const back = encode(reply(tcp(client, A, 'S')));
    for (let i = 0; i < 3; i++) {
      expect(small.run('pl_egress_eth', back).bytes).toEqual(encode(from(reply(tcp(client, A, 'S')), vip)));
      expect(small.run('pl_ingress_eth', encode(tcp(client, vip, 'A'))).bytes).toEqual(
        encode(tcp(client, A, 'A')),
      );
    }
    expect(small.reasons()).toEqual({ 'flow-table-full': 1 });
    expect(await small.entries('flows')).toEqual([]);
    small.close();
  });

  test('200,000 SYNs do not push out an established connection', async () => {
    const flood = await Dataplane.load({
      object: 'build/bench.bpf.o',
      // Client packets with SYN to one VIP, of 200,000 flows: see struct bench_settings.
      variables: { bench: new Uint8Array(Uint32Array.of(1, 1, 200_000, 0, 2, 0).buffer) },
    });
    publish(flood, { at: '10.96.0.1:80', cluster: ['10.128.0.1:8080'] });
    const established = flowOf('10.244.1.77:5555', '10.96.0.1:80');
    flood.set('flows', established, {
      ...EMPTY_FLOW,
      natAddr: parseAddr('10.128.0.1'),
      natPort: 8080,
      clientPort: 5555,
    });
    const packet = encode(tcp('10.244.1.1:1000', '10.96.0.1:80', 'S', 'x'.repeat(20)));
    flood.native.programRun(flood.programFd('pl_bench'), packet, { repeat: 200_000 });
    expect(flood.get('flows', established)).toBeDefined();
    expect((await flood.entries('flows')).length).toBe(1);
    expect((await flood.entries('opening')).length).toBeGreaterThan(30_000);
    flood.close();
  });
});

const EMPTY_FLOW = { seenNs: 0n, createdNs: 0n, service: 1, set: 1, flags: 0, kind: 1 };
const flowOf = (src: Endpoint, dst: Endpoint) => key('tcp', src, dst);

function key(proto: 'tcp' | 'udp', src: Endpoint, dst: Endpoint) {
  const part = (endpoint: Endpoint) => ({
    addr: parseAddr(endpoint.split(':')[0]!),
    port: Number(endpoint.split(':')[1]),
  });
  return {
    src: part(src).addr,
    sport: part(src).port,
    dst: part(dst).addr,
    dport: part(dst).port,
    proto: proto === 'tcp' ? 6 : 17,
  };
}

describe('a SYN on an old tuple', () => {
  test('retransmitted to a backend that still serves: the same backend', () => {
    const [client, vip] = [newClient(), newVip()];
    publish(plane, { at: vip, cluster: Array.from({ length: 20 }, (_, i) => `10.244.3.${i + 1}:80`) });
    const first = send(tcp(client, vip, 'S'));
    for (let i = 0; i < 10; i++) expect(send(tcp(client, vip, 'S'))).toEqual(first);
  });

  test('retransmitted to a backend that is gone: another one', () => {
    const [client, vip] = [newClient(), newVip()];
    const published = publish(plane, { at: vip, cluster: [A] });
    expect(destinationOf(send(tcp(client, vip, 'S')))).toBe(A);
    retarget(plane, published, [B]);
    const sent = send(tcp(client, vip, 'S'));
    expect(destinationOf(sent)).toBe(B);
    expect(sourceOf(answer(sent))).toBe(vip);
    expect(flowAt(plane, 'opening', 'tcp', A, client)).toBeUndefined();
  });

  test('a closed connection, its port used again: decided anew', () => {
    const [client, vip] = [newClient(), newVip()];
    const published = publish(plane, { at: vip, cluster: [A] });
    connect(client, vip);
    retarget(plane, published, [B]);
    send(tcp(client, vip, 'FA'));
    expect(destinationOf(send(tcp(client, vip, 'S')))).toBe(B);
    expect(flowAt(plane, 'flows', 'tcp', client, vip)).toBeUndefined();
    expect(flowAt(plane, 'flows', 'tcp', A, client)).toBeUndefined();
  });

  test('a connection that ended unseen, its port used again later: decided anew', () => {
    const [client, vip] = [newClient(), newVip()];
    const published = publish(plane, { at: vip, cluster: [A, B] });
    const backend = connect(client, vip);
    const entry = flowAt(plane, 'flows', 'tcp', client, vip)!;
    plane.set('flows', flowOf(client, vip), { ...entry, createdNs: entry.createdNs - 10_000_000_000n });
    retarget(plane, published, [backend === A ? B : A]);
    expect(destinationOf(send(tcp(client, vip, 'S')))).not.toBe(backend);
  });

  test('the late twin of the SYN that opened it does not break a young connection', () => {
    const [client, vip] = [newClient(), newVip()];
    publish(plane, { at: vip, cluster: [A, B] });
    const backend = connect(client, vip);
    for (let i = 0; i < 10; i++) expect(destinationOf(send(tcp(client, vip, 'S')))).toBe(backend);
    expect(flowAt(plane, 'flows', 'tcp', client, vip)).toBeDefined();
  });

  test('refused by the backend: the next attempt is free to go elsewhere', () => {
    const [client, vip] = [newClient(), newVip()];
    publish(plane, { at: vip, cluster: [A, B] });
    const tried = new Set<Endpoint>();
    for (let i = 0; i < 40; i++) {
      const sent = send(tcp(client, vip, 'S'));
      tried.add(destinationOf(sent));
      expect(sourceOf(answer(sent, 'RA'))).toBe(vip);
    }
    expect(tried).toEqual(new Set([A, B]));
  });
});

describe('endpoints come and go', () => {
  test('an open TCP connection keeps a backend that left the list', () => {
    const [client, vip] = [newClient(), newVip()];
    const published = publish(plane, { at: vip, cluster: [A] });
    connect(client, vip);
    retarget(plane, published, [B]);
    for (let i = 0; i < 5; i++) expect(destinationOf(send(tcp(client, vip, 'PA', 'data')))).toBe(A);
  });

  test('a UDP flow moves at once, and is counted', () => {
    const [client, vip] = [newClient(), newVip()];
    const published = publish(plane, { at: vip, proto: 'udp', cluster: [A] });
    answer(send(udp(client, vip)));
    send(udp(client, vip));
    const before = plane.reasons()['flow-reselected'] ?? 0;
    retarget(plane, published, [B]);
    const sent = send(udp(client, vip));
    expect(destinationOf(sent)).toBe(B);
    expect(sourceOf(answer(sent))).toBe(vip);
    expect(plane.reasons()['flow-reselected']).toBe(before + 1);
    expect(flowAt(plane, 'flows', 'udp', A, client)).toBeUndefined();
  });

  test('flows outlive their Service; new ones are refused', () => {
    const vip = newVip();
    const [old, young] = [newClient(), newClient()];
    const tcpService = publish(plane, { at: vip, cluster: [A] });
    const udpService = publish(plane, { at: vip, proto: 'udp', cluster: [A] });
    connect(old, vip);
    send(udp(old, vip));
    withdraw(plane, tcpService);
    withdraw(plane, udpService);
    expect(destinationOf(send(tcp(old, vip, 'PA', 'data')))).toBe(A);
    expect(sourceOf(answer(tcp(old, A, 'PA'), 'A'))).toBe(vip);
    expect(destinationOf(send(udp(old, vip)))).toBe(A);
    expect(plane.run('pl_ingress_eth', encode(tcp(young, vip, 'S'))).verdict).toBe('answer');
  });
});

describe('one client port, two VIPs, one backend', () => {
  test('another endpoint is taken where there is one', () => {
    for (let i = 0; i < 20; i++) {
      const [client, one, two] = [newClient(), newVip(), newVip()];
      publish(plane, { at: one, cluster: [A] });
      publish(plane, { at: two, cluster: [A, B] });
      connect(client, one);
      const sent = send(tcp(client, two, 'S'));
      const seen = answer(sent);
      expect([sourceOf(seen), destinationOf(seen)]).toEqual([two, client]);
      expect(destinationOf(send(tcp(client, one, 'PA')))).toBe(A);
    }
    expect(plane.reasons()['flow-collision']).toBeGreaterThan(3);
  });

  test.each(['tcp', 'udp'] as const)('else the source port is changed, and changed back (%s)', (proto) => {
    const [client, one, two] = [newClient(), newVip(), newVip()];
    publish(plane, { at: one, proto, cluster: [A] });
    publish(plane, { at: two, proto, cluster: [A] });
    const make = (vip: Endpoint, flags: string) =>
      proto === 'tcp' ? tcp(client, vip, flags) : udp(client, vip);
    answer(send(make(one, 'S')));
    send(make(one, 'A'));
    const sent = send(make(two, 'S'));
    expect(destinationOf(sent)).toBe(A);
    expect(sourceOf(sent)).not.toBe(client);
    expect(sent).toEqual(from(to(make(two, 'S'), A), sourceOf(sent)));
    const back = reply(sent);
    const seen = plane.run('pl_egress_eth', encode(back));
    expect(seen.bytes).toEqual(encode(to(from(back, two), client)));
    expect(sourceOf(send(make(two, 'A')))).toBe(sourceOf(sent));
    expect(flowAt(plane, 'flows', proto, client, two)?.flags).toBe(FlowFlags.SPORT);
    expect(sourceOf(answer(send(make(one, 'PA')), 'A'))).toBe(one);
  });
});
