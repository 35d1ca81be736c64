import { afterEach, describe, expect, it } from 'vitest';
import { kernelDump } from '../../src/dataplane/bpf/read.js';
import { formatDump, planEntries } from '../../src/observe/dump.js';
import { KernelMaps } from './kernel-maps.js';
import { changesOf, clusterIP, many, service } from './plans.js';

describe('full maps', () => {
  let kernel: KernelMaps;
  afterEach(() => kernel.close());

  it.each([
    ['slots', 32],
    ['backends', 32],
    ['frontends', 16],
    ['addresses', 16],
    ['services', 16],
    ['service_stats', 16],
  ])('%s: the Services that do not fit are refused by name, the others are served', async (map, size) => {
    kernel = await new KernelMaps('full').open({ [map]: size });
    const engine = kernel.engine({ graceMs: 0 });
    await engine.adopt();
    const first = many(0, 10, 2);
    expect((await engine.commit(changesOf(first))).every((o) => !o.error)).toBe(true);
    // Enough for a batch, which stops at each element that does not fit.
    const more = many(10, 110, 2);
    const outcomes = await engine.commit(changesOf(more));
    const refused = outcomes.filter((o) => o.error);
    expect(refused.length).toBeGreaterThan(90);
    for (const { name, error } of refused) {
      expect(error!.message).toContain(`the map ${map} is full (${size} entries)`);
      expect(error!.message).toContain(name);
      expect(error!.message).toContain(`maps.${map}`);
    }
    const names = new Set(refused.map((o) => o.name));
    const kept = [...first, ...more.filter((p) => !names.has(p.name))];
    expect(formatDump(await kernelDump(kernel.maps))).toEqual(formatDump(kept.flatMap(planEntries)));
    await engine.collect();
    await engine.tightenAddresses(engine.slackAddresses(), new Map());
    expect(kernel.bpftool('slots')).toHaveLength(kept.length * 2);
    expect(kernel.bpftool('addresses')).toHaveLength(kept.length);
    expect(kernel.bpftool('services')).toHaveLength(kept.length);
    // Room again: the refused ones fit.
    await engine.commit(kept.map(({ name }) => ({ name, plan: undefined })));
    await engine.collect();
    await engine.tightenAddresses(engine.slackAddresses(), new Map());
    const again = more.filter((p) => names.has(p.name)).slice(0, 8);
    expect((await engine.commit(changesOf(again))).flatMap((o) => o.error ?? [])).toEqual([]);
  });

  it('keeps the size of a map that is there, and says so', async () => {
    kernel = await new KernelMaps('full').open({ slots: 64 });
    const engine = kernel.engine();
    await engine.adopt();
    await engine.commit(changesOf([service('web', [clusterIP('10.96.0.1')], [])]));
    await kernel.load({ slots: 128 });
    expect(kernel.maps.slots.info.maxEntries).toBe(64);
    expect(kernel.maps.frontends.get({ addr: new Uint8Array(16), port: 1, proto: 6 })).toBeUndefined();
    expect(kernel.notes).toEqual([expect.stringContaining('slots stays at 64 entries, not 128')]);
    expect(kernel.bpftool('frontends')).toHaveLength(1);
  });
});
