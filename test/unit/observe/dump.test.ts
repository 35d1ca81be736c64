import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compile } from '../../../src/compile/compile.js';
import { conditions, type DumpEntry, dumpPlans, formatDump, planEntries } from '../../../src/observe/dump.js';
import { arbitraryService, slices } from '../../helpers/arbitrary.js';
import { makeContext, makeEndpoint, makePort, makeService, makeSlice } from '../../helpers/model.js';

const rich = compile(
  makeService({
    type: 'LoadBalancer',
    clusterIPs: ['10.96.0.10', 'fd00::10'],
    ipFamilies: ['IPv4', 'IPv6'],
    externalTrafficPolicy: 'Local',
    affinitySeconds: 10_800,
    ports: [makePort({ nodePort: 30_080 })],
    loadBalancerIngress: [{ ip: '198.51.100.1', mode: 'VIP' }],
    loadBalancerSourceRanges: ['203.0.113.0/24'],
  }),
  [makeSlice([makeEndpoint('10.244.0.11', { nodeName: 'node-1' }), makeEndpoint('10.244.0.2')])],
  makeContext({ localhostNodePorts: true }),
);

describe('the dump', () => {
  test('has a line for each entry, in a fixed order', () => {
    expect(dumpPlans([rich])).toEqual([
      'service shop/web:http/TCP/IPv4',
      'affinity shop/web:http/TCP/IPv4 10800s',
      'source-range shop/web:http/TCP/IPv4 203.0.113.0/24',
      'frontend 10.96.0.10:80/TCP shop/web:http cluster-ip list=cluster masquerade=off-pod flags=has-endpoints',
      'frontend 127.0.0.1:30080/TCP shop/web:http node-port list=cluster masquerade=never flags=has-endpoints,localhost',
      'frontend 192.0.2.1:30080/TCP shop/web:http node-port list=local masquerade=never flags=short-circuit,has-endpoints',
      'frontend 198.51.100.1:80/TCP shop/web:http load-balancer list=local masquerade=never flags=short-circuit,source-ranges,has-endpoints,no-socket',
      'endpoint shop/web:http/TCP/IPv4 cluster 10.244.0.11:8080 ready on-node',
      'endpoint shop/web:http/TCP/IPv4 cluster 10.244.0.2:8080 ready',
      'endpoint shop/web:http/TCP/IPv4 local 10.244.0.11:8080 ready on-node',
      'endpoint shop/web:http/TCP/IPv4 serving 10.244.0.11:8080 ready on-node',
      'endpoint shop/web:http/TCP/IPv4 serving 10.244.0.2:8080 ready',
      'service shop/web:http/TCP/IPv6',
      'affinity shop/web:http/TCP/IPv6 10800s',
      'frontend [2001:db8::1]:30080/TCP shop/web:http node-port list=local masquerade=never flags=short-circuit',
      'frontend [::1]:30080/TCP shop/web:http node-port list=cluster masquerade=never flags=localhost',
      'frontend [fd00::10]:80/TCP shop/web:http cluster-ip list=cluster masquerade=off-pod flags=-',
    ]);
  });

  test('does not depend on the order of entries, nor on repeated ones', () => {
    const input = fc.tuple(
      arbitraryService('shop/a'),
      arbitraryService('shop/b'),
      fc.array(slices, { maxLength: 3 }),
    );
    const shuffled = input.chain(([a, b, some]) => {
      const plans = [a, b].map((service) => compile(service, some, makeContext()));
      const entries = plans.flatMap(planEntries);
      return fc.tuple(fc.constant(entries), fc.shuffledSubarray(entries, { minLength: entries.length }));
    });
    fc.assert(
      fc.property(shuffled, ([entries, mixed]) => {
        const lines = formatDump(entries);
        expect(formatDump([...mixed, ...mixed])).toEqual(lines);
        expect(new Set(lines).size).toBe(lines.length);
      }),
    );
  });

  test('flags come in one order, whoever made the entry', () => {
    const port = { namespace: 'n', service: 's', portName: '', protocol: 'UDP', family: 'IPv6' } as const;
    const entry: DumpEntry = {
      type: 'frontend',
      port,
      address: 'fd00::1',
      number: 53,
      kind: 'cluster-ip',
      list: 'local',
      masquerade: 'never',
      flags: ['localhost', 'short-circuit'],
    };
    expect(formatDump([entry])).toEqual([
      'frontend [fd00::1]:53/UDP n/s: cluster-ip list=local masquerade=never flags=short-circuit,localhost',
    ]);
  });

  test('a port without frontends is not programmed', () => {
    const lonely = { ...rich, ports: rich.ports.map((port) => ({ ...port, frontends: [] })) };
    expect(dumpPlans([lonely])).toEqual([]);
  });

  test('nor is a local list that no frontend uses', () => {
    const ports = rich.ports.map((port) => ({
      ...port,
      frontends: port.frontends.filter((f) => f.list === 'cluster'),
    }));
    expect(dumpPlans([{ ...rich, ports }]).filter((line) => line.includes(' local '))).toEqual([]);
  });

  test.each([
    ['ready', [true, true, false, false]],
    ['ready not-serving', [true, false, false, false]],
    ['serving terminating on-node', [false, true, true, true]],
    ['not-ready', [false, false, false, false]],
    ['not-ready terminating', [false, false, true, false]],
  ] as const)('conditions: %s', (text, [ready, serving, terminating, onNode]) => {
    expect(conditions({ ready, serving, terminating, onNode })).toBe(text);
  });
});
