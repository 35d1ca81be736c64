// Random model objects, from few addresses, names and ports so that they meet: clashes, duplicates, moves.

import fc from 'fast-check';
import type { Endpoint, EndpointSlice } from '../../src/model/endpoint.js';
import type { Service, ServicePort } from '../../src/model/service.js';
import { NODE } from './model.js';

const clusterIPs = fc.constantFrom(
  '10.96.0.1',
  '10.96.0.2',
  '10.96.0.3',
  '10.96.000.3',
  'None',
  '',
  'nonsense',
);
const vips = fc.constantFrom(
  '192.0.2.1',
  '198.51.100.7',
  '198.51.100.8',
  '2001:db8::7',
  '::ffff:198.51.100.8',
  'x',
);
const ranges = fc.constantFrom(
  '0.0.0.0/0',
  '192.0.2.0/24',
  ' 203.0.113.0/25',
  '2001:db8::/32',
  '10.0.0.0/33',
);

const ports: fc.Arbitrary<ServicePort> = fc.record({
  name: fc.constantFrom('', 'a', 'b'),
  protocol: fc.constantFrom('TCP', 'UDP', 'SCTP'),
  port: fc.constantFrom(53, 80, 30_001, 0),
  nodePort: fc.constantFrom(0, 0, 30_001, 30_002, 70_000),
});

export const names = fc.constantFrom('shop/a', 'shop/b', 'shop/c', 'shop-x/a');

/** A Service of the given name; some are headless, some are wrong in parts. */
export function arbitraryService(name: string): fc.Arbitrary<Service> {
  const [namespace, service] = name.split('/') as [string, string];
  return fc
    .record({
      createdAt: fc.constantFrom(1, 2, 3),
      type: fc.constantFrom('ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'),
      clusterIP: clusterIPs,
      secondary: fc.constantFrom('', 'fd00::1', 'fd00::2'),
      ports: fc.array(ports, { maxLength: 3 }),
      externalIPs: fc.array(vips, { maxLength: 2 }),
      loadBalancerIngress: fc.array(fc.record({ ip: vips, mode: fc.constantFrom('VIP', 'Proxy') }), {
        maxLength: 2,
      }),
      loadBalancerSourceRanges: fc.array(ranges, { maxLength: 2 }),
      affinitySeconds: fc.constantFrom(0, 10_800),
      externalTrafficPolicy: fc.constantFrom('Cluster', 'Local'),
      internalTrafficPolicy: fc.constantFrom('Cluster', 'Local'),
      healthCheckNodePort: fc.constantFrom(0, 32_000),
      socketHook: fc.boolean(),
    })
    .map(
      ({ secondary, ...rest }): Service => ({
        ...rest,
        namespace,
        name: service,
        clusterIPs: secondary === '' ? [rest.clusterIP] : [rest.clusterIP, secondary],
        ipFamilies: secondary === '' ? ['IPv4'] : ['IPv4', 'IPv6'],
      }),
    );
}

export const endpoints: fc.Arbitrary<Endpoint> = fc.record({
  address: fc.constantFrom(
    '10.244.0.1',
    '10.244.0.2',
    '10.244.0.10',
    '10.244.0.010',
    'fd00:1::1',
    '127.0.0.1',
    '?',
  ),
  ready: fc.boolean(),
  serving: fc.boolean(),
  terminating: fc.boolean(),
  nodeName: fc.constantFrom('', NODE, 'node-2'),
  pod: fc.constantFrom('', 'p', 'q'),
  zoneHints: fc.constantFrom([], ['a'], ['b']),
  nodeHints: fc.constantFrom([], [NODE], ['node-2']),
});

/** A slice of one of the Services; slices keep their names and change Services, as they may. */
export const slices: fc.Arbitrary<EndpointSlice> = fc.record({
  namespace: fc.constant('shop'),
  name: fc.constantFrom('s1', 's2', 's3'),
  service: names,
  family: fc.constantFrom('IPv4', 'IPv6'),
  ports: fc.array(
    fc.record({
      name: fc.constantFrom('', 'a', 'b'),
      protocol: fc.constantFrom('TCP', 'UDP', 'SCTP'),
      port: fc.constantFrom(8080, 9090, 0),
    }),
    { maxLength: 3 },
  ),
  endpoints: fc.array(endpoints, { maxLength: 4 }),
});
