import { beforeEach, describe, expect, it } from 'vitest';
import type { ServicePlan } from '../../../src/compile/plan.js';
import { adoptState, type KernelState } from '../../../src/dataplane/bpf/adopt.js';
import { BpfEngine } from '../../../src/dataplane/bpf/driver.js';
import { Ids } from '../../../src/dataplane/bpf/ids.js';
import { openMaps } from '../../../src/dataplane/bpf/maps.js';
import { clusterIP, endpoint, many, service } from '../../dataplane/plans.js';
import { Crash, FakeKernel, type Write } from './fake-kernel.js';
import { verdicts } from './interpreter.js';

const E2BIG = 7;
const VIP = { address: '10.96.0.10', port: 80, protocol: 'TCP' } as const;
const CLIENT = { address: '192.0.2.7', onNode: false };

let kernel: FakeKernel;
let now: number;

beforeEach(() => {
  kernel = new FakeKernel();
  now = 0;
});

async function start(): Promise<BpfEngine> {
  const native = kernel.native();
  const maps = openMaps(native, '/pins');
  const engine = new BpfEngine({ native, maps, now: () => now, monotonicNs: () => BigInt(now) * 1_000_000n });
  await engine.adopt();
  return engine;
}

async function put(engine: BpfEngine, ...plans: readonly ServicePlan[]): Promise<void> {
  const outcomes = await engine.commit(plans.map((plan) => ({ name: plan.name, plan })));
  expect(outcomes.flatMap((o) => o.error ?? [])).toEqual([]);
}

function counts(writes: readonly Write[]): Record<string, number> {
  const result: Record<string, number> = {};
  for (const { map, verb } of writes) result[`${verb} ${map}`] = (result[`${verb} ${map}`] ?? 0) + 1;
  return result;
}

const pods = (count: number, from = 1) =>
  Array.from({ length: count }, (_, i) => endpoint(`10.244.0.${from + i}`));
const web = (endpoints = pods(10), rest = {}) => service('web', [clusterIP(VIP.address)], endpoints, rest);

describe('what a change writes', () => {
  it('nothing, when nothing has changed', async () => {
    const engine = await start();
    await put(engine, web(), ...many(20, 70, 2));
    kernel.takeWrites();
    await put(engine, web(), ...many(20, 70, 2));
    const next = await start();
    await put(next, web(), ...many(20, 70, 2));
    await next.prune(new Set(next.programmed.keys()));
    await next.collect();
    expect(kernel.writes).toEqual([]);
  });

  it('for one endpoint less, a new set, one frontend, and the backend that left', async () => {
    const engine = await start();
    await put(engine, web(), ...many(20, 70, 2));
    kernel.takeWrites();
    await put(engine, web(pods(9)));
    expect(counts(kernel.takeWrites())).toEqual({ 'put slots': 9, 'put frontends': 1, 'delete backends': 1 });
    now += 999;
    expect(await engine.collect()).toBe(0);
    now += 1;
    expect(await engine.collect()).toBe(10);
    expect(counts(kernel.takeWrites())).toEqual({ 'delete slots': 10 });
  });

  it('for an endpoint that begins to terminate, its set and its flags', async () => {
    const engine = await start();
    await put(engine, web(pods(3)));
    kernel.takeWrites();
    const list = pods(3).map((e, i) => (i === 0 ? { ...e, ready: false, terminating: true } : e));
    await put(engine, web(list.slice(1), { serving: list }));
    expect(counts(kernel.takeWrites())).toEqual({ 'put slots': 2, 'put backends': 1, 'put frontends': 1 });
  });

  it('for another affinity timeout, only the frontend; for affinity where there was none, a set with members', async () => {
    const engine = await start();
    await put(engine, web(pods(3)));
    kernel.takeWrites();
    await put(engine, web(pods(3), { affinitySeconds: 60 }));
    expect(counts(kernel.takeWrites())).toEqual({ 'put slots': 3, 'put members': 3, 'put frontends': 1 });
    await put(engine, web(pods(3), { affinitySeconds: 90 }));
    expect(counts(kernel.takeWrites())).toEqual({ 'put frontends': 1 });
  });

  it('one set for both lists where they are the same', async () => {
    const engine = await start();
    const frontends = [
      clusterIP(VIP.address),
      clusterIP('203.0.113.1', 80, { kind: 'load-balancer', list: 'local' }),
    ];
    await put(engine, service('web', frontends, pods(3), { local: pods(3) }));
    expect(kernel.count('slots')).toBe(3);
  });
});

describe('ids', () => {
  it('are never handed out again, also when all that named them is gone', async () => {
    const engine = await start();
    await put(engine, web());
    const [used] = engine.programmed.get('shop/web')!;
    await engine.commit([{ name: 'shop/web', plan: undefined }]);
    now += 5000;
    await engine.collect();
    expect(kernel.count('services') + kernel.count('slots')).toBe(0);
    const next = await start();
    await put(next, web());
    const [port] = next.programmed.get('shop/web')!;
    expect(port!.id).toBeGreaterThan(used!.id);
    expect(port!.sets[0]!.id).toBeGreaterThan(used!.sets[0]!.id);
  });

  it('are reserved before the first entry that names them', async () => {
    const engine = await start();
    kernel.writes.splice(0);
    await put(engine, web());
    expect(kernel.writes[0]!.map).toBe('meta');
  });

  it('end with a message and not with a reused one', () => {
    const ids = new Ids({ service: 1, set: 0xffff_fffe });
    expect(ids.set()).toBe(0xffff_fffe);
    expect(ids.reservation()!.set).toBe(0xffff_ffff);
    expect(() => ids.set()).toThrow(/pinFolder/);
  });
});

describe('failures', () => {
  it('put a frontend back that was switched before another one failed', async () => {
    const engine = await start();
    await put(engine, web([]));
    kernel.beforeWrite = ({ map, exists }) => (map === 'frontends' && !exists ? E2BIG : 0);
    const frontends = [clusterIP(VIP.address), clusterIP('203.0.113.1', 80, { kind: 'external-ip' })];
    const wanted = service('web', frontends, [], { hasEndpoints: true });
    const [outcome] = await engine.commit([{ name: wanted.name, plan: wanted }]);
    expect(outcome!.error!.message).toContain('maps.frontends');
    expect(verdicts(kernel, VIP, CLIENT)).toEqual(new Set(['REJECT']));
    kernel.beforeWrite = () => 0;
    await put(engine, wanted);
    expect(verdicts(kernel, VIP, CLIENT)).toEqual(new Set(['DROP']));
  });

  it('are their own Service’s, within a batch, too', async () => {
    const engine = await start();
    kernel.limits.set('slots', 75);
    const plans = many(0, 100, 1);
    const outcomes = await engine.commit(plans.map((plan) => ({ name: plan.name, plan })));
    expect(outcomes.filter((o) => !o.error)).toHaveLength(75);
    for (const map of ['slots', 'services', 'backends', 'frontends'] as const)
      expect(kernel.count(map)).toBe(75);
  });

  it('name what does not fit', async () => {
    const engine = await start();
    const long = { ...web(), service: 'x'.repeat(64) };
    const [outcome, other] = await engine.commit([
      { name: 'shop/web', plan: long },
      { name: 'shop/s0', plan: many(0, 1, 1)[0] },
    ]);
    expect(outcome!.error!.message).toMatch(/^shop\/web: the name x+ is longer than 63/);
    expect(other!.error).toBeUndefined();
  });
});

describe('source ranges', () => {
  it('that come back within the grace period stay', async () => {
    const engine = await start();
    const limited = (sourceRanges: readonly string[]) =>
      service('web', [clusterIP(VIP.address, 80, { kind: 'load-balancer', restricted: true })], pods(1), {
        sourceRanges,
      });
    await put(engine, limited(['192.0.2.0/24', '198.51.100.0/24']));
    await put(engine, limited(['198.51.100.0/24']));
    await put(engine, limited(['192.0.2.0/24', '198.51.100.0/24']));
    now += 5000;
    await engine.collect();
    expect(verdicts(kernel, VIP, CLIENT)).toEqual(new Set(['to 10.244.0.1:8080']));
  });
});

describe('adoption', () => {
  const label = {
    namespace: 'shop',
    name: 'web',
    portName: 'http',
    protocol: 'TCP',
    family: 'IPv4',
  } as const;
  const frontend = {
    service: 7,
    ...VIP,
    kind: 'cluster-ip',
    flags: 0,
    affinitySeconds: 0,
    clusterSet: 3,
    clusterCount: 2,
    localSet: 0,
    localCount: 0,
  } as const;
  const slot = (index: number) =>
    ({ map: 'slots', set: 3, index, service: 7, endpoint: endpoint(`10.244.0.${index + 1}`) }) as const;
  const state: KernelState = {
    services: new Map([[7, label]]),
    stats: [7],
    frontends: [frontend],
    slots: [slot(1), slot(0)],
    members: [],
    backends: [],
    ranges: [],
    addresses: [],
    meta: { service: 0, set: 0 },
  };

  it('puts a list together in the order of its slots', () => {
    const { ports, garbage, next } = adoptState(state);
    const [port] = ports.get('shop/web')!;
    expect(port!.sets[0]!.endpoints.map((e) => e.address)).toEqual(['10.244.0.1', '10.244.0.2']);
    expect(garbage).toEqual([]);
    expect(next).toEqual({ service: 8, set: 4 });
  });

  it('takes no list over that is not whole', () => {
    const { ports, garbage } = adoptState({ ...state, slots: [slot(1)] });
    expect(ports.get('shop/web')![0]!.sets).toEqual([]);
    expect(garbage).toEqual([slot(1)]);
  });

  it('leaves entries of ids without a name to prune', () => {
    const { ports, garbage } = adoptState({ ...state, services: new Map() });
    expect(ports.size).toBe(0);
    expect(garbage.map((e) => e.map).sort()).toEqual(['frontends', 'service_stats', 'slots', 'slots']);
  });

  it('writes a frontend again whose address lets nobody through', async () => {
    const first = await start();
    await put(first, web(pods(1)));
    kernel.maps.get('addresses')!.clear();
    const next = await start();
    await put(next, web(pods(1)));
    expect(verdicts(kernel, VIP, CLIENT)).toEqual(new Set(['to 10.244.0.1:8080']));
  });

  it('sets the flag of a cluster IP whose agent died just before it', async () => {
    const first = await start();
    let addresses = 0;
    kernel.beforeWrite = ({ map }) => {
      if (map === 'addresses' && ++addresses === 2) throw new Crash('the agent dies');
      return 0;
    };
    await expect(put(first, web(pods(1)))).rejects.toThrow(Crash);
    kernel.beforeWrite = () => 0;
    const unknown = { ...VIP, port: 81 };
    expect(verdicts(kernel, unknown, CLIENT)).toEqual(new Set(['NONE']));
    await put(await start(), web(pods(1)));
    expect(verdicts(kernel, unknown, CLIENT)).toEqual(new Set(['UNKNOWN-PORT']));
  });

  it('prunes a frontend whose Service has lost its name, and lets its address be', async () => {
    await put(await start(), web(pods(1)));
    kernel.maps.get('services')!.clear();
    const next = await start();
    expect(verdicts(kernel, VIP, CLIENT)).toEqual(new Set(['to 10.244.0.1:8080']));
    expect(await next.prune(new Set())).toEqual([]);
    expect(verdicts(kernel, VIP, CLIENT)).toEqual(new Set(['NONE']));
    for (const map of ['frontends', 'slots', 'backends', 'service_stats'] as const)
      expect(kernel.count(map)).toBe(0);
  });
});

describe('a plan that no map can hold', () => {
  it('fails the commit that it is in, and nothing is wrong afterwards', async () => {
    const engine = await start();
    await put(engine, web(pods(2)));
    const bad = service('bad', [clusterIP('10.96.9.9')], [endpoint('10.244.9.9', 70_000)]);
    const good = web(pods(3));
    const both = [good, bad].map((plan) => ({ name: plan.name, plan }));
    await expect(engine.commit(both)).rejects.toThrow(RangeError);
    for (const verdict of verdicts(kernel, VIP, CLIENT)) expect(verdict).toMatch(/^to 10.244.0.[123]:8080$/);
    await put(engine, good);
    now += 5000;
    await engine.collect();
    expect(verdicts(kernel, VIP, CLIENT).size).toBe(3);
    expect(kernel.count('slots')).toBe(3);
  });
});
