// Too much of something: full maps, a flood, a flow table that is far too small, a Service with 100,000 endpoints, manifests
// that are garbage. Each is bounded to what is too much.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { must, type Running } from '../../../lab/exec.js';
import {
  createWorld,
  drift,
  end,
  expectNoFailure,
  type Manifest,
  NODE_A,
  NODE_PORT,
  serviceManifest,
  sleep,
  underLoad,
  WEB,
  WEB_PODS,
  WEB_SERVICE,
  type World,
} from './world.js';

let world: World;
let agent: Running | undefined;

beforeAll(async () => {
  world = await createWorld();
});
/** The maps' sizes count when they are made: each test makes its own. */
afterEach(async () => {
  if (agent !== undefined) await end(agent);
  agent = undefined;
  expect(await world.lab.portolan(['cleanup'])).toMatchObject({ code: 0 });
});
afterAll(() => world?.close());

async function reasons(): Promise<Readonly<Record<string, number>>> {
  const { stdout } = await world.lab.portolan(['services', '-o', 'json']);
  return (JSON.parse(stdout) as { reasons: Record<string, number> }).reasons;
}

function words(line: string): string {
  return (JSON.parse(line) as { msg: string }).msg;
}

async function answers(address: string): Promise<boolean> {
  const [answer] = await world.lab.ask('client', 'tcp', address, 80, { timeout: 300 });
  return answer?.name !== undefined;
}

test('a full map refuses the new Service, keeps the old ones, and takes it in when there is room', async () => {
  const small = (i: number): Manifest => serviceManifest({ name: `small-${i}`, v4: `10.96.1.${i}` });
  world.manifests.write('web.yaml', serviceManifest({ name: 'web', v4: WEB.v4 }));
  for (let i = 1; i <= 15; i++) world.manifests.write(`small-${i}.yaml`, small(i));
  agent = await world.start({ maps: { frontends: 16 }, hooks: { socket: false } });
  const tallies = await underLoad(
    world,
    async () => {
      world.manifests.write('small-16.yaml', small(16));
      const said = words(await agent!.waitFor(/is full/));
      expect(said).toContain(
        'the map frontends is full (16 entries): Service shop/small-16 keeps the state that it had',
      );
      expect(said).toContain('raise maps.frontends in the configuration');
      expect(await answers('10.96.1.16')).toBe(false);
      for (const i of [1, 8, 15]) expect(await answers(`10.96.1.${i}`)).toBe(true);
      // Others are still edited.
      world.manifests.webPods(WEB_PODS.slice(0, 3));
      await expect
        .poll(async () => (await drift(world)).every((line) => line.includes('small-16')))
        .toBe(true);
      world.manifests.remove('small-8.yaml');
      await expect.poll(() => answers('10.96.1.16'), { timeout: 15_000 }).toBe(true);
      await agent!.waitFor(/is programmed, after failures/);
    },
    { rate: 0, held: ['podTcp4'] },
  );
  expectNoFailure(tallies);
  for (let i = 1; i <= 16; i++) if (i !== 8) world.manifests.remove(`small-${i}.yaml`);
  world.manifests.write('web.yaml', WEB_SERVICE);
  world.manifests.webPods(WEB_PODS);
});

test('a SYN flood breaks no established flow', async () => {
  const flood = join(world.lab.folder, 'flood');
  await must([
    'cc',
    '-O2',
    '-Wall',
    '-Wextra',
    '-Werror',
    '-o',
    flood,
    new URL('flood.c', import.meta.url).pathname,
  ]);
  // Sixteen times what fits into the table of flows that are not confirmed.
  agent = await world.start({ maps: { opening: 4096 } });
  const tallies = await underLoad(
    world,
    async () => {
      const sent = await world.lab.must('outside', [flood, NODE_A.v4, String(NODE_PORT), '64000', '20000']);
      expect(Number(sent)).toBe(64_000);
    },
    { rate: 50 },
  );
  // New ones compete with the flood for the same table.
  expectNoFailure(tallies, ['outside']);
  console.info(
    `new connections during the flood: ${tallies.outside.failed} of ${tallies.outside.started} failed from outside`,
  );
  // The flood did reach the Service.
  const { stdout } = await world.lab.portolan(['services', 'shop/web', '-o', 'json']);
  const { services } = JSON.parse(stdout) as {
    services: { port: { portName: string; family: string }; served: { tc: number } }[];
  };
  const web = services.find(({ port }) => port.portName === 'http' && port.family === 'IPv4')!;
  expect(web.served.tc).toBeGreaterThan(60_000);
});

test('a flow table of 64 entries: everything is served, and it is said', async () => {
  agent = await world.start({ maps: { flows: 64 }, hooks: { socket: false } });
  const tallies = await underLoad(world, () => sleep(3000));
  expectNoFailure(tallies);
  expect((await reasons())['flow-table-full']).toBeGreaterThan(0);
  expect(words(await agent.waitFor(/"reason":"flow-table-full"/, 12_000))).toContain('raise maps.flows');
});

test('100,000 endpoints in one Service, beside others', async () => {
  agent = await world.start();
  const { selector: _, ...spec } = serviceManifest({ name: 'huge', v4: '10.96.0.99' }).spec as Record<
    string,
    unknown
  >;
  world.manifests.write('huge.yaml', { ...serviceManifest({ name: 'huge', v4: '10.96.0.99' }), spec });
  const since = performance.now();
  let took = 0;
  const tallies = await underLoad(
    world,
    async () => {
      world.manifests.raw(
        'slices.json',
        JSON.stringify({ apiVersion: 'v1', kind: 'List', items: hugeSlices() }),
      );
      await expect
        .poll(async () => Object.keys(await hugeSlot()).length, { timeout: 30_000, interval: 100 })
        .toBeGreaterThan(0);
      took = performance.now() - since;
    },
    { rate: 100 },
  );
  expectNoFailure(tallies);
  const peak = Number(/VmHWM:\s*(\d+)/.exec(readFileSync(`/proc/${agent.pid}/status`, 'utf8'))![1]) / 1024;
  console.info(`100,000 endpoints: in the kernel after ${Math.round(took)} ms, peak ${Math.round(peak)} MiB`);
  expect(took).toBeLessThan(15_000);
  expect(peak).toBeLessThan(600);
  // It is still quick for others.
  world.manifests.remove('slices.json');
  world.manifests.remove('huge.yaml');
  await expect.poll(() => drift(world), { timeout: 10_000 }).toEqual([]);
});

/** The frontend's line of `huge` in the kernel's table, with as many endpoints as there should be. */
async function hugeSlot(): Promise<object> {
  const { stdout } = await world.lab.portolan(['services', 'shop/huge', '-o', 'json']);
  const { services } = JSON.parse(stdout) as { services: { cluster: unknown[] }[] };
  return services[0]?.cluster.length === 100_000 ? services[0] : {};
}

function hugeSlices(): Manifest[] {
  return Array.from({ length: 100 }, (_, slice) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `huge-${slice}`, namespace: 'shop', labels: { 'kubernetes.io/service-name': 'huge' } },
    addressType: 'IPv4',
    ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
    endpoints: Array.from({ length: 1000 }, (__, i) => ({
      addresses: [`10.${100 + (slice >> 6)}.${(slice & 63) * 4 + (i >> 8)}.${i & 255}`],
      conditions: { ready: true },
    })),
  }));
}

test('garbage and oversized manifests: named with file and line, nothing else is disturbed', async () => {
  agent = await world.start();
  const garbage: Readonly<Record<string, [string, RegExp]>> = {
    'cut.yaml': ['apiVersion: v1\nkind: Service\nmetadata: {name: x', /cut\.yaml:3/],
    'binary.yaml': [String.fromCharCode(...Array.from({ length: 4096 }, (_, i) => i % 256)), /binary\.yaml/],
    'types.yaml': [
      'apiVersion: v1\nkind: Service\nmetadata: {name: x, namespace: shop}\nspec: {ports: 7}\n',
      /types\.yaml/,
    ],
    'bomb.yaml': [
      `${['a0: &a0 [x,x,x,x,x,x,x,x,x]', ...Array.from({ length: 9 }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(',')}]`)].join('\n')}\n`,
      /bomb\.yaml/,
    ],
    'deep.json': ['['.repeat(100_000), /deep\.json/],
    'large.yaml': [`# ${'x'.repeat(30_000_000)}\n`, /./],
    'long.json': [
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'n'.repeat(1_000_000), namespace: 'shop' },
        spec: {},
      }),
      /long\.json/,
    ],
  };
  const tallies = await underLoad(world, async () => {
    for (const [file, [text]] of Object.entries(garbage)) world.manifests.raw(file, text);
    for (const [file, [, pattern]] of Object.entries(garbage))
      if (file !== 'large.yaml') await agent!.waitFor(new RegExp(`"where":"[^"]*${pattern.source}`), 15_000);
    world.manifests.webPods(WEB_PODS.slice(0, 2));
    await expect.poll(() => answerers(), { timeout: 15_000 }).toEqual(['web-1', 'web-2']);
  });
  expectNoFailure(tallies, ['podUdpConnected']);
  for (const line of agent.lines) expect(line.length).toBeLessThan(4000);
  for (const file of Object.keys(garbage)) world.manifests.remove(file);
  world.manifests.webPods(WEB_PODS);
  await expect.poll(() => drift(world), { timeout: 10_000 }).toEqual([]);
});

async function answerers(): Promise<string[]> {
  const all = await world.lab.ask('client', 'tcp', WEB.v4, 80, { count: 40 });
  return [...new Set(all.map(({ name }) => name ?? ''))].sort();
}
