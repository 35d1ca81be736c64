// The API server is away: what is served stays served, through a restart of the agent, too, and pods that come meanwhile
// are served by the programs of the earlier run.

import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Running } from '../../../lab/exec.js';
import { plug, servedAfter } from './guest.js';
import {
  createWorld,
  end,
  expectNoFailure,
  labPod,
  type Manifest,
  Manifests,
  sleep,
  underLoad,
  WEB_PODS,
  WEB_SERVICE,
  type World,
} from './world.js';

const SERVER = new URL('../../helpers/apiserver/main.ts', import.meta.url).pathname;

let world: World;
let objects: Manifests;
let server: { readonly kubeconfig: string; readonly port: string };

beforeAll(async () => {
  world = await createWorld();
  objects = new Manifests(join(world.lab.folder, 'objects'));
  objects.write('objects.yaml', WEB_SERVICE, ...slices(), {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'node-a' },
  });
  const running = await world.lab.spawn(
    'node-a',
    [process.execPath, '--import', 'tsx', SERVER, '--dir', objects.folder],
    { env: process.env },
  );
  const told = JSON.parse(await running.waitFor(/^{/)) as { url: string; kubeconfig: string };
  server = { kubeconfig: told.kubeconfig, port: new URL(told.url).port };
});
afterAll(() => world?.close());

test('the agent restarts while the API server is away: nothing fails, and new pods are served', async () => {
  const first = await run();
  await first.waitFor(/"msg":"serving"/, 20_000);
  const tallies = await underLoad(world, async () => {
    await away();
    await sleep(300);
    await end(first);
    const second = await run();
    await second.waitFor(/took over what an earlier run left/);
    const guest = labPod('guest', 'node-a', 100);
    await plug(world.lab, guest);
    console.info(
      `a pod that came while the API server was away was served after ${await servedAfter(world.lab, guest)} ms`,
    );
    await sleep(1000);
    expect(second.lines.filter((line) => line.includes('"msg":"serving"'))).toEqual([]);
    await back();
    await second.waitFor(/"msg":"serving"/, 30_000);
    await end(second);
  });
  expectNoFailure(tallies);
  expect(Object.keys(tallies.pod.answerers).sort()).toEqual(WEB_PODS.map((pod) => pod.name));
});

function run(): Promise<Running> {
  return world.lab.agent('node-a', {
    folder: false,
    config: world.config,
    args: ['--kubeconfig', server.kubeconfig],
  });
}

/** Connections to the API server are refused, and those that it had are reset. */
async function away(): Promise<void> {
  const rule = `tcp dport ${server.port} reject with tcp reset`;
  await world.lab.must('node-a', [
    'nft',
    `add table inet away; add chain inet away in { type filter hook input priority 0; }; add rule inet away in ${rule}`,
  ]);
}

async function back(): Promise<void> {
  await world.lab.must('node-a', ['nft', 'delete table inet away']);
}

/** The endpoints of both families, as the controller writes them. */
function slices(): Manifest[] {
  return (['IPv4', 'IPv6'] as const).map((addressType) => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: `web-${addressType.toLowerCase()}`,
      namespace: 'shop',
      labels: { 'kubernetes.io/service-name': 'web' },
    },
    addressType,
    ports: [
      { name: 'http', port: 8080, protocol: 'TCP' },
      { name: 'dns', port: 5353, protocol: 'UDP' },
    ],
    endpoints: WEB_PODS.map((pod) => ({
      addresses: [addressType === 'IPv4' ? pod.v4 : pod.v6],
      nodeName: pod.node,
      conditions: { ready: true },
      targetRef: { kind: 'Pod', namespace: 'shop', name: pod.name },
    })),
  }));
}
