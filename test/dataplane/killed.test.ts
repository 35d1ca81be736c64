// kill -9 at any moment: what is left is whole, and the next agent continues from it.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kernelDump } from '../../src/dataplane/bpf/read.js';
import { formatDump, planEntries } from '../../src/observe/dump.js';
import { KernelMaps } from './kernel-maps.js';
import { changesOf, many } from './plans.js';

const child = fileURLToPath(new URL('agent-child.ts', import.meta.url));

describe('an agent that is killed while it writes', () => {
  let kernel: KernelMaps;
  beforeAll(async () => {
    kernel = await new KernelMaps('killed').open();
  });
  afterAll(() => kernel.close());

  it('leaves every frontend with a whole list, twelve times over', async () => {
    for (let round = 0; round < 12; round++) {
      const agent = spawn(
        process.execPath,
        ['--import', 'tsx', child, kernel.pinFolder, String(round * 31)],
        {
          stdio: ['ignore', 'pipe', 'inherit'],
        },
      );
      await started(agent);
      // 0.7 ms a round or so: somewhere in one of its first hundred.
      await sleep(3 + round * 7.3);
      agent.kill('SIGKILL');
      await once(agent, 'exit');
      expectWhole();
    }
  });

  it('is continued by the next one, which leaves no garbage', async () => {
    const engine = kernel.engine({ graceMs: 0 });
    await engine.adopt();
    const plans = many(0, 5, 3);
    await engine.commit(changesOf(plans));
    expect((await engine.prune(new Set(plans.map((p) => p.name)))).flatMap((o) => o.error ?? [])).toEqual([]);
    await engine.collect();
    expect(formatDump(await kernelDump(kernel.maps))).toEqual(formatDump(plans.flatMap(planEntries)));
    expect(kernel.bpftool('slots')).toHaveLength(15);
    expect(kernel.bpftool('members')).toHaveLength(0);
    expect(kernel.bpftool('services')).toHaveLength(5);
    expect(kernel.bpftool('backends')).toHaveLength(15);
  });

  function expectWhole(): void {
    const slots = new Map<string, { readonly service: number; readonly set: number }>();
    for (const { key, value } of kernel.bpftool('slots') as {
      key: { set: number; index: number };
      value: never;
    }[])
      slots.set(`${key.set}/${key.index}`, value);
    const frontends = kernel.bpftool('frontends') as {
      value: { service: number; cluster_set: number; cluster_count: number };
    }[];
    expect(frontends.length).toBeGreaterThan(0);
    for (const { value } of frontends)
      for (let i = 0; i < value.cluster_count; i++)
        expect(slots.get(`${value.cluster_set}/${i}`)).toMatchObject({
          service: value.service,
          set: value.cluster_set,
        });
  }
});

async function started(agent: ChildProcess): Promise<void> {
  const [line] = (await once(agent.stdout!, 'data')) as [Buffer];
  expect(line.toString()).toBe('ready\n');
}
