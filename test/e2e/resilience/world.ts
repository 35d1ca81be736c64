// What the resilience tests stand on: a lab with four web pods, manifests that can be edited, and traffic that must not
// fail while something happens.

import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { stringify } from 'yaml';
import type { Running } from '../../../lab/exec.js';
import { createLab, type Lab, type LabOptions, type Traffic } from '../../../lab/lab.js';
import type { LabPod } from '../../../lab/topology.js';
import type { Tally } from '../../../lab/traffic.js';

export const WEB = { v4: '10.96.0.10', v6: 'fd00:10:96::10' } as const;
export const NODE_A = { v4: '192.0.2.10', v6: '2001:db8:1::10' } as const;
export const NODE_PORT = 30_080;
export const UDP_NODE_PORT = 30_053;
/** Short enough that a lost SYN, which is sent again after a second, is a failure. */
const TIMEOUT_MS = 950;

export type Manifest = Readonly<Record<string, unknown>>;

/** A pod of the lab; its IPv6 address ends as its IPv4 address does. */
export function labPod(name: string, node: 'node-a' | 'node-b', number: number): LabPod {
  const third = node === 'node-a' ? 0 : 1;
  const v4 = `10.244.${third}.${number}`;
  return { name, node, v4, v6: `fd00:10:244:${third}::${number}`, tcp: [8080], udp: [5353] };
}

export const WEB_PODS: readonly LabPod[] = [
  labPod('web-1', 'node-a', 11),
  labPod('web-2', 'node-b', 12),
  labPod('web-3', 'node-a', 13),
  labPod('web-4', 'node-b', 14),
];

export function podManifest(pod: LabPod, app = 'web'): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: pod.name, namespace: 'shop', labels: { app } },
    spec: { nodeName: pod.node, containers: [{ name: 'c', image: 'example.com/web:1' }] },
    status: { podIPs: [{ ip: pod.v4 }, { ip: pod.v6 }] },
  };
}

export interface ServiceSpec {
  readonly name: string;
  readonly v4: string;
  readonly v6?: string;
  readonly app?: string;
  /** Spread over `spec`. */
  readonly more?: Manifest;
  readonly ports?: readonly Manifest[];
}

/** A ClusterIP Service, TCP 80 to 8080 unless `ports` says otherwise. */
export function serviceManifest({ name, v4, v6, app = 'web', more = {}, ports }: ServiceSpec): Manifest {
  const addresses = v6 === undefined ? [v4] : [v4, v6];
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'shop' },
    spec: {
      clusterIP: v4,
      clusterIPs: addresses,
      ...(v6 === undefined ? {} : { ipFamilyPolicy: 'RequireDualStack', ipFamilies: ['IPv4', 'IPv6'] }),
      selector: { app },
      ports: ports ?? [{ name: 'http', port: 80, targetPort: 8080 }],
      ...more,
    },
  };
}

/** The Service of every test: TCP and UDP, both families, node ports. */
export const WEB_SERVICE: Manifest = serviceManifest({
  name: 'web',
  ...WEB,
  more: { type: 'NodePort' },
  ports: [
    { name: 'http', port: 80, targetPort: 8080, nodePort: NODE_PORT },
    { name: 'dns', port: 53, targetPort: 5353, nodePort: UDP_NODE_PORT, protocol: 'UDP' },
  ],
});

/** A folder of manifests. Every write is one file, one event. */
export class Manifests {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
  }

  write(file: string, ...objects: readonly Manifest[]): void {
    this.raw(file, objects.map((object) => stringify(object)).join('---\n'));
  }

  raw(file: string, text: string): void {
    writeFileSync(join(this.folder, file), text);
  }

  remove(file: string): void {
    rmSync(join(this.folder, file));
  }

  /** `pods.yaml` with exactly these as the pods of `web`. */
  webPods(pods: readonly LabPod[]): void {
    this.write('pods.yaml', ...pods.map((pod) => podManifest(pod)));
  }
}

export interface World {
  readonly lab: Lab;
  readonly manifests: Manifests;
  /** Over the lab's configuration of the agent. */
  readonly config: Manifest;
  /** Starts the agent on node-a; serving when it resolves. */
  start(config?: Manifest): Promise<Running>;
  close(): Promise<void>;
}

/** A lab whose pods answer, with the Service `web` in its folder. No agent runs yet. */
export async function createWorld(
  config: Manifest = {},
  { serve = true, ...options }: LabOptions & { readonly serve?: boolean } = {},
): Promise<World> {
  const lab = await createLab({ ...options, pods: options.pods ?? WEB_PODS });
  if (serve) await lab.serveAll();
  const manifests = new Manifests(join(lab.folder, 'manifests'));
  manifests.write('web.yaml', WEB_SERVICE);
  manifests.webPods(WEB_PODS);
  return {
    lab,
    manifests,
    config,
    start: async (more = {}) => {
      const agent = await lab.agent('node-a', { folder: manifests.folder, config: { ...config, ...more } });
      await agent.waitFor(/"msg":"serving"/, 20_000);
      return agent;
    },
    close: () => lab.close(),
  };
}

/** Kills the agent and waits for its end. */
export async function end(agent: Running, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
  agent.kill(signal);
  await agent.exited;
}

/** Long-lived flows, by where they begin and what they are: the socket hook sees those of the pod, tc those from outside. */
const HELD = {
  podTcp4: ['client', 'tcp', WEB.v4, 80, {}],
  podTcp6: ['client', 'tcp', WEB.v6, 80, {}],
  podUdp: ['client', 'udp', WEB.v4, 53, {}],
  podUdpConnected: ['client', 'udp', WEB.v4, 53, { connected: true, reconnect: true }],
  outsideTcp: ['outside', 'tcp', NODE_A.v4, NODE_PORT, {}],
  outsideUdp: ['outside', 'udp', NODE_A.v4, UDP_NODE_PORT, {}],
} as const;

export type Held = keyof typeof HELD;
export const ALL_HELD = Object.keys(HELD) as readonly Held[];

export interface LoadPlan {
  /** New connections a second from the client pod and from outside, each. Default 250; 0: none. */
  readonly rate?: number;
  /** Which long-lived flows run beside, ten of each kind, asking every 100 ms. Default all. */
  readonly held?: readonly Held[];
}

export type Tallies = Readonly<Record<string, Tally>> & { readonly pod: Tally; readonly outside: Tally };

/** Runs `act` under load, which begins before it and ends after it. */
export async function underLoad(
  world: World,
  act: () => Promise<void>,
  plan: LoadPlan = {},
): Promise<Tallies> {
  const running = await startLoad(world.lab, plan);
  try {
    await Promise.all(Object.values(running).map((traffic) => traffic.waitFor(/"ok":[1-9]\d/)));
    await act();
    await sleep(300);
  } finally {
    for (const traffic of Object.values(running)) traffic.kill('SIGTERM');
  }
  const tallies = Object.entries(running).map(
    async ([name, traffic]) => [name, await traffic.tally] as const,
  );
  return Object.fromEntries(await Promise.all(tallies)) as Tallies;
}

async function startLoad(
  lab: Lab,
  { rate = 250, held = ALL_HELD }: LoadPlan,
): Promise<Record<string, Traffic>> {
  const always = { seconds: 120, timeout: TIMEOUT_MS, progress: 100 };
  const running: Record<string, Traffic> = {};
  if (rate > 0) {
    running.pod = await lab.load('client', 'tcp', WEB.v4, 80, { ...always, rate });
    running.outside = await lab.load('outside', 'tcp', NODE_A.v4, NODE_PORT, { ...always, rate });
  }
  for (const name of held) {
    const [where, protocol, address, port, more] = HELD[name];
    const options = { ...always, ...more, connections: 10, interval: 100 };
    running[name] = await lab.hold(where, protocol, address, port, options);
  }
  return running;
}

/** Every connection was answered, in time, and those that were held are still open. */
export function expectNoFailure(tallies: Tallies, besides: readonly string[] = []): void {
  for (const [who, { failed, errors, mode, alive, started }] of Object.entries(tallies)) {
    if (besides.includes(who)) continue;
    expect({ who, failed, errors }).toEqual({ who, failed: 0, errors: {} });
    if (mode === 'hold') expect({ who, alive }).toEqual({ who, alive: started });
  }
}

/** How many connections each hook has served since the maps were made. */
export async function servedBy({ lab }: World): Promise<{ readonly socket: number; readonly tc: number }> {
  const { stdout } = await lab.portolan(['services', '-o', 'json']);
  const { services } = JSON.parse(stdout) as { services: { served: { socket: number; tc: number } }[] };
  const sum = (hook: 'socket' | 'tc'): number => services.reduce((all, { served }) => all + served[hook], 0);
  return { socket: sum('socket'), tc: sum('tc') };
}

/** The lines in which `portolan dump` of the plan and of the kernel differ; none when all is as it should be. */
export async function drift({ lab, manifests }: World): Promise<string[]> {
  const source = ['--folder', manifests.folder, '--config', join(lab.folder, 'node-a.yaml')];
  const [plan, kernel] = await Promise.all([
    lab.portolan(['dump', '--from', 'plan', ...source]),
    lab.portolan(['dump', '--from', 'kernel']),
  ]);
  expect([plan.code, kernel.code, plan.stderr + kernel.stderr]).toEqual([0, 0, '']);
  const [wanted, has] = [lines(plan.stdout), lines(kernel.stdout)];
  expect(wanted.size).toBeGreaterThan(0);
  return [
    ...[...wanted].filter((l) => !has.has(l)).map((l) => `- ${l}`),
    ...[...has].filter((l) => !wanted.has(l)).map((l) => `+ ${l}`),
  ];
}

function lines(text: string): Set<string> {
  return new Set(text.split('\n').filter(Boolean));
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
