import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Claims, frontendKey } from '../../../src/compile/claims.js';
import { compile } from '../../../src/compile/compile.js';
import type { ServicePlan } from '../../../src/compile/plan.js';
import { MemoryEngine } from '../../../src/dataplane/memory/engine.js';
import type { Engine } from '../../../src/reconcile/engine.js';
import { Reconciler } from '../../../src/reconcile/reconciler.js';
import { arbitraryService, names } from '../../helpers/arbitrary.js';
import { makeContext, makeEndpoint, makeService, makeSlice } from '../../helpers/model.js';

const context = makeContext();

function planOf(name: string, last = 1, endpoints: readonly string[] = ['10.244.0.1']): ServicePlan {
  const [namespace, service] = name.split('/') as [string, string];
  const ip = `10.96.0.${last}`;
  const slice = makeSlice(
    endpoints.map((address) => makeEndpoint(address)),
    { service: name },
  );
  return compile(
    makeService({ namespace, name: service, clusterIP: ip, clusterIPs: [ip] }),
    [slice],
    context,
  );
}

const a = planOf('shop/a', 1);
const b = planOf('shop/b', 2);
const c = planOf('shop/c', 3);

function setUp(batchSize?: number) {
  const engine = new MemoryEngine();
  const clock = { now: 1_000 };
  const reconciler = new Reconciler(engine, {
    now: () => clock.now,
    random: () => 0.5,
    ...(batchSize !== undefined && { batchSize }),
  });
  return { engine, clock, reconciler };
}

/** What the engine has, and what it should have, in comparable form. */
function expectServed(engine: MemoryEngine, plans: readonly ServicePlan[]): void {
  const ports = plans.flatMap((plan) => plan.ports);
  expect(new Map([...engine.ports].sort())).toEqual(
    new Map(ports.map((port) => [port.key, port] as const).sort()),
  );
  const wanted = plans.flatMap((plan) =>
    plan.ports.flatMap((port) =>
      port.frontends.map(
        (f) => [frontendKey(f), { service: plan.name, port: port.key, frontend: f }] as const,
      ),
    ),
  );
  expect(engine.frontends).toEqual(new Map(wanted));
}

describe('rounds', () => {
  test('update and remove do nothing; apply does it all, then prunes once', async () => {
    const { engine, reconciler } = setUp();
    reconciler.update(a);
    reconciler.update(b);
    expect(engine.log).toEqual([]);
    const round = await reconciler.apply();
    expect(round).toEqual({
      committed: ['shop/a', 'shop/b'],
      failed: [],
      pruned: [],
      pruneFailure: undefined,
      dirty: 0,
      nextRetryAt: undefined,
    });
    expect(engine.log.at(0)).toBe('commit shop/a,shop/b');
    expect(engine.log.at(-1)).toBe('prune');
    expectServed(engine, [a, b]);
    reconciler.remove('shop/a');
    expect((await reconciler.apply()).committed).toEqual(['shop/a']);
    expectServed(engine, [b]);
    expect(engine.log.filter((line) => line === 'prune')).toHaveLength(1);
  });

  test('nothing to do: no call', async () => {
    const { engine, reconciler } = setUp();
    reconciler.update(a);
    await reconciler.apply();
    const calls = engine.log.length;
    reconciler.update(a);
    reconciler.remove('shop/never');
    expect(await reconciler.apply()).toMatchObject({ committed: [], failed: [], dirty: 0 });
    expect(engine.log).toHaveLength(calls);
  });

  test('goes back before it was written: nothing to do', async () => {
    const { engine, reconciler } = setUp();
    reconciler.update(a);
    await reconciler.apply();
    const calls = engine.log.length;
    reconciler.update(planOf('shop/a', 9));
    reconciler.update(a);
    await reconciler.apply();
    expect(engine.log).toHaveLength(calls);
  });

  test('batches; what is to go comes last', async () => {
    const { engine, reconciler } = setUp(2);
    reconciler.update(a);
    await reconciler.apply();
    reconciler.remove('shop/a');
    reconciler.update(b);
    reconciler.update(c);
    await reconciler.apply();
    expect(engine.log.filter((line) => line.startsWith('commit'))).toEqual([
      'commit shop/a',
      'commit shop/b,shop/c',
      'commit shop/a',
    ]);
  });

  test('prune removes what earlier runs left, and keeps what is wanted', async () => {
    const { engine, reconciler } = setUp();
    await engine.commit([
      { name: 'old/gone', plan: planOf('old/gone', 9) },
      { name: 'shop/a', plan: a },
    ]);
    reconciler.update(a);
    expect((await reconciler.apply()).pruned).toEqual(['old/gone']);
    expectServed(engine, [a]);
  });

  test('a change during a round is not lost', async () => {
    const newer = planOf('shop/a', 1, ['10.244.0.7']);
    const memory = new MemoryEngine();
    let reconciler!: Reconciler;
    const engine: Engine = {
      name: 'slow',
      adopt: () => memory.adopt(),
      prune: (keep) => memory.prune(keep),
      commit: async (changes) => {
        if (changes[0]!.plan === a) reconciler.update(newer);
        return memory.commit(changes);
      },
    };
    reconciler = new Reconciler(engine, { now: () => 0, random: () => 0 });
    reconciler.update(a);
    expect(await reconciler.apply()).toMatchObject({ committed: ['shop/a'], dirty: 1 });
    expect(await reconciler.apply()).toMatchObject({ committed: ['shop/a'], dirty: 0 });
    expect(reconciler.actual('shop/a')).toBe(newer);
    expectServed(memory, [newer]);
  });

  test('rounds do not overlap', async () => {
    let running = 0;
    let most = 0;
    const engine: Engine = {
      name: 'counting',
      adopt: async () => {},
      prune: async () => [],
      commit: async (changes) => {
        most = Math.max(most, ++running);
        await new Promise((resolve) => setImmediate(resolve));
        running--;
        return changes.map(({ name }) => ({ name }));
      },
    };
    const reconciler = new Reconciler(engine, { now: () => 0, random: () => 0, batchSize: 1 });
    const rounds = [];
    for (const plan of [a, b, c]) {
      reconciler.update(plan);
      rounds.push(reconciler.apply());
    }
    await Promise.all(rounds);
    expect(most).toBe(1);
    expect(reconciler.dirtyCount).toBe(0);
  });
});

describe('a write that fails', () => {
  test('is named, holds up nothing, and is retried with growing pauses', async () => {
    const { engine, clock, reconciler } = setUp();
    engine.failService('shop/b', 3, new Error('shop/b: map frontends is full'));
    for (const plan of [a, b, c]) reconciler.update(plan);
    const first = await reconciler.apply();
    expect(first.committed).toEqual(['shop/a', 'shop/c']);
    expect(first.failed).toMatchObject([{ name: 'shop/b', failures: 1, retryAt: 1_100 }]);
    expect(first.failed[0]!.error.message).toBe('shop/b: map frontends is full');
    expect(first).toMatchObject({ dirty: 1, nextRetryAt: 1_100 });
    expectServed(engine, [a, c]);

    clock.now = 1_099;
    expect(await reconciler.apply()).toMatchObject({
      committed: [],
      failed: [],
      dirty: 1,
      nextRetryAt: 1_100,
    });
    clock.now = 1_100;
    expect((await reconciler.apply()).failed).toMatchObject([{ failures: 2, retryAt: 1_300 }]);
    clock.now = 1_300;
    expect((await reconciler.apply()).failed).toMatchObject([{ failures: 3, retryAt: 1_700 }]);
    clock.now = 1_700;
    expect(await reconciler.apply()).toMatchObject({
      committed: ['shop/b'],
      dirty: 0,
      nextRetryAt: undefined,
    });
    expectServed(engine, [a, b, c]);
  });

  test('pauses never exceed a minute', async () => {
    const { engine, clock, reconciler } = setUp();
    engine.failService('shop/a');
    reconciler.update(a);
    for (let i = 0; i < 15; i++) {
      const { nextRetryAt } = await reconciler.apply();
      const pause = nextRetryAt! - clock.now;
      expect(pause).toBeGreaterThanOrEqual(100);
      expect(pause).toBeLessThanOrEqual(60_000);
      if (i === 14) expect(pause).toBe(60_000);
      clock.now = nextRetryAt!;
    }
  });

  test('something new to write is tried at once', async () => {
    const { engine, clock, reconciler } = setUp();
    engine.failService('shop/a', 1);
    reconciler.update(a);
    await reconciler.apply();
    const newer = planOf('shop/a', 4);
    reconciler.update(newer);
    clock.now += 1;
    expect(await reconciler.apply()).toMatchObject({ committed: ['shop/a'], dirty: 0 });
    expectServed(engine, [newer]);
  });

  test('a Service that goes makes room: those that failed are tried again soon', async () => {
    const { engine, clock, reconciler } = setUp();
    engine.failService('shop/b');
    reconciler.update(a);
    reconciler.update(b);
    for (let i = 0; i < 12; i++) {
      await reconciler.apply();
      clock.now += 60_001;
    }
    await reconciler.apply();
    clock.now += 1;
    engine.heal();
    reconciler.remove('shop/a');
    const result = await reconciler.apply();
    expect(result.nextRetryAt).toBeLessThanOrEqual(clock.now);
    expect((await reconciler.apply()).committed).toEqual(['shop/b']);
  });

  test('half way is completed, also when the Service goes meanwhile or goes back', async () => {
    for (const next of ['same', 'removed', 'back'] as const) {
      const { engine, reconciler } = setUp();
      reconciler.update(a);
      await reconciler.apply();
      const wider = planOf('shop/a', 5, ['10.244.0.1', '10.244.0.2']);
      engine.failAfter(1);
      reconciler.update(wider);
      expect((await reconciler.apply()).failed).toHaveLength(1);
      if (next === 'removed') reconciler.remove('shop/a');
      else reconciler.update(next === 'back' ? a : { ...wider });
      expect(await reconciler.apply()).toMatchObject({ committed: ['shop/a'], dirty: 0 });
      expectServed(engine, next === 'removed' ? [] : [next === 'back' ? a : wider]);
    }
  });

  test('prune that fails is retried; a wanted Service that failed is kept', async () => {
    const { engine, clock, reconciler } = setUp();
    await engine.commit([{ name: 'old/gone', plan: planOf('old/gone', 9) }]);
    engine.failService('old/gone', 1);
    engine.failService('shop/a', 1);
    reconciler.update(a);
    const round = await reconciler.apply();
    expect(round.pruneFailure).toMatchObject({ failures: 1, retryAt: 1_100 });
    clock.now = 1_100;
    expect(await reconciler.apply()).toMatchObject({
      committed: ['shop/a'],
      pruned: ['old/gone'],
      nextRetryAt: undefined,
    });
    expectServed(engine, [a]);
  });

  test('an engine that rejects is asked Service by Service', async () => {
    const memory = new MemoryEngine();
    const engine: Engine = {
      name: 'choking',
      adopt: async () => {},
      prune: async () => [],
      commit: async (changes) => {
        if (changes.some(({ name }) => name === 'shop/b')) throw new Error('choked');
        return memory.commit(changes);
      },
    };
    const reconciler = new Reconciler(engine, { now: () => 0, random: () => 0 });
    for (const plan of [a, b, c]) reconciler.update(plan);
    const round = await reconciler.apply();
    expect(round.committed).toEqual(['shop/a', 'shop/c']);
    expect(round.failed).toMatchObject([{ name: 'shop/b', error: { message: 'choked' } }]);
  });

  test('an outcome that is missing counts as a failure', async () => {
    const engine: Engine = {
      name: 'mute',
      adopt: async () => {},
      prune: async () => [],
      commit: async () => [],
    };
    const reconciler = new Reconciler(engine, { now: () => 0, random: () => 0 });
    reconciler.update(a);
    expect((await reconciler.apply()).failed).toMatchObject([
      { error: { message: 'shop/a: the engine gave no outcome' } },
    ]);
  });
});

const steps = fc.array(
  fc.oneof(
    names.chain((name) => fc.record({ name: fc.constant(name), service: arbitraryService(name) })),
    names.map((name) => ({ name, service: undefined })),
    fc.record({ failAfter: fc.nat(12) }),
    fc.record({ fail: names, times: fc.integer({ min: 1, max: 3 }) }),
    fc.constant({ apply: true }),
    fc.record({ wait: fc.nat(500) }),
  ),
  { maxLength: 40 },
);

describe('properties', () => {
  test('whatever fails, actual comes to be desired, and a failure is only ever its own', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.integer({ min: 1, max: 4 }), async (history, batchSize) => {
        const { engine, clock, reconciler } = setUp(batchSize);
        const claims = new Claims();
        const told = new Set<string>();
        for (const step of history) {
          if ('name' in step) {
            const plan = step.service && compile(step.service, [], context);
            for (const [name, effective] of claims.update(step.name, plan)) {
              if (effective === undefined) reconciler.remove(name);
              else reconciler.update(effective);
            }
          } else if ('fail' in step) {
            engine.failService(step.fail, step.times);
            told.add(step.fail);
          } else if ('failAfter' in step) engine.failAfter(step.failAfter);
          else if ('wait' in step) clock.now += step.wait;
          else {
            const round = await reconciler.apply();
            for (const { name, error } of round.failed) {
              expect(told.has(name) || error.message.endsWith('failed as told')).toBe(true);
            }
          }
        }
        engine.heal();
        for (let i = 0; i < 3; i++) {
          const { nextRetryAt } = await reconciler.apply();
          clock.now = Math.max(clock.now, nextRetryAt ?? 0);
        }
        expect(reconciler.dirtyCount).toBe(0);
        expectServed(engine, [...claims.plans()]);
      }),
      { numRuns: 300 },
    );
  });
});
