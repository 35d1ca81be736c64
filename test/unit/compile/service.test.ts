// Services become frontends: which exist, under which rules; as kube-proxy's TestServiceToServiceMap and friends have it.

import { describe, expect, test } from 'vitest';
import { compile } from '../../../src/compile/compile.js';
import type { CompileContext } from '../../../src/compile/context.js';
import type { Frontend, ServicePlan } from '../../../src/compile/plan.js';
import type { Service } from '../../../src/model/service.js';
import { makeContext, makePort, makeService } from '../../helpers/model.js';

const plan = (service: Partial<Service>, context: Partial<CompileContext> = {}): ServicePlan =>
  compile(makeService(service), [], makeContext(context));
const show = (f: Frontend) => `${f.kind} ${f.address} ${f.port}/${f.protocol}`;
const frontends = (p: ServicePlan) => p.ports.flatMap((port) => port.frontends);
const shown = (service: Partial<Service>, context: Partial<CompileContext> = {}) =>
  frontends(plan(service, context)).map(show);

const dual = {
  clusterIP: '10.96.0.10',
  clusterIPs: ['10.96.0.10', 'fd00::10'],
  ipFamilies: ['IPv4', 'IPv6'],
} as const;

describe('which Services exist', () => {
  test.each<[string, Partial<Service>]>([
    ['headless', { clusterIP: 'None', clusterIPs: ['None'] }],
    ['headless with ports of all protocols', { clusterIP: 'None', ports: [makePort({ protocol: 'SCTP' })] }],
    ['without a cluster IP', { clusterIP: '', clusterIPs: [] }],
    ['ExternalName', { type: 'ExternalName', clusterIP: '', clusterIPs: [] }],
    ['ExternalName with a cluster IP left over', { type: 'ExternalName' }],
    ['without ports', { ports: [] }],
    ['headless with external IPs', { clusterIP: 'None', externalIPs: ['198.51.100.1'] }],
  ])('%s: no frontends, no issues', (_, service) => {
    expect(plan(service)).toMatchObject({ name: 'shop/web', ports: [], issues: [] });
  });

  test('a cluster IP is a frontend for each port', () => {
    const ports = [
      makePort(),
      makePort({ name: 'dns', protocol: 'UDP', port: 53 }),
      makePort({ name: 's', protocol: 'SCTP' }),
    ];
    expect(shown({ ports })).toEqual([
      'cluster-ip 10.96.0.10 80/TCP',
      'cluster-ip 10.96.0.10 53/UDP',
      'cluster-ip 10.96.0.10 80/SCTP',
    ]);
  });

  test('families are independent', () => {
    const p = plan(dual);
    expect(p.ports.map(({ key }) => key)).toEqual(['shop/web:http/TCP/IPv4', 'shop/web:http/TCP/IPv6']);
    expect(frontends(p).map(show)).toEqual(['cluster-ip 10.96.0.10 80/TCP', 'cluster-ip fd00::10 80/TCP']);
  });

  test('nothing of a family without cluster IP, not even external IPs', () => {
    const service = {
      type: 'LoadBalancer',
      ports: [makePort({ nodePort: 30_080 })],
      externalIPs: ['2001:db8::7', '198.51.100.7'],
      loadBalancerIngress: [
        { ip: '2001:db8::8', mode: 'VIP' },
        { ip: '198.51.100.8', mode: 'VIP' },
      ],
    } as const;
    expect(shown(service)).toEqual([
      'cluster-ip 10.96.0.10 80/TCP',
      'external-ip 198.51.100.7 80/TCP',
      'load-balancer 198.51.100.8 80/TCP',
      'node-port 192.0.2.1 30080/TCP',
    ]);
    expect(plan(service).issues).toEqual([]);
  });

  test.each<[string, Partial<Service>, readonly string[]]>([
    ['IPv4 by its one cluster IP', { ipFamilies: [], clusterIPs: [] }, ['10.96.0.10']],
    ['IPv6 by its one cluster IP', { ipFamilies: [], clusterIPs: [], clusterIP: 'fd00::a' }, ['fd00::a']],
    [
      'families in the other order',
      {
        ...dual,
        clusterIP: 'fd00::10',
        clusterIPs: ['fd00::10', '10.96.0.10'],
        ipFamilies: ['IPv6', 'IPv4'],
      },
      ['10.96.0.10', 'fd00::10'],
    ],
    ['a second family without an address', { ipFamilies: ['IPv4', 'IPv6'] }, ['10.96.0.10']],
    ['sloppy', { clusterIP: '172.30.0.041', clusterIPs: ['172.30.0.041'] }, ['172.30.0.41']],
    [
      'IPv6 not canonical',
      { clusterIP: 'FD00:0::A', clusterIPs: ['FD00:0::A'], ipFamilies: ['IPv6'] },
      ['fd00::a'],
    ],
  ])('cluster IP: %s', (_, service, expected) => {
    expect(frontends(plan(service)).map(({ address }) => address)).toEqual(expected);
  });

  test.each(['nonsense', 'fd00::1', '127.0.0.1', '0.0.0.0'])(
    'cluster IP %s is not served and named',
    (ip) => {
      const p = plan({ clusterIP: ip, clusterIPs: [ip], externalIPs: ['198.51.100.1'] });
      expect(p.ports).toEqual([]);
      expect(p.issues).toEqual([
        { code: 'invalid-address', message: `cluster IP "${ip}" is not an IPv4 address; not served in IPv4` },
      ]);
    },
  );
});

describe('external addresses', () => {
  test('invalid ones are skipped and named, empty ones skipped silently', () => {
    const p = plan({
      externalIPs: ['198.51.100.300', '', '198.51.100.7', '198.51.100.007'],
      ports: [makePort(), makePort({ name: 'b', port: 81 })],
    });
    expect(frontends(p).map(show)).toEqual([
      'cluster-ip 10.96.0.10 80/TCP',
      'external-ip 198.51.100.7 80/TCP',
      'cluster-ip 10.96.0.10 81/TCP',
      'external-ip 198.51.100.7 81/TCP',
    ]);
    expect(p.issues).toEqual([
      {
        code: 'invalid-address',
        message: 'spec.externalIPs: "198.51.100.300" is not a unicast address; skipped',
      },
    ]);
  });

  test('ipMode Proxy is left to the load balancer; the type does not matter', () => {
    const loadBalancerIngress = [
      { ip: '198.51.100.1', mode: 'Proxy' },
      { ip: '198.51.100.2', mode: 'VIP' },
    ] as const;
    expect(shown({ loadBalancerIngress })).toEqual([
      'cluster-ip 10.96.0.10 80/TCP',
      'load-balancer 198.51.100.2 80/TCP',
    ]);
  });

  test('an address that serves twice is one frontend', () => {
    const ip = '198.51.100.2';
    expect(shown({ externalIPs: [ip], loadBalancerIngress: [{ ip, mode: 'VIP' }] })).toEqual([
      'cluster-ip 10.96.0.10 80/TCP',
      'external-ip 198.51.100.2 80/TCP',
    ]);
  });

  test("a node's address as external IP wins over the Service's own node port", () => {
    const ports = [makePort({ port: 30_080, nodePort: 30_080 })];
    expect(shown({ externalIPs: ['192.0.2.1'], ports })).toEqual([
      'cluster-ip 10.96.0.10 30080/TCP',
      'external-ip 192.0.2.1 30080/TCP',
    ]);
  });

  test('so does its cluster IP, should the node have it, too', () => {
    const ports = [makePort({ port: 30_080, nodePort: 30_080 })];
    const context = { nodePortAddresses: { IPv4: ['10.96.0.10', '192.0.2.1'], IPv6: [] } };
    expect(shown({ ports }, context)).toEqual([
      'cluster-ip 10.96.0.10 30080/TCP',
      'node-port 192.0.2.1 30080/TCP',
    ]);
  });

  test('node ports are at every chosen address, whatever the type', () => {
    const context = { nodePortAddresses: { IPv4: ['192.0.2.1', '192.0.2.9'], IPv6: ['2001:db8::1'] } };
    expect(
      shown({ ...dual, ports: [makePort({ nodePort: 30_080 })] }, context).filter((f) =>
        f.startsWith('node-port'),
      ),
    ).toEqual([
      'node-port 192.0.2.1 30080/TCP',
      'node-port 192.0.2.9 30080/TCP',
      'node-port 2001:db8::1 30080/TCP',
    ]);
  });

  test('localhost node ports are for the socket hook, and have the cluster list', () => {
    const local = (service: Partial<Service>, context: Partial<CompileContext> = {}) =>
      frontends(
        plan(
          { ...dual, ports: [makePort({ nodePort: 30_080 })], ...service },
          { localhostNodePorts: true, ...context },
        ),
      ).filter(({ localhost }) => localhost);
    expect(local({}).map(show)).toEqual(['node-port 127.0.0.1 30080/TCP', 'node-port ::1 30080/TCP']);
    expect(local({ type: 'NodePort', externalTrafficPolicy: 'Local' })[0]).toMatchObject({
      list: 'cluster',
      socket: true,
    });
    expect(local({ socketHook: false })).toEqual([]);
    expect(local({}, { masqueradeAll: true })).toEqual([]);
    expect(local({ ports: [makePort({ nodePort: 30_080, protocol: 'SCTP' })] })).toEqual([]);
  });
});

describe('a cluster IP that is an address of this machine', () => {
  const at = (name: string) => ({ interfaceAddresses: [{ interface: name, address: '10.96.0.10' }] });

  test('is left alone, and said so', () => {
    const p = plan({ externalIPs: ['198.51.100.7'] }, at('nodelocaldns'));
    expect(frontends(p).map(show)).toEqual(['external-ip 198.51.100.7 80/TCP']);
    expect(p.issues).toEqual([
      {
        code: 'local-address',
        message: 'cluster IP 10.96.0.10 is an address of interface nodelocaldns; left to what listens there',
      },
    ]);
  });

  test('but not what ipvs mode left behind', () => {
    expect(plan({}, at('kube-ipvs0'))).toMatchObject({
      issues: [],
      ports: [{ frontends: [{ address: '10.96.0.10' }] }],
    });
  });
});

describe('ports', () => {
  test('a repeated name or number is left out and named', () => {
    const p = plan({
      ports: [makePort(), makePort({ port: 81 }), makePort({ name: 'other' }), makePort({ protocol: 'UDP' })],
    });
    expect(frontends(p).map(show)).toEqual(['cluster-ip 10.96.0.10 80/TCP', 'cluster-ip 10.96.0.10 80/UDP']);
    expect(p.issues).toEqual([
      { code: 'duplicate-port', message: 'port http 81/TCP repeats port http 80/TCP; left out' },
      { code: 'duplicate-port', message: 'port other 80/TCP repeats port http 80/TCP; left out' },
    ]);
  });

  test('a repeated node port is taken from the later port only', () => {
    const p = plan({
      ports: [makePort({ nodePort: 30_080 }), makePort({ name: 'b', port: 81, nodePort: 30_080 })],
    });
    expect(frontends(p).map(show)).toEqual([
      'cluster-ip 10.96.0.10 80/TCP',
      'node-port 192.0.2.1 30080/TCP',
      'cluster-ip 10.96.0.10 81/TCP',
    ]);
    expect(p.issues.map(({ code }) => code)).toEqual(['duplicate-port']);
  });

  test.each<[string, Partial<ReturnType<typeof makePort>>, string]>([
    ['0', { port: 0 }, 'invalid-port'],
    ['70000', { port: 70_000 }, 'invalid-port'],
    ['a node port of -1', { nodePort: -1 }, 'invalid-port'],
    ['a protocol of another kind', { protocol: 'ICMP' as never }, 'unsupported-protocol'],
    ['a name with a space', { name: 'a b' }, 'invalid-name'],
    ['a name of 64 letters', { name: 'x'.repeat(64) }, 'invalid-name'],
  ])('port %s is left out; the others are served', (_, port, code) => {
    const p = plan({ ports: [makePort(port), makePort({ name: 'good', port: 81 })] });
    expect(p.ports.map(({ portName }) => portName)).toEqual(['good']);
    expect(p.issues.map((issue) => issue.code)).toEqual([code]);
  });

  test('names that no table has room for are refused', () => {
    for (const changes of [{ name: 'x'.repeat(64) }, { namespace: 'a b' }, { name: '' }]) {
      expect(plan(changes)).toMatchObject({ ports: [], issues: [{ code: 'invalid-name' }] });
    }
  });
});
