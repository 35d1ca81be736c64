// Which list serves whom, and who is masqueraded: the flow decision table of kube-proxy, row by row.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parseAddr } from '../../src/abi/addr.js';
import {
  DeviceFlags,
  EndpointFlags,
  FrontendFlags as Fe,
  Kind,
  SettingFlags,
} from '../../src/abi/layout.gen.js';
import { Dataplane, MASQUERADE_MARK, STRICT } from './dataplane.js';
import { encode } from './encode.js';
import { sctp, tcp, to, udp } from './packet.js';
import { publish, type ServiceSpec } from './services.js';

const POD = '10.244.1.5';
const OUTSIDE = '198.51.100.7';
const LOCAL = '10.244.1.30:8080';
const REMOTE = '10.244.2.7:8080';

let plane: Dataplane;
beforeAll(async () => {
  plane = await Dataplane.load();
});
afterAll(() => plane.close());

let ports = 1024;
let hosts = 0;

/** Publishes under an address of its own and sends one SYN of a new port. */
function send(spec: Omit<ServiceSpec, 'at'>, client: string, on = plane) {
  const external = spec.kind !== undefined && spec.kind !== Kind.CLUSTER_IP;
  hosts++;
  const at = external ? `192.0.2.${hosts}:30080` : `10.96.1.${hosts}:80`;
  publish(on, { ...spec, at });
  const syn = tcp(`${client}:${++ports}`, at, 'S');
  const out = on.run('pl_ingress_eth', encode(syn), { mark: 0x10 });
  const backends = [...(spec.cluster ?? []), ...(spec.local ?? [])];
  const backend = backends.find((one) => Buffer.from(out.bytes).equals(encode(to(syn, one))));
  return {
    verdict: out.verdict,
    backend,
    masqueraded: out.mark === (0x10 | MASQUERADE_MARK),
    mark: out.mark,
  };
}

const EXTERNAL = [Kind.NODE_PORT, Kind.EXTERNAL_IP, Kind.LOAD_BALANCER];

describe('cluster IP', () => {
  const spec = { cluster: [REMOTE], flags: Fe.MASQ_OFF_POD };

  test('a local pod keeps its address, everybody else is masqueraded', () => {
    expect(send(spec, POD)).toMatchObject({ backend: REMOTE, masqueraded: false, mark: 0x10 });
    expect(send(spec, OUTSIDE)).toMatchObject({ backend: REMOTE, masqueraded: true });
  });

  test('without a detector nobody is, with masqueradeAll everybody', () => {
    expect(send({ cluster: [REMOTE] }, OUTSIDE)).toMatchObject({ backend: REMOTE, masqueraded: false });
    expect(send({ cluster: [REMOTE], flags: Fe.MASQ }, POD)).toMatchObject({ masqueraded: true });
  });

  test('internal policy Local: the local list, or silence', () => {
    expect(send({ cluster: [REMOTE], local: [LOCAL], flags: Fe.LOCAL }, POD).backend).toBe(LOCAL);
    expect(send({ cluster: [REMOTE], flags: Fe.LOCAL }, POD)).toMatchObject({ verdict: 'drop' });
  });

  test('hairpin: a pod that is chosen for itself is masqueraded', () => {
    const own = `${POD}:8080`;
    expect(send({ cluster: [own], flags: Fe.MASQ_OFF_POD }, POD)).toMatchObject({
      backend: own,
      masqueraded: true,
    });
  });
});

describe.each(EXTERNAL)('external frontend of kind %i', (kind) => {
  test('policy Cluster: everybody is masqueraded', () => {
    for (const client of [POD, OUTSIDE])
      expect(send({ kind, cluster: [REMOTE], flags: Fe.MASQ }, client)).toMatchObject({
        backend: REMOTE,
        masqueraded: true,
      });
  });

  test('policy Local: outside clients get local endpoints and keep their address', () => {
    const spec = { kind, cluster: [REMOTE], local: [LOCAL], flags: Fe.LOCAL | Fe.SHORT_CIRCUIT };
    expect(send(spec, OUTSIDE)).toMatchObject({ backend: LOCAL, masqueraded: false });
    expect(send({ ...spec, local: [] }, OUTSIDE)).toMatchObject({ verdict: 'drop' });
  });

  test('policy Local: local pods take the short circuit to the cluster list', () => {
    const spec = { kind, cluster: [REMOTE], flags: Fe.LOCAL | Fe.SHORT_CIRCUIT };
    expect(send(spec, POD)).toMatchObject({ backend: REMOTE, masqueraded: false });
    expect(send({ ...spec, flags: Fe.LOCAL }, POD)).toMatchObject({ verdict: 'drop' });
  });

  test('preserveClientAddress: kept for endpoints of this node, but for a hairpin', () => {
    const flags = Fe.MASQ | Fe.KEEP_LOCAL_CLIENT;
    expect(send({ kind, cluster: [LOCAL], onNode: [LOCAL], flags }, OUTSIDE)).toMatchObject({
      masqueraded: false,
    });
    expect(send({ kind, cluster: [REMOTE], flags }, OUTSIDE)).toMatchObject({ masqueraded: true });
    expect(send({ kind, cluster: [`${POD}:8080`], onNode: [`${POD}:8080`], flags }, POD)).toMatchObject({
      masqueraded: true,
    });
  });
});

test('node ports: other ports of the address are not touched', () => {
  publish(plane, { at: '192.0.2.200:30080', kind: Kind.NODE_PORT, cluster: [REMOTE] });
  for (const port of [22, 29999, 32768, 30081]) {
    const packet = encode(tcp(`${OUTSIDE}:5000`, `192.0.2.200:${port}`, 'S'));
    expect(plane.run('pl_ingress_eth', packet)).toEqual({ verdict: 'next', bytes: packet, mark: 0 });
  }
});

test('localhost node ports belong to the socket hook', () => {
  publish(plane, { at: '127.0.0.1:30080', kind: Kind.NODE_PORT, cluster: [REMOTE], flags: Fe.LOCALHOST });
  const packet = encode(tcp('127.0.0.1:5000', '127.0.0.1:30080', 'S'));
  expect(plane.run('pl_ingress_eth', packet)).toEqual({ verdict: 'next', bytes: packet, mark: 0 });
});

test('every packet of a masqueraded flow carries the mark', () => {
  const at = '192.0.2.201:30080';
  publish(plane, { at, kind: Kind.NODE_PORT, cluster: [REMOTE], flags: Fe.MASQ });
  for (const flags of ['S', 'A', 'PA', 'FA'])
    expect(plane.run('pl_ingress_eth', encode(tcp(`${OUTSIDE}:5001`, at, flags))).mark).toBe(MASQUERADE_MARK);
});

test('local pods can be told by their device', async () => {
  const other = await Dataplane.load({ flags: STRICT | SettingFlags.POD_BY_DEVICE });
  const spec = { cluster: [REMOTE], flags: Fe.MASQ_OFF_POD };
  expect(send(spec, OUTSIDE, other)).toMatchObject({ masqueraded: true });
  other.set('devices', 1, { flags: DeviceFlags.LOCAL_POD });
  expect(send(spec, OUTSIDE, other)).toMatchObject({ masqueraded: false });
  other.close();
});

describe('source ranges', () => {
  const flags = Fe.SOURCE_RANGES;
  const kind = Kind.LOAD_BALANCER;

  test('a source in none of them is dropped, as it came and before anything else', () => {
    const before = plane.reasons()['drop-source-range'] ?? 0;
    const spec = { kind, flags, cluster: [REMOTE], ranges: ['198.51.100.0/25', '203.0.113.9/32'] };
    expect(send(spec, OUTSIDE)).toMatchObject({ backend: REMOTE });
    expect(send(spec, '203.0.113.9')).toMatchObject({ backend: REMOTE });
    expect(send(spec, '198.51.100.128')).toMatchObject({ verdict: 'drop' });
    expect(send(spec, POD)).toMatchObject({ verdict: 'drop' });
    expect(send({ ...spec, cluster: [] }, POD)).toMatchObject({ verdict: 'drop' });
    expect(plane.reasons()['drop-source-range']).toBe(before + 3);
  });
});

describe('session affinity', () => {
  const endpoints = Array.from({ length: 16 }, (_, i) => `10.244.2.${i + 1}:8080`);

  function ask(at: string, client: string): string | undefined {
    const query = udp(`${client}:${++ports}`, at);
    const { bytes } = plane.run('pl_ingress_eth', encode(query));
    return endpoints.find((one) => Buffer.from(bytes).equals(encode(to(query, one))));
  }

  test('a client stays with its endpoint, whatever its port; others spread', () => {
    const at = '10.96.2.1:53';
    publish(plane, { at, proto: 'udp', cluster: endpoints, affinity: 60 });
    const first = ask(at, POD);
    expect(first).toBeDefined();
    for (let i = 0; i < 20; i++) expect(ask(at, POD)).toBe(first);
    const others = new Set(Array.from({ length: 60 }, (_, i) => ask(at, `10.244.1.${i + 50}`)));
    expect(others.size).toBeGreaterThan(8);
  });

  test('an endpoint that left the list is forgotten, and so is a window that has closed', () => {
    const at = '10.96.2.2:53';
    const { id } = publish(plane, { at, proto: 'udp', cluster: endpoints, affinity: 60 });
    const key = { service: id, type: 0, client: parseAddr(POD) };
    const gone = { addr: parseAddr('10.244.2.99'), port: 8080 };
    plane.set('affinity', key, { seenNs: process.hrtime.bigint(), ...gone });
    expect(ask(at, POD)).toBeDefined();
    const chosen = { addr: parseAddr('10.244.2.1'), port: 8080 };
    plane.set('affinity', key, { seenNs: process.hrtime.bigint() - 61_000_000_000n, ...chosen });
    const asked = Array.from({ length: 20 }, () => {
      plane.set('affinity', key, { seenNs: process.hrtime.bigint() - 61_000_000_000n, ...chosen });
      return ask(at, POD);
    });
    expect(new Set(asked).size).toBeGreaterThan(1);
  });
});

test('SCTP is served where the port stays, else left to another engine', () => {
  const client = `${POD}:6000`;
  publish(plane, { at: '10.96.3.1:3868', proto: 'sctp', cluster: ['10.244.2.7:3868'] });
  const same = sctp(client, '10.96.3.1:3868');
  expect(plane.run('pl_ingress_eth', encode(same)).bytes).toEqual(encode(to(same, '10.244.2.7:3868')));
  publish(plane, { at: '10.96.3.2:3868', proto: 'sctp', cluster: ['10.244.2.7:3869'] });
  const other = encode(sctp(client, '10.96.3.2:3868'));
  expect(plane.run('pl_ingress_eth', other)).toEqual({ verdict: 'next', bytes: other, mark: 0 });
});

test('a slot that has another owner is not served', () => {
  const at = '10.96.3.3:80';
  const { id } = publish(plane, { at, cluster: [REMOTE] });
  const frontend = plane.get('frontends', { addr: parseAddr('10.96.3.3'), port: 80, proto: 6 })!;
  plane.set(
    'slots',
    { set: frontend.clusterSet, index: 0 },
    {
      addr: parseAddr('10.244.2.99'),
      port: 1,
      flags: EndpointFlags.READY,
      set: frontend.clusterSet,
      service: id + 1,
    },
  );
  const before = plane.reasons()['drop-stale-slot'] ?? 0;
  expect(plane.run('pl_ingress_eth', encode(tcp(`${POD}:7000`, at, 'S'))).verdict).toBe('drop');
  expect(plane.reasons()['drop-stale-slot']).toBe(before + 1);
});

test('new flows are counted for their Service', async () => {
  const at = '10.96.3.4:80';
  const { id } = publish(plane, { at, cluster: [REMOTE] });
  const cpus = plane.native.possibleCpus;
  const stats = new Uint8Array(40 * cpus);
  plane.native.mapUpdate(plane.mapFd('service_stats'), new Uint8Array(Uint32Array.of(id).buffer), stats);
  for (const flags of ['S', 'A', 'A']) plane.run('pl_ingress_eth', encode(tcp(`${POD}:7001`, at, flags)));
  plane.native.mapLookup(plane.mapFd('service_stats'), new Uint8Array(Uint32Array.of(id).buffer), stats);
  const served = Array.from({ length: cpus }, (_, i) => Number(new BigUint64Array(stats.buffer)[i * 5 + 1]));
  expect(served.reduce((a, b) => a + b)).toBe(1);
});
