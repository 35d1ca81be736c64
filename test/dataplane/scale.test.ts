// 10,000 Services with 10 endpoints each: what it costs to program them, to find them again, and to change one.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BpfEngine } from '../../src/dataplane/bpf/driver.js';
import { KernelMaps } from './kernel-maps.js';
import { changesOf, clusterIP, endpoint, many, service } from './plans.js';

/** Generous: the machine is shared. Alone it takes about a third. */
const COMMIT_CPU_MS = 2000;
const ADOPT_CPU_MS = 3000;

async function cpuOf(task: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  await task();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
}

describe('10,000 Services with 10 endpoints', () => {
  let kernel: KernelMaps;
  let engine: BpfEngine;
  const changes = changesOf(many(0, 10_000, 10));

  beforeAll(async () => {
    kernel = await new KernelMaps('scale').open();
    engine = kernel.engine();
    await engine.adopt();
  });
  afterAll(() => kernel.close());

  it('are programmed with little CPU', async () => {
    let failed = 0;
    const cpu = await cpuOf(async () => {
      for (let i = 0; i < changes.length; i += 512)
        failed += (await engine.commit(changes.slice(i, i + 512))).filter((o) => o.error).length;
    });
    console.log(`first commit: ${Math.round(cpu)} ms of CPU`);
    expect(failed).toBe(0);
    expect(cpu).toBeLessThan(COMMIT_CPU_MS);
  });

  it('are adopted, and then cost nothing to commit again', async () => {
    const next = kernel.engine();
    const adopt = await cpuOf(() => next.adopt());
    const before = kernel.maps.meta.get(0);
    const again = await cpuOf(() => next.commit(changes));
    console.log(`adopt: ${Math.round(adopt)} ms, commit of nothing: ${Math.round(again)} ms of CPU`);
    expect(kernel.maps.meta.get(0)).toEqual(before);
    expect(adopt).toBeLessThan(ADOPT_CPU_MS);
    expect(again).toBeLessThan(adopt);
    engine = next;
  });

  it('change one by one in well under a millisecond', async () => {
    const times: number[] = [];
    for (let i = 0; i < 200; i++) {
      const list = Array.from({ length: 10 }, (_, j) => endpoint(`10.250.${i}.${j + 1}`));
      const plan = service('s5000', [clusterIP('10.96.19.136')], list);
      const start = performance.now();
      await engine.commit([{ name: plan.name, plan }]);
      times.push(performance.now() - start);
    }
    times.sort((a, b) => a - b);
    console.log(`one change: p50 ${times[100]!.toFixed(2)} ms, p99 ${times[198]!.toFixed(2)} ms`);
    expect(times[100]).toBeLessThan(1);
  });
});
