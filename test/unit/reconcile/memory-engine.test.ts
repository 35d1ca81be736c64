// The engine that other tests stand on: it must keep the contract of reconcile/engine.ts itself.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Claims } from '../../../src/compile/claims.js';
import { compile } from '../../../src/compile/compile.js';
import type { ServicePlan } from '../../../src/compile/plan.js';
import { MemoryEngine } from '../../../src/dataplane/memory/engine.js';
import type { Change } from '../../../src/reconcile/engine.js';
import { arbitraryService, names } from '../../helpers/arbitrary.js';
import { makeContext, makeService } from '../../helpers/model.js';

const context = makeContext();
const plan = compile(makeService(), [], context);
const change = (p: ServicePlan): Change => ({ name: p.name, plan: p });

describe('MemoryEngine', () => {
  test('logs calls and writes', async () => {
    const engine = new MemoryEngine();
    await engine.adopt();
    expect(await engine.commit([change(plan)])).toEqual([{ name: 'shop/web' }]);
    await engine.prune(new Set());
    expect(engine.log).toEqual([
      'adopt',
      'commit shop/web',
      'put port shop/web:http/TCP/IPv4',
      'put frontend TCP|10.96.0.10|80',
      'prune',
      'delete frontend TCP|10.96.0.10|80',
      'delete port shop/web:http/TCP/IPv4',
    ]);
    expect(engine.writes).toBe(4);
    expect([engine.ports.size, engine.frontends.size]).toEqual([0, 0]);
  });

  test('removing what is not there is success', async () => {
    const engine = new MemoryEngine();
    expect(await engine.commit([{ name: 'shop/none', plan: undefined }])).toEqual([{ name: 'shop/none' }]);
    expect(engine.writes).toBe(0);
  });

  test('fails where it is told to, and only there', async () => {
    const engine = new MemoryEngine();
    const other = compile(
      makeService({ name: 'db', clusterIP: '10.96.0.11', clusterIPs: ['10.96.0.11'] }),
      [],
      context,
    );
    engine.failService('shop/web', 1);
    const outcomes = await engine.commit([change(plan), change(other)]);
    expect(outcomes.map(({ name, error }) => [name, error?.message])).toEqual([
      ['shop/web', 'shop/web: no space left'],
      ['shop/db', undefined],
    ]);
    expect(await engine.commit([change(plan)])).toEqual([{ name: 'shop/web' }]);
    engine.failAfter(1);
    const [half] = await engine.commit([change({ ...plan })]);
    expect(half!.error!.message).toBe('put frontend TCP|10.96.0.10|80: failed as told');
  });

  test('a frontend that another Service has taken over is left alone', async () => {
    const engine = new MemoryEngine();
    const taker = { ...compile(makeService({ name: 'db' }), [], context) };
    await engine.commit([change(plan)]);
    await engine.commit([change(taker), { name: 'shop/web', plan: undefined }]);
    expect([...engine.frontends.values()].map(({ service }) => service)).toEqual(['shop/db']);
  });

  test('after any number of writes every frontend leads to a port that is there', async () => {
    const steps = fc.array(
      names.chain((name) =>
        fc.tuple(fc.constant(name), fc.option(arbitraryService(name), { nil: undefined }), fc.nat(8)),
      ),
      { maxLength: 12 },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (history) => {
        const engine = new MemoryEngine();
        const claims = new Claims();
        for (const [name, service, writes] of history) {
          engine.failAfter(writes);
          const changes = claims.update(name, service && compile(service, [], context));
          await engine.commit([...changes].map(([changed, p]) => ({ name: changed, plan: p })));
          for (const { port } of engine.frontends.values()) expect(engine.ports.has(port)).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });
});
