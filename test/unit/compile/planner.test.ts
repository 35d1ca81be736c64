// Store, compile and claims together: whatever the order of events, the same plans come out.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compile } from '../../../src/compile/compile.js';
import type { ServicePlan } from '../../../src/compile/plan.js';
import { Planner } from '../../../src/compile/planner.js';
import type { EndpointSlice } from '../../../src/model/endpoint.js';
import type { Service } from '../../../src/model/service.js';
import { ModelStore, sliceId } from '../../../src/model/store.js';
import { arbitraryService, names, slices } from '../../helpers/arbitrary.js';
import { makeContext, makeEndpoint, makeService, makeSlice } from '../../helpers/model.js';

const context = makeContext({ zone: 'a', localhostNodePorts: true });

type Event =
  | { readonly kind: 'service'; readonly name: string; readonly service: Service | undefined }
  | { readonly kind: 'slice'; readonly id: string; readonly slice: EndpointSlice | undefined }
  | { readonly kind: 'plan' };

const events: fc.Arbitrary<Event> = fc.oneof(
  names.chain((name) => arbitraryService(name).map((service): Event => ({ kind: 'service', name, service }))),
  names.map((name): Event => ({ kind: 'service', name, service: undefined })),
  slices.map((slice): Event => ({ kind: 'slice', id: sliceId(slice), slice })),
  fc.constantFrom('shop/s1', 'shop/s2').map((id): Event => ({ kind: 'slice', id, slice: undefined })),
  fc.constant<Event>({ kind: 'plan' }),
);

const sorted = (plans: Iterable<ServicePlan>) => [...plans].sort((a, b) => (a.name < b.name ? -1 : 1));

function apply(store: ModelStore, event: Event): void {
  if (event.kind === 'service') store.updateService(event.name, event.service);
  if (event.kind === 'slice') store.updateSlice(event.id, event.slice);
}

describe('properties', () => {
  test('any history of events gives the plans of its final state, and its changes add up to them', () => {
    fc.assert(
      fc.property(fc.array(events, { maxLength: 30 }), (history) => {
        const store = new ModelStore();
        const planner = new Planner();
        const seen = new Map<string, ServicePlan>();
        const take = () => {
          for (const [name, plan] of planner.plan(store, context)) {
            if (plan === undefined) seen.delete(name);
            else seen.set(name, plan);
          }
        };
        for (const event of history) {
          apply(store, event);
          if (event.kind === 'plan') take();
        }
        take();

        const last = new Map<string, Event>();
        for (const event of history) {
          if (event.kind === 'service') last.set(`service ${event.name}`, event);
          if (event.kind === 'slice') last.set(`slice ${event.id}`, event);
        }
        const fresh = new ModelStore();
        for (const event of [...last.values()].reverse()) apply(fresh, event);
        const oracle = new Planner();
        oracle.plan(fresh, context);
        expect(sorted(planner.plans())).toEqual(sorted(oracle.plans()));
        expect(sorted(seen.values())).toEqual(sorted(planner.plans()));
      }),
      { numRuns: 400 },
    );
  });

  test('compile is total, does not look at the order of slices, and loses no endpoint', () => {
    const input = names.chain((name) => fc.tuple(arbitraryService(name), fc.array(slices, { maxLength: 4 })));
    fc.assert(
      fc.property(input, fc.boolean(), ([service, some], masqueradeAll) => {
        const all = some.map((slice, i) => ({ ...slice, name: `s${i}` }));
        const plan = compile(service, all, { ...context, masqueradeAll });
        expect(compile(service, all.toReversed(), { ...context, masqueradeAll })).toEqual(plan);
        for (const port of plan.ports) {
          for (const { endpoint, list } of port.excluded) expect(port[list]).not.toContain(endpoint);
          for (const endpoint of [...port.cluster, ...port.local]) expect(port.serving).toContain(endpoint);
          for (const endpoint of port.local) expect(endpoint.onNode).toBe(true);
          const keys = port.frontends.map((f) => `${f.address} ${f.port}`);
          expect(new Set(keys).size).toBe(keys.length);
        }
      }),
      { numRuns: 400 },
    );
  });
});

describe('Planner', () => {
  test('compiles what changed, and everything for another context', () => {
    const store = new ModelStore();
    const planner = new Planner();
    const other = makeService({ name: 'db', clusterIP: '10.96.0.11', clusterIPs: ['10.96.0.11'] });
    store.updateService('shop/web', makeService());
    store.updateService('shop/db', other);
    expect([...planner.plan(store, context).keys()].sort()).toEqual(['shop/db', 'shop/web']);
    expect(planner.plan(store, context).size).toBe(0);
    store.updateSlice('shop/web-1', makeSlice([makeEndpoint('10.244.0.1')]));
    const changes = planner.plan(store, context);
    expect([...changes.keys()]).toEqual(['shop/web']);
    expect(changes.get('shop/web')!.ports[0]!.cluster).toHaveLength(1);
    expect(planner.plan(store, { ...context }).size).toBe(2);
    store.updateService('shop/db', undefined);
    expect([...planner.plan(store, context)].filter(([, plan]) => plan === undefined)).toEqual([
      ['shop/db', undefined],
    ]);
    expect(planner.get('shop/db')).toBeUndefined();
  });
});
