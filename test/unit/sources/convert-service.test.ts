import { describe, expect, it } from 'vitest';
import type { Service } from '../../../src/model/service.js';
import { convertService } from '../../../src/sources/convert.js';

type Fields = Record<string, unknown>;

/** A Service as the API server sends it, with other fields in its spec and status. */
function object(spec: Fields = {}, more: { metadata?: Fields; status?: Fields } = {}): Fields {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      namespace: 'testing',
      name: 'svc',
      creationTimestamp: '2026-01-02T03:04:05Z',
      ...more.metadata,
    },
    spec: { clusterIP: '172.30.55.4', ports: [{ name: 'p', port: 80 }], ...spec },
    status: more.status ?? { loadBalancer: {} },
  };
}

function converted(input: unknown): Service {
  const result = convertService(input, '');
  if (!('service' in result)) throw new Error(`no service: ${JSON.stringify(result)}`);
  expect(result.problems).toEqual([]);
  return result.service;
}

const port = (name: string, protocol: string, number: number, nodePort = 0) => ({
  name,
  protocol,
  port: number,
  nodePort,
});

describe('convertService()', () => {
  it('fills in what the API would: all defaults', () => {
    expect(converted({ metadata: { name: 'svc' } })).toEqual({
      namespace: 'default',
      name: 'svc',
      createdAt: 0,
      type: 'ClusterIP',
      clusterIP: '',
      clusterIPs: [],
      ipFamilies: [],
      ports: [],
      externalIPs: [],
      loadBalancerIngress: [],
      loadBalancerSourceRanges: [],
      affinitySeconds: 0,
      externalTrafficPolicy: 'Cluster',
      internalTrafficPolicy: 'Cluster',
      healthCheckNodePort: 0,
      socketHook: true,
    });
  });

  it('takes null for absent everywhere', () => {
    const nulls = {
      type: null,
      clusterIPs: null,
      ipFamilies: null,
      ports: null,
      externalIPs: null,
      sessionAffinity: null,
    };
    const input = {
      metadata: { name: 'svc', namespace: null, labels: null, annotations: null },
      spec: nulls,
      status: null,
    };
    expect(converted(input)).toEqual(converted({ metadata: { name: 'svc' } }));
  });

  // The cases of kube-proxy's TestServiceToServiceMap. What a Service comes to for each family, compile decides; here
  // everything must arrive as it is written.
  const cases: readonly (readonly [string, Fields, Partial<Service>])[] = [
    ['nothing', object({ clusterIP: undefined, ports: [] }), { clusterIP: '', ports: [] }],
    [
      'headless service',
      object({ clusterIP: 'None', ports: [port('rpc', 'UDP', 1234)] }),
      { clusterIP: 'None' },
    ],
    [
      'headless sctp service',
      object({ clusterIP: 'None', ports: [port('sip', 'SCTP', 1235)] }),
      { clusterIP: 'None', ports: [{ name: 'sip', protocol: 'SCTP', port: 1235, nodePort: 0 }] },
    ],
    [
      'headless service without port',
      object({ clusterIP: 'None', ports: [] }),
      { clusterIP: 'None', ports: [] },
    ],
    [
      'cluster ip service',
      object({ ports: [port('p1', 'UDP', 1234), port('p2', 'UDP', 1235)] }),
      {
        type: 'ClusterIP',
        clusterIP: '172.30.55.4',
        ports: [
          { name: 'p1', protocol: 'UDP', port: 1234, nodePort: 0 },
          { name: 'p2', protocol: 'UDP', port: 1235, nodePort: 0 },
        ],
      },
    ],
    [
      'nodeport service',
      object({ type: 'NodePort', ports: [port('p', 'UDP', 345, 678), port('q', 'TCP', 344, 677)] }),
      {
        type: 'NodePort',
        ports: [
          { name: 'p', protocol: 'UDP', port: 345, nodePort: 678 },
          { name: 'q', protocol: 'TCP', port: 344, nodePort: 677 },
        ],
      },
    ],
    [
      'load balancer service',
      object(
        { type: 'LoadBalancer', loadBalancerIP: '1.2.3.4' },
        { status: { loadBalancer: { ingress: [{ ip: '10.1.2.4' }] } } },
      ),
      { type: 'LoadBalancer', loadBalancerIngress: [{ ip: '10.1.2.4', mode: 'VIP' }] },
    ],
    [
      'load balancer with ipMode VIP',
      object(
        { type: 'LoadBalancer' },
        { status: { loadBalancer: { ingress: [{ ip: '10.1.2.4', ipMode: 'VIP' }] } } },
      ),
      { loadBalancerIngress: [{ ip: '10.1.2.4', mode: 'VIP' }] },
    ],
    [
      'load balancer with ipMode Proxy, and one with a name only',
      object(
        { type: 'LoadBalancer' },
        {
          status: {
            loadBalancer: { ingress: [{ ip: '10.1.2.4', ipMode: 'Proxy' }, { hostname: 'lb.example' }] },
          },
        },
      ),
      { loadBalancerIngress: [{ ip: '10.1.2.4', mode: 'Proxy' }] },
    ],
    [
      'externalTrafficPolicy Local with health check',
      object({ type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: 345 }),
      { externalTrafficPolicy: 'Local', healthCheckNodePort: 345 },
    ],
    [
      'ExternalName',
      object({ type: 'ExternalName', clusterIP: '172.30.55.4', externalName: 'foo2.bar.com' }),
      { type: 'ExternalName', clusterIP: '172.30.55.4' },
    ],
    [
      'v6 clusterIP, v4 and v6 external addresses',
      object({
        clusterIP: 'fd00:ff::1',
        clusterIPs: ['fd00:ff::1'],
        ipFamilies: ['IPv6'],
        externalIPs: ['1.2.3.4', '2001:db8::1'],
        loadBalancerSourceRanges: ['0.0.0.0/1', '2001:db8::/32'],
      }),
      {
        clusterIP: 'fd00:ff::1',
        clusterIPs: ['fd00:ff::1'],
        ipFamilies: ['IPv6'],
        externalIPs: ['1.2.3.4', '2001:db8::1'],
        loadBalancerSourceRanges: ['0.0.0.0/1', '2001:db8::/32'],
      },
    ],
    [
      'dual stack',
      object({ clusterIPs: ['172.30.55.4', 'fd00:ff::1'], ipFamilies: ['IPv4', 'IPv6'] }),
      { clusterIPs: ['172.30.55.4', 'fd00:ff::1'], ipFamilies: ['IPv4', 'IPv6'] },
    ],
    [
      'ranges with spaces, bad ranges and bad addresses stay as written',
      object({
        clusterIP: '172.30.0.041',
        externalIPs: ['192.168.099.022', 'not an address', ''],
        loadBalancerSourceRanges: [' 1.2.3.4/28', '203.0.113.000/025', 'x'],
      }),
      {
        clusterIP: '172.30.0.041',
        externalIPs: ['192.168.099.022', 'not an address', ''],
        loadBalancerSourceRanges: [' 1.2.3.4/28', '203.0.113.000/025', 'x'],
      },
    ],
    [
      'affinity with its time, and with the default',
      object({ sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } }),
      { affinitySeconds: 60 },
    ],
    ['affinity without its time', object({ sessionAffinity: 'ClientIP' }), { affinitySeconds: 10800 }],
    [
      'a time without affinity',
      object({ sessionAffinity: 'None', sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } }),
      { affinitySeconds: 0 },
    ],
    [
      'internalTrafficPolicy Local',
      object({ internalTrafficPolicy: 'Local' }),
      { internalTrafficPolicy: 'Local' },
    ],
    [
      'one number with three protocols',
      object({ ports: [port('a', 'TCP', 53), port('b', 'UDP', 53), port('c', 'SCTP', 53)] }),
      { ports: [port('a', 'TCP', 53), port('b', 'UDP', 53), port('c', 'SCTP', 53)] as Service['ports'] },
    ],
    ['creation time', object(), { createdAt: Date.UTC(2026, 0, 2, 3, 4, 5) }],
    [
      'the socket hook turned off',
      object({}, { metadata: { annotations: { 'portolan.dev/socket-hook': 'off' } } }),
      { socketHook: false },
    ],
    [
      'the socket hook left on',
      object({}, { metadata: { annotations: { 'portolan.dev/socket-hook': 'on' } } }),
      { socketHook: true },
    ],
  ];
  it.each(cases)('%s', (_name, input, expected) => {
    expect(converted(input)).toMatchObject(expected);
  });

  const wrong: readonly (readonly [unknown, string])[] = [
    [null, 'Service: null is not an object'],
    [[], 'Service: [] is not an object'],
    ['x', 'Service: "x" is not an object'],
    [{}, 'metadata.name: is missing'],
    [{ metadata: 5 }, 'metadata: 5 is not an object'],
    [object({}, { metadata: { name: 7 } }), 'metadata.name: 7 is not a string'],
    [
      object({}, { metadata: { name: 'Web' } }),
      'metadata.name: "Web" is not a name (a-z, 0-9, "-" and ".", at most 253 characters)',
    ],
    [
      object({}, { metadata: { name: 'a'.repeat(64) } }),
      `metadata.name: "${'a'.repeat(56)}... is not a Service's name (a-z, 0-9 and "-", at most 63 characters)`,
    ],
    [
      object({}, { metadata: { namespace: 'a/b' } }),
      'metadata.namespace: "a/b" is not a namespace (a-z, 0-9 and "-", at most 63 characters)',
    ],
    [
      object({}, { metadata: { creationTimestamp: 'soon' } }),
      'metadata.creationTimestamp: "soon" is not a time (RFC 3339)',
    ],
    [object({}, { metadata: { labels: [] } }), 'metadata.labels: [] is not an object'],
    [{ metadata: { name: 'a' }, spec: 'x' }, 'spec: "x" is not an object'],
    [
      object({ type: 'Magic' }),
      'spec.type: "Magic" is none of ClusterIP, NodePort, LoadBalancer, ExternalName',
    ],
    [object({ clusterIP: 5 }), 'spec.clusterIP: 5 is not a string'],
    [object({ clusterIPs: '10.0.0.1' }), 'spec.clusterIPs: "10.0.0.1" is not a list'],
    [object({ clusterIPs: ['10.0.0.1', 5] }), 'spec.clusterIPs[1]: 5 is not a string'],
    [object({ ipFamilies: ['IPv5'] }), 'spec.ipFamilies[0]: "IPv5" is none of IPv4, IPv6'],
    [object({ ports: {} }), 'spec.ports: {} is not a list'],
    [
      object({ ports: [port('a', 'TCP', 80), port('b', 'TCP', 70000)] }),
      'spec.ports[1].port: 70000 is not a port (1-65535)',
    ],
    [object({ ports: [{ port: '80' }] }), 'spec.ports[0].port: "80" is not a port (1-65535)'],
    [object({ ports: [{ port: 80.5 }] }), 'spec.ports[0].port: 80.5 is not a port (1-65535)'],
    [object({ ports: [{ name: 'a' }] }), 'spec.ports[0].port: is missing'],
    [object({ ports: [null] }), 'spec.ports[0]: null is not an object'],
    [
      object({ ports: [{ port: 80, protocol: 'ICMP' }] }),
      'spec.ports[0].protocol: "ICMP" is none of TCP, UDP, SCTP',
    ],
    [
      object({ ports: [{ port: 80, nodePort: -1 }] }),
      'spec.ports[0].nodePort: -1 is not a node port (0-65535)',
    ],
    [
      object({ ports: [port('a', 'TCP', 80), port('a', 'UDP', 80)] }),
      'spec.ports[1].name: "a" is already used',
    ],
    [
      object({ ports: [port('a', 'TCP', 80), port('b', 'TCP', 80)] }),
      'spec.ports[1].port: TCP 80 is already used',
    ],
    [
      object({ ports: [port('a', 'TCP', 80), port('', 'UDP', 80)] }),
      'spec.ports[1].name: is missing; with several ports each needs one',
    ],
    [object({ sessionAffinity: 'Sticky' }), 'spec.sessionAffinity: "Sticky" is none of None, ClientIP'],
    [
      object({ sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 86401 } } }),
      'spec.sessionAffinityConfig.clientIP.timeoutSeconds: 86401 is not a number of seconds (1-86400)',
    ],
    [
      object({ externalTrafficPolicy: 'local' }),
      'spec.externalTrafficPolicy: "local" is none of Cluster, Local',
    ],
    [
      object({}, { status: { loadBalancer: { ingress: [{ ip: 5 }] } } }),
      'status.loadBalancer.ingress[0].ip: 5 is not a string',
    ],
  ];
  it.each(wrong)('%j: %s', (input, problem) => {
    expect(convertService(input, '')).toEqual({ problem });
  });

  it('leaves a Service of another proxy to it, whatever the label says', () => {
    const labels = { 'service.kubernetes.io/service-proxy-name': '' };
    expect(convertService(object({}, { metadata: { labels } }), '')).toHaveProperty('ignored');
  });

  it('serves a Service with an annotation that it does not understand, and says so', () => {
    const annotations = { 'portolan.dev/socket-hook': 'no' };
    const result = convertService(object({}, { metadata: { annotations } }), 'shop.yaml:3');
    expect(result).toMatchObject({
      service: { socketHook: true },
      problems: [
        'shop.yaml:3: metadata.annotations["portolan.dev/socket-hook"]: "no" is neither "on" nor "off"; taken as "on"',
      ],
    });
  });

  it('puts the place before the message', () => {
    expect(convertService({}, 'shop.yaml:12')).toEqual({
      problem: 'shop.yaml:12: metadata.name: is missing',
    });
  });
});
