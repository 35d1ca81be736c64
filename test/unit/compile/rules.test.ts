// Under which rules a frontend is served: source ranges, traffic policies, masquerade, the socket hook.

import { describe, expect, test } from 'vitest';
import { compile } from '../../../src/compile/compile.js';
import type { CompileContext } from '../../../src/compile/context.js';
import type { ServicePlan } from '../../../src/compile/plan.js';
import type { Service } from '../../../src/model/service.js';
import { makeContext, makePort, makeService } from '../../helpers/model.js';

const plan = (service: Partial<Service>, context: Partial<CompileContext> = {}): ServicePlan =>
  compile(makeService(service), [], makeContext(context));
const frontends = (p: ServicePlan) => p.ports.flatMap((port) => port.frontends);

const dual = {
  clusterIP: '10.96.0.10',
  clusterIPs: ['10.96.0.10', 'fd00::10'],
  ipFamilies: ['IPv4', 'IPv6'],
} as const;

describe('source ranges', () => {
  const lb = (loadBalancerSourceRanges: readonly string[], changes: Partial<Service> = {}) =>
    plan({
      ...dual,
      type: 'LoadBalancer',
      externalIPs: ['198.51.100.9'],
      ports: [makePort({ nodePort: 30_080 })],
      loadBalancerIngress: [
        { ip: '198.51.100.1', mode: 'VIP' },
        { ip: '2001:db8::99', mode: 'VIP' },
      ],
      loadBalancerSourceRanges,
      ...changes,
    });

  test('restrict load balancer addresses only, and keep them from the socket hook', () => {
    const v4 = lb(['203.0.113.0/25', ' 192.168.0.0/24 ']).ports[0]!;
    expect(v4.sourceRanges).toEqual(['192.168.0.0/24', '203.0.113.0/25']);
    expect(v4.frontends.map((f) => [f.kind, f.restricted, f.socket])).toEqual([
      ['cluster-ip', false, true],
      ['external-ip', false, true],
      ['load-balancer', true, 'source-ranges'],
      ['node-port', false, true],
    ]);
  });

  test.each<[string, readonly string[], readonly string[], readonly string[]]>([
    ['none of the family: unrestricted', ['203.0.113.0/25'], ['203.0.113.0/25'], []],
    ['everything: unrestricted', ['203.0.113.0/25', '0.0.0.0/0'], [], []],
    ['/0 of one family leaves the other restricted', ['::/0', '203.0.113.0/25'], ['203.0.113.0/25'], []],
    ['canonical and each once', ['203.0.113.77/25', '203.0.113.0/25'], ['203.0.113.0/25'], []],
    [
      'this node in one: the VIPs are sources, too',
      ['192.0.2.0/24'],
      ['192.0.2.0/24', '198.51.100.1/32'],
      [],
    ],
    ['the same in IPv6', ['2001:db8::/64'], [], ['2001:db8::/64', '2001:db8::99/128']],
  ])('%s', (_, ranges, v4, v6) => {
    const [four, six] = lb(ranges).ports;
    expect([four!.sourceRanges, six!.sourceRanges]).toEqual([v4, v6]);
    expect(six!.frontends.some(({ restricted }) => restricted)).toBe(v6.length > 0);
  });

  test('invalid ones are skipped and named', () => {
    const p = lb(['10.0.0.0/33', '203.0.113.0/25']);
    expect(p.ports[0]!.sourceRanges).toEqual(['203.0.113.0/25']);
    expect(p.issues).toEqual([
      {
        code: 'invalid-range',
        message: 'spec.loadBalancerSourceRanges: "10.0.0.0/33" is not a CIDR; skipped',
      },
    ]);
  });

  test('without a load balancer address there is nothing to restrict', () => {
    expect(lb(['203.0.113.0/25'], { loadBalancerIngress: [] }).ports[0]!.sourceRanges).toEqual([]);
  });
});

describe('traffic policies and masquerade (TestInternalExternalMasquerade)', () => {
  const everywhere: Partial<Service> = {
    type: 'LoadBalancer',
    ports: [makePort({ nodePort: 30_080 })],
    externalIPs: ['198.51.100.9'],
    loadBalancerIngress: [{ ip: '198.51.100.1', mode: 'VIP' }],
  };
  const none = { localDetector: { IPv4: false, IPv6: false } };
  const rules = (service: Partial<Service>, context: Partial<CompileContext> = {}) =>
    Object.fromEntries(
      frontends(plan({ ...everywhere, ...service }, context)).map((f) => [
        f.kind,
        `${f.list}${f.shortCircuit ? '+short-circuit' : ''} ${f.masquerade}`,
      ]),
    );
  const external = (rule: string) => ({ 'external-ip': rule, 'load-balancer': rule, 'node-port': rule });

  test.each<[string, Partial<Service>, Partial<CompileContext>, object]>([
    ['Cluster', {}, {}, { 'cluster-ip': 'cluster off-pod', ...external('cluster always') }],
    [
      'eTP Local',
      { externalTrafficPolicy: 'Local' },
      {},
      { 'cluster-ip': 'cluster off-pod', ...external('local+short-circuit never') },
    ],
    [
      'iTP Local',
      { internalTrafficPolicy: 'Local' },
      {},
      { 'cluster-ip': 'local off-pod', ...external('cluster always') },
    ],
    ['no detector', {}, none, { 'cluster-ip': 'cluster never', ...external('cluster always') }],
    [
      'no detector, eTP Local',
      { externalTrafficPolicy: 'Local' },
      none,
      { 'cluster-ip': 'cluster never', ...external('local never') },
    ],
    [
      'masqueradeAll',
      {},
      { masqueradeAll: true },
      { 'cluster-ip': 'cluster always', ...external('cluster always') },
    ],
    [
      'masqueradeAll, eTP Local',
      { externalTrafficPolicy: 'Local' },
      { masqueradeAll: true },
      { 'cluster-ip': 'cluster always', ...external('local+short-circuit never') },
    ],
    [
      'masqueradeAll, no detector',
      {},
      { masqueradeAll: true, ...none },
      { 'cluster-ip': 'cluster always', ...external('cluster always') },
    ],
  ])('%s', (_, service, context, expected) => {
    expect(rules(service, context)).toEqual(expected);
  });

  test('a detector counts in its own family', () => {
    const p = plan(dual, { localDetector: { IPv4: true, IPv6: false } });
    expect(frontends(p).map(({ masquerade }) => masquerade)).toEqual(['off-pod', 'never']);
  });

  test('eTP Local counts for ClusterIP Services with external IPs only', () => {
    const local = {
      type: 'ClusterIP',
      externalTrafficPolicy: 'Local',
      ports: [makePort({ nodePort: 30_080 })],
    } as const;
    const lists = (service: Partial<Service>) => frontends(plan(service)).map((f) => `${f.kind} ${f.list}`);
    expect(lists({ ...local, externalIPs: ['198.51.100.9'] })).toEqual([
      'cluster-ip cluster',
      'external-ip local',
      'node-port local',
    ]);
    expect(lists(local)).toEqual(['cluster-ip cluster', 'node-port cluster']);
  });
});

describe('the socket hook', () => {
  const uses = (service: Partial<Service>, context: Partial<CompileContext> = {}) =>
    frontends(plan({ type: 'NodePort', ports: [makePort({ nodePort: 30_080 })], ...service }, context)).map(
      (f) => f.socket,
    );

  test('serves what it can decide', () => {
    expect(uses({})).toEqual([true, true]);
    expect(uses({ externalTrafficPolicy: 'Local', internalTrafficPolicy: 'Local' })).toEqual([true, true]);
  });

  test('leaves the rest to the packet path, with the reason', () => {
    expect(uses({ socketHook: false })).toEqual(['annotation', 'annotation']);
    expect(uses({ ports: [makePort({ nodePort: 30_080, protocol: 'SCTP' })] })).toEqual(['sctp', 'sctp']);
    expect(uses({}, { masqueradeAll: true })).toEqual(['masquerade-all', 'masquerade-all']);
    expect(uses({ externalTrafficPolicy: 'Local' }, { masqueradeAll: true })).toEqual([
      'masquerade-all',
      true,
    ]);
  });
});
