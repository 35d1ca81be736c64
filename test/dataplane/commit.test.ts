import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { kernelDump } from '../../src/dataplane/bpf/read.js';
import { formatDump, planEntries } from '../../src/observe/dump.js';
import { KernelMaps } from './kernel-maps.js';
import { changesOf, clusterIP, endpoint, many, service } from './plans.js';

describe('commit to real maps', () => {
  let kernel: KernelMaps;

  beforeEach(async () => {
    kernel = await new KernelMaps('commit').open();
  });
  afterEach(() => kernel.close());

  it('shows its entries to bpftool by field name', async () => {
    const engine = kernel.engine();
    await engine.adopt();
    const plan = service(
      'web',
      [
        clusterIP('10.96.0.10'),
        clusterIP('203.0.113.80', 80, {
          kind: 'load-balancer',
          masquerade: 'always',
          list: 'local',
          restricted: true,
        }),
      ],
      [endpoint('10.244.0.7', 8080, { onNode: true }), endpoint('10.244.1.9')],
      {
        local: [endpoint('10.244.0.7', 8080, { onNode: true })],
        sourceRanges: ['192.0.2.0/24'],
        affinitySeconds: 10800,
      },
    );
    expect(await engine.commit(changesOf([plan]))).toEqual([{ name: 'shop/web' }]);
    const frontends = kernel.bpftool('frontends').map((e) => e.value as Record<string, unknown>);
    expect(frontends).toHaveLength(2);
    expect(frontends).toContainEqual(
      expect.objectContaining({
        service: 1,
        cluster_set: 1,
        cluster_count: 2,
        local_set: 0,
        affinity_s: 10800,
        flags: 40,
      }),
    );
    expect(frontends).toContainEqual(
      expect.objectContaining({
        cluster_set: 1,
        local_set: 2,
        local_count: 1,
        flags: 1 | 4 | 16 | 32,
        kind: 4,
      }),
    );
    expect(kernel.bpftool('slots').map((e) => (e.value as { service: number }).service)).toEqual([1, 1, 1]);
    expect(kernel.bpftool('members')).toHaveLength(3);
    expect(kernel.bpftool('source_ranges')[0]!.key).toMatchObject({ prefixlen: 32 + 96 + 24, service: 1 });
    expect(formatDump(await kernelDump(kernel.maps))).toEqual(formatDump(planEntries(plan)));
  });

  it('writes nothing when nothing has changed, also after a restart', async () => {
    const plans = [...many(0, 20, 3), service('six', [clusterIP('fd00::10')], [endpoint('fd00:1::7')])];
    const first = kernel.engine();
    await first.adopt();
    await first.commit(changesOf(plans));
    const before = kernel.maps.meta.get(0);
    const slots = JSON.stringify(kernel.bpftool('slots'));
    await first.commit(changesOf(plans));
    const second = kernel.engine();
    await second.adopt();
    expect([...second.programmed.keys()].sort()).toEqual(plans.map((p) => p.name).sort());
    await second.commit(changesOf(plans));
    expect(await second.prune(new Set(plans.map((p) => p.name)))).toEqual([]);
    expect(kernel.maps.meta.get(0)).toEqual(before);
    expect(JSON.stringify(kernel.bpftool('slots'))).toBe(slots);
    expect(formatDump(await kernelDump(kernel.maps))).toEqual(formatDump(plans.flatMap(planEntries)));
  });

  it('hands out ids behind those of the agent before it', async () => {
    const first = kernel.engine();
    await first.adopt();
    await first.commit(changesOf(many(0, 3, 1)));
    const second = kernel.engine();
    await second.adopt();
    await second.commit(changesOf(many(3, 4, 1)));
    const ids = [...second.programmed.values()].flat().map((port) => port.id);
    expect(Math.max(...ids)).toBeGreaterThan(4096);
    expect(new Set(ids).size).toBe(4);
  });

  it('prunes Services that are no longer wanted', async () => {
    const first = kernel.engine();
    await first.adopt();
    await first.commit(changesOf(many(0, 5, 2)));
    let now = 0;
    const second = kernel.engine({ now: () => now });
    await second.adopt();
    await second.commit(changesOf(many(0, 2, 2)));
    expect(kernel.bpftool('frontends')).toHaveLength(5);
    const outcomes = await second.prune(new Set(['shop/s0', 'shop/s1']));
    expect(outcomes.map((o) => o.name).sort()).toEqual(['shop/s2', 'shop/s3', 'shop/s4']);
    expect(kernel.bpftool('frontends')).toHaveLength(2);
    now = 1500;
    await second.collect();
    expect(kernel.bpftool('slots')).toHaveLength(4);
    expect(kernel.bpftool('services')).toHaveLength(2);
    // No flow names these addresses.
    expect(await second.tightenAddresses(second.slackAddresses(), new Map())).toBe(3);
    expect(kernel.bpftool('addresses')).toHaveLength(2);
  });
});
