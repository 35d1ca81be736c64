// Whatever is changed, and wherever the agent dies in it: after every single write a new connection meets what the old
// plan says or what the new one says, and nothing else.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PortPlan } from '../../../src/compile/plan.js';
import { BpfEngine } from '../../../src/dataplane/bpf/driver.js';
import { openMaps } from '../../../src/dataplane/bpf/maps.js';
import type { FrontendName } from '../../../src/dataplane/bpf/state.js';
import type { Change, Outcome } from '../../../src/reconcile/engine.js';
import { Crash, FakeKernel } from './fake-kernel.js';
import { verdicts } from './interpreter.js';
import {
  CLIENTS,
  change,
  expected,
  frontendsOf,
  mayBeUnknownPort,
  rangesOf,
  type World,
  worlds,
} from './worlds.js';

const EMPTY: World = new Map();
const E2BIG = 7;
const ENOMEM = 12;

class Bench {
  readonly kernel = new FakeKernel();
  nowMs = 0;
  engine = this.start();
  /** Worlds since retired entries were last collected. */
  recent: World[] = [EMPTY];

  /** Ids of Service ports, and slots with their sets' ids, that have ever been written. */
  readonly #used = new Set<string>();

  constructor() {
    this.kernel.afterKey = ({ map, verb, exists }, key) => {
      if (verb !== 'put' || exists || (map !== 'services' && map !== 'slots')) return;
      if (this.#used.has(map + key)) throw new Error(`an id of ${map} has been used again: ${key}`);
      this.#used.add(map + key);
    };
  }

  start(): BpfEngine {
    const native = this.kernel.native();
    return new BpfEngine({
      native,
      maps: openMaps(native, '/pins'),
      now: () => this.nowMs,
      monotonicNs: () => BigInt(this.nowMs) * 1_000_000n,
    });
  }

  /** From now on every write must leave each connection something that one of the worlds says. */
  watch(worlds: readonly World[], { afterDeath = false } = {}): void {
    const pending = rangesOf(this.recent);
    const cases = frontendsOf(worlds).flatMap((name) =>
      CLIENTS.map((client) => {
        const allowed = new Set(worlds.flatMap((w) => [...expected(w, name, client, pending)]));
        if (afterDeath && mayBeUnknownPort(worlds, name)) allowed.add('UNKNOWN-PORT');
        return { name, client, allowed };
      }),
    );
    this.kernel.afterWrite = () => {
      for (const { name, client, allowed } of cases)
        for (const verdict of verdicts(this.kernel, name, client))
          if (!allowed.has(verdict)) throw new Error(describeMiss(name, client.address, verdict, allowed));
    };
  }

  check(worlds: readonly World[]): void {
    this.watch(worlds);
    this.kernel.afterWrite({ map: 'meta', verb: 'put', exists: true });
  }

  /** The kernel does exactly what `w` says. */
  checkExactly(w: World, others: readonly World[]): void {
    for (const name of frontendsOf([w, ...others]))
      for (const client of CLIENTS)
        expect(verdicts(this.kernel, name, client), `${JSON.stringify(name)} from ${client.address}`).toEqual(
          expected(w, name, client),
        );
  }

  async collect(): Promise<void> {
    this.nowMs += 10_000;
    await this.engine.collect();
  }
}

function describeMiss(
  name: FrontendName,
  client: string,
  verdict: string,
  allowed: ReadonlySet<string>,
): string {
  return `${JSON.stringify(name)} from ${client}: ${verdict}, allowed: ${[...allowed].join(', ')}`;
}

function changes(from: World, to: World): Change[] {
  const names = new Set([...from.keys(), ...to.keys()]);
  return [...names].map((name) => ({ name, plan: to.get(name) }));
}

describe('after every write', () => {
  it('new connections meet the old or the new plan', async () => {
    await fc.assert(
      fc.asyncProperty(worlds(4), async (history) => {
        const bench = new Bench();
        await bench.engine.adopt();
        let old = EMPTY;
        for (const next of history) {
          bench.recent.push(next);
          bench.watch([old, next]);
          const outcomes = await bench.engine.commit(changes(old, next));
          expect(outcomes.flatMap((o) => o.error ?? [])).toEqual([]);
          await bench.collect();
          bench.recent = [next];
          bench.checkExactly(next, history);
          old = next;
        }
        bench.kernel.afterWrite = () => undefined;
        await bench.engine.commit(changes(old, EMPTY));
        await bench.collect();
        await bench.engine.tightenAddresses(bench.engine.slackAddresses(), new Map());
        expect([...bench.kernel.maps].filter(([name, map]) => map.size > 0 && name !== 'meta')).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });

  it('an agent that died is continued by the next one', async () => {
    await fc.assert(
      fc.asyncProperty(change, fc.integer({ min: 0, max: 120 }), async ([first, second], dieAt) => {
        const bench = new Bench();
        await bench.engine.adopt();
        await bench.engine.commit(changes(EMPTY, first));
        await bench.collect();
        bench.recent = [first, second];
        let left = dieAt;
        bench.kernel.beforeWrite = () => {
          if (left-- === 0) throw new Crash('the agent dies');
          return 0;
        };
        bench.watch([first, second]);
        await dies(async () => {
          await bench.engine.commit(changes(first, second));
          bench.nowMs += 10_000;
          await bench.engine.collect();
        });
        bench.kernel.beforeWrite = () => 0;
        bench.watch([first, second], { afterDeath: true });
        bench.engine = bench.start();
        await bench.engine.adopt();
        // After a restart only what is wanted is known, not what was.
        await bench.engine.commit(changes(EMPTY, second));
        await bench.engine.prune(new Set(second.keys()));
        await bench.collect();
        bench.checkExactly(second, [first]);
        expectNoGarbage(bench.kernel, second);
      }),
      { numRuns: 150 },
    );
  });

  it('what a full map refuses changes nothing, and succeeds when there is room', async () => {
    await fc.assert(
      fc.asyncProperty(change, refusals, async ([first, second], refused) => {
        const bench = await served(first);
        bench.recent = [first, second];
        bench.watch(mixtures(first, second));
        let i = 0;
        bench.kernel.beforeWrite = ({ map, verb, exists }) =>
          verb === 'put' && !exists && map !== 'meta' && refused[i++] ? E2BIG : 0;
        const outcomes = await bench.engine.commit(changes(first, second));
        bench.kernel.beforeWrite = () => 0;
        bench.check([mixed(first, second, outcomes)]);
        bench.watch(mixtures(first, second));
        await retried(bench, first, second);
      }),
      { numRuns: 150 },
    );
  });

  it('a write that fails for want of memory makes nothing wrong, and is tried again', async () => {
    await fc.assert(
      fc.asyncProperty(change, refusals, async ([first, second], refused) => {
        const bench = await served(first);
        bench.recent = [first, second];
        bench.watch(mixtures(first, second));
        let i = 0;
        bench.kernel.beforeWrite = ({ map, verb }) =>
          verb === 'put' && map !== 'meta' && refused[i++] ? ENOMEM : 0;
        await bench.engine.commit(changes(first, second));
        bench.kernel.beforeWrite = () => 0;
        await retried(bench, first, second);
      }),
      { numRuns: 150 },
    );
  });
});

const refusals = fc.array(fc.boolean(), { maxLength: 60 });

async function served(w: World): Promise<Bench> {
  const bench = new Bench();
  await bench.engine.adopt();
  await bench.engine.commit(changes(EMPTY, w));
  await bench.collect();
  return bench;
}

async function retried(bench: Bench, first: World, second: World): Promise<void> {
  const outcomes = await bench.engine.commit(changes(first, second));
  expect(outcomes.flatMap((o) => o.error ?? [])).toEqual([]);
  await bench.collect();
  bench.checkExactly(second, [first]);
  expectNoGarbage(bench.kernel, second);
}

/** What is served when the Services that failed are as they were. */
function mixed(first: World, second: World, outcomes: readonly Outcome[]): World {
  const result = new Map(second);
  for (const { name, error } of outcomes) {
    if (!error) continue;
    expect(error.message).toContain(name);
    const before = first.get(name);
    if (before) result.set(name, before);
    else result.delete(name);
  }
  return result;
}

/** Every Service as in one or the other. */
function mixtures(a: World, b: World): World[] {
  const names = [...new Set([...a.keys(), ...b.keys()])];
  return Array.from({ length: 2 ** names.length }, (_, bits) => {
    const plans = names.map((name, i) => [name, (bits & (1 << i) ? a : b).get(name)] as const);
    return new Map(plans.flatMap(([name, plan]) => (plan ? [[name, plan]] : [])));
  });
}

async function dies(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Crash)) throw error;
  }
}

/** Nothing is in the maps that this world does not need. */
function expectNoGarbage(kernel: FakeKernel, w: World): void {
  const ports = [...w.values()].flatMap((plan) => plan.ports).filter((p) => p.frontends.length > 0);
  const sum = (of: (p: (typeof ports)[number]) => number): number => ports.reduce((n, p) => n + of(p), 0);
  const slots = sum((p) => setSizes(p).reduce((n, size) => n + size, 0));
  expect(kernel.count('services')).toBe(ports.length);
  expect(kernel.count('service_stats')).toBe(ports.length);
  expect(kernel.count('frontends')).toBe(sum((p) => p.frontends.length));
  expect(kernel.count('slots')).toBe(slots);
  expect(kernel.count('backends')).toBe(sum((p) => p.serving.length));
  expect(kernel.count('source_ranges')).toBe(sum((p) => p.sourceRanges.length));
}

function setSizes(p: PortPlan): number[] {
  const local = p.frontends.some((f) => f.list === 'local') ? p.local : [];
  const same = local.length === p.cluster.length && local.every((e, i) => e === p.cluster[i]);
  return same ? [p.cluster.length] : [p.cluster.length, local.length];
}
