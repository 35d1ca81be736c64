import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Claims, frontendKey } from '../../../src/compile/claims.js';
import { compile } from '../../../src/compile/compile.js';
import type { ServicePlan } from '../../../src/compile/plan.js';
import type { Service } from '../../../src/model/service.js';
import { arbitraryService } from '../../helpers/arbitrary.js';
import { makeContext, makePort, makeService } from '../../helpers/model.js';

const context = makeContext();
const planOf = (name: string, service: Partial<Service>): ServicePlan =>
  compile(
    makeService({ ...service, namespace: name.split('/')[0]!, name: name.split('/')[1]! }),
    [],
    context,
  );

const vip = (name: string, createdAt: number, externalIPs = ['198.51.100.7'], ip = '10.96.0.1') =>
  planOf(name, { createdAt, externalIPs, clusterIP: ip, clusterIPs: [ip] });

const frontends = (plan: ServicePlan | undefined) =>
  plan?.ports.flatMap((port) => port.frontends.map((f) => `${f.address}:${f.port}`));

describe('two Services that claim one frontend', () => {
  const a = vip('shop/a', 2, undefined, '10.96.0.1');
  const b = vip('shop/b', 1, undefined, '10.96.0.2');

  test('the older one has it; the other is told whose it is', () => {
    const claims = new Claims();
    expect([...claims.update('shop/a', a)]).toEqual([['shop/a', a]]);
    const changes = claims.update('shop/b', b);
    expect([...changes.keys()].sort()).toEqual(['shop/a', 'shop/b']);
    expect(changes.get('shop/b')).toBe(b);
    expect(frontends(changes.get('shop/a'))).toEqual(['10.96.0.1:80']);
    expect(changes.get('shop/a')!.issues).toEqual([
      {
        code: 'frontend-clash',
        message: 'external-ip 198.51.100.7:80/TCP belongs to shop/b, which has it and came first',
      },
    ]);
  });

  test('what is let go passes on, and only those whom it concerns are named', () => {
    const claims = new Claims();
    const c = vip('shop/c', 3, undefined, '10.96.0.3');
    const far = vip('shop/far', 1, ['203.0.113.1'], '10.96.0.9');
    for (const plan of [a, b, c, far]) claims.update(plan.name, plan);
    const changes = claims.update('shop/b', undefined);
    expect(Object.fromEntries([...changes].map(([name, plan]) => [name, frontends(plan)]))).toEqual({
      'shop/a': ['10.96.0.1:80', '198.51.100.7:80'],
      'shop/b': undefined,
      'shop/c': ['10.96.0.3:80'],
    });
    expect(changes.get('shop/c')!.issues[0]!.message).toContain('belongs to shop/a');
    expect([...claims.update('shop/c', c).keys()]).toEqual(['shop/c']);
  });

  test('a VIP goes before an older node port', () => {
    const claims = new Claims();
    claims.update('shop/old', planOf('shop/old', { createdAt: 1, ports: [makePort({ nodePort: 30_080 })] }));
    const young = planOf('shop/young', {
      createdAt: 2,
      clusterIP: '10.96.0.2',
      clusterIPs: ['10.96.0.2'],
      externalIPs: ['192.0.2.1'],
      ports: [makePort({ port: 30_080 })],
    });
    const changes = claims.update('shop/young', young);
    expect(changes.get('shop/young')).toBe(young);
    expect(frontends(changes.get('shop/old'))).toEqual(['10.96.0.10:80']);
    expect(changes.get('shop/old')!.issues[0]!.message).toBe(
      'node-port 192.0.2.1:30080/TCP belongs to shop/young, which has it as a VIP, which goes before a node port',
    );
  });

  test('of the same age: by namespace, then name', () => {
    const claims = new Claims();
    for (const name of ['a-b/a', 'a/z', 'a/b'])
      claims.update(name, vip(name, 1, undefined, `10.96.1.${name.length}`));
    const owners = [...claims.plans()].filter((plan) => frontends(plan)!.includes('198.51.100.7:80'));
    expect(owners.map(({ name }) => name)).toEqual(['a/b']);
  });

  test('protocols do not clash', () => {
    const claims = new Claims();
    claims.update('shop/tcp', vip('shop/tcp', 1));
    const udp = planOf('shop/udp', { externalIPs: ['198.51.100.7'], ports: [makePort({ protocol: 'UDP' })] });
    expect([...claims.update('shop/udp', udp).values()]).toEqual([udp]);
  });

  test('a Service that is made anew under its name is young', () => {
    const claims = new Claims();
    claims.update('shop/a', a);
    claims.update('shop/b', b);
    const changes = claims.update('shop/b', { ...b, createdAt: 5 });
    expect(frontends(changes.get('shop/a'))).toEqual(['10.96.0.1:80', '198.51.100.7:80']);
    expect(frontends(changes.get('shop/b'))).toEqual(['10.96.0.2:80']);
  });

  test('a change of endpoints alone concerns nobody else', () => {
    const claims = new Claims();
    claims.update('shop/a', a);
    claims.update('shop/b', b);
    expect([...claims.update('shop/b', { ...b }).keys()]).toEqual(['shop/b']);
    expect([...claims.update('shop/a', { ...a }).keys()]).toEqual(['shop/a']);
    expect(frontends(claims.plan('shop/a'))).toEqual(['10.96.0.1:80']);
  });
});

const NAMES = ['shop/a', 'shop/b', 'shop/c', 'shop-x/a', 'shop/d'];
const updates = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .constantFrom(...NAMES)
        .chain((name) => fc.tuple(fc.constant(name), arbitraryService(name))),
    },
    { weight: 1, arbitrary: fc.constantFrom(...NAMES).map((name) => [name, undefined] as const) },
  ),
  { maxLength: 25 },
);

/** From scratch, without any index: every claim of every Service, sorted. */
function settle(raw: ReadonlyMap<string, ServicePlan>): Map<string, string[]> {
  const claims = [...raw.values()].flatMap((plan) =>
    plan.ports.flatMap((port) =>
      port.frontends.map((frontend) => ({ plan, frontend, key: frontendKey(frontend) })),
    ),
  );
  const rank = (c: (typeof claims)[number]) => Number(c.frontend.kind === 'node-port');
  claims.sort(
    (x, y) =>
      rank(x) - rank(y) ||
      x.plan.createdAt - y.plan.createdAt ||
      (x.plan.namespace === y.plan.namespace
        ? x.plan.service < y.plan.service
          ? -1
          : 1
        : x.plan.namespace < y.plan.namespace
          ? -1
          : 1),
  );
  const owners = new Map<string, string>();
  for (const { key, plan } of claims) if (!owners.has(key)) owners.set(key, plan.name);
  const result = new Map([...raw.keys()].map((name): [string, string[]] => [name, []]));
  for (const { key, plan } of claims) if (owners.get(key) === plan.name) result.get(plan.name)!.push(key);
  for (const keys of result.values()) keys.sort();
  return result;
}

describe('properties', () => {
  test('any sequence of changes gives what a settlement from scratch gives, and reports every change', () => {
    fc.assert(
      fc.property(updates, (sequence) => {
        const claims = new Claims();
        const raw = new Map<string, ServicePlan>();
        const reported = new Map<string, ServicePlan>();
        for (const [name, service] of sequence) {
          const plan = service && compile(service, [], context);
          if (plan === undefined) raw.delete(name);
          else raw.set(name, plan);
          for (const [changed, effective] of claims.update(name, plan)) {
            if (effective === undefined) reported.delete(changed);
            else reported.set(changed, effective);
          }
        }
        const keysOf = (plan: ServicePlan) =>
          plan.ports.flatMap((port) => port.frontends.map(frontendKey)).sort();
        const got = new Map([...claims.plans()].map((plan) => [plan.name, keysOf(plan)]));
        expect(got).toEqual(settle(raw));
        expect(new Map([...claims.plans()].map((plan) => [plan.name, plan]))).toEqual(reported);

        const fresh = new Claims();
        for (const plan of [...raw.values()].reverse()) fresh.update(plan.name, plan);
        const sorted = (c: Claims) => [...c.plans()].sort((x, y) => (x.name < y.name ? -1 : 1));
        expect(sorted(claims)).toEqual(sorted(fresh));
      }),
      { numRuns: 400 },
    );
  });

  test('a report names a Service only when its effective plan changed', () => {
    fc.assert(
      fc.property(updates, (sequence) => {
        const claims = new Claims();
        for (const [name, service] of sequence) {
          const before = new Map([...claims.plans()].map((plan) => [plan.name, plan]));
          const changes = claims.update(name, service && compile(service, [], context));
          for (const [changed, effective] of changes) {
            if (changed !== name) expect(effective).not.toEqual(before.get(changed));
          }
        }
      }),
      { numRuns: 200 },
    );
  });
});
