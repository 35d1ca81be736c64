// The cluster of the end-to-end tests (cluster/*.yaml), standing in a lab: who is where, and which address is whose.

import { fileURLToPath } from 'node:url';
import { NODES, OUTSIDE, OVERLAY, SERVICE_RANGE } from '../../lab/addresses.js';
import type { AgentOptions } from '../../lab/agent.js';
import type { Running } from '../../lab/exec.js';
import { createLab, type Lab, type LabOptions } from '../../lab/lab.js';
import { canonicalAddress } from '../../src/lib/ip.js';

/** The manifests. */
export const CLUSTER: string = fileURLToPath(new URL('cluster', import.meta.url));

/** Endpoints of Service web, and those of node-a. */
export const WEB = ['web-a1', 'web-a2', 'web-b1'] as const;
export const WEB_ON_NODE_A = ['web-a1', 'web-a2'] as const;

export type Family = 'v4' | 'v6';
export const FAMILIES = ['v4', 'v6'] as const satisfies readonly Family[];

/** The last part of a Service's addresses in cluster/services.yaml; its node port is 30000 more. */
const SERVICES = {
  web: 10,
  'web-local': 20,
  'remote-local': 25,
  partners: 30,
  'web-internal': 40,
  'remote-internal': 45,
  sticky: 50,
  empty: 60,
  closed: 65,
  own: 70,
  'twin-1': 71,
  'twin-2': 72,
  'no-socket': 80,
  /** No Service has this address. */
  nobody: 200,
} as const;

export type ServiceName = keyof typeof SERVICES;
export type Way = 'cluster-ip' | 'unknown-port' | 'node-port' | 'localhost' | 'load-balancer' | 'external-ip';

export interface Target {
  readonly address: string;
  readonly port: number;
}

/** Where that Service is reached in that way. */
export function target(service: ServiceName, way: Way, family: Family): Target {
  const n = SERVICES[service];
  const v4 = family === 'v4';
  switch (way) {
    case 'cluster-ip':
      return { address: v4 ? `10.96.0.${n}` : `fd00:10:96::${n}`, port: 80 };
    case 'unknown-port':
      return { ...target(service, 'cluster-ip', family), port: 81 };
    case 'node-port':
      return { address: NODES['node-a'][family], port: 30_000 + n };
    case 'localhost':
      return { address: v4 ? '127.0.0.1' : '::1', port: 30_000 + n };
    case 'load-balancer':
      return { address: v4 ? `203.0.113.${n}` : `2001:db8:203::${n}`, port: 80 };
    case 'external-ip':
      return { address: v4 ? `198.51.100.${n}` : `2001:db8:198::${n}`, port: 80 };
  }
}

/** Which networks the nodes have, as kinds of clusters know them. */
export const TOPOLOGIES = {
  /** Calico, kindnet: a route for each pod, plain links between nodes. */
  routed: { podNetwork: 'routed', underlay: 'routed' },
  /** flannel: pods are ports of a bridge whose packets pass netfilter, nodes are joined by VXLAN. */
  bridged: { podNetwork: 'bridged', underlay: 'vxlan', bridgeNetfilter: true },
} as const satisfies Record<string, LabOptions>;

export type Topology = keyof typeof TOPOLOGIES;

export interface Town {
  readonly lab: Lab;
  readonly topology: Topology;
}

/**
 * Two nodes as a strict administrator leaves them: strict reverse path check, FORWARD policy DROP, invalid packets dropped,
 * the CNI's masquerade rule. Every endpoint listens. Clients reach service addresses through node-a, those on node-b, too.
 */
export async function createTown(topology: Topology, more: LabOptions = {}): Promise<Town> {
  const lab = await createLab({
    ...TOPOLOGIES[topology],
    folder: CLUSTER,
    rpFilter: true,
    forwardDrop: 'pods',
    invalidDrop: true,
    masquerade: true,
    outsideReachesClusterIps: true,
    ...more,
  });
  const nodeA = NODES['node-a'];
  const ranges = [SERVICE_RANGE, { v4: '203.0.113.0/24', v6: '2001:db8:203::/64' }];
  const routes = ranges.flatMap((range) => FAMILIES.map((f) => `ip route add ${range[f]} via ${nodeA[f]}`));
  await lab.must('node-b', ['sh', '-ec', routes.join('\n')]);
  await lab.serveAll();
  await settle(lab);
  return { lab, topology };
}

/** Every way between clients and endpoints without a Service: neighbours are resolved, bridges forward. */
async function settle(lab: Lab): Promise<void> {
  const ways = ['client', 'visitor', 'node-a', 'outside'].flatMap((from) =>
    WEB.flatMap((endpoint) => FAMILIES.map((family) => [from, endpoint, family] as const)),
  );
  await Promise.all(
    ways.map(async ([from, endpoint, family]) => {
      const options = { timeout: 5000 };
      const [answer] = await lab.ask(from, 'tcp', lab.pods.get(endpoint)![family], 8080, options);
      if (answer!.name !== endpoint) throw new Error(`${from} does not reach ${endpoint}: ${answer!.error}`);
    }),
  );
}

/** Starts the agent of node-a, and waits until it serves. */
export async function startAgent({ lab }: Pick<Town, 'lab'>, options: AgentOptions = {}): Promise<Running> {
  const agent = await lab.agent('node-a', options);
  await agent.waitFor(/"msg":"serving"/, 20_000);
  return agent;
}

/** SIGTERM, as systemd does it; the kernel goes on serving. */
export async function stopAgent(agent: Running | undefined): Promise<void> {
  // A beforeAll that failed has none; its own error is the one to be read.
  if (agent === undefined) return;
  agent.kill('SIGTERM');
  const { code } = await agent.exited;
  if (code !== 0) throw new Error(`the agent ended with ${code}:\n${agent.lines.join('\n')}`);
}

/** The address that an endpoint sees when node-a itself speaks to it, or masquerades somebody. */
export function nodeAddress({ lab, topology }: Town, endpoint: string, family: Family): string {
  if (topology === 'routed') return NODES['node-a'][family];
  if (lab.pods.get(endpoint)!.node === 'node-b') return canonicalAddress(OVERLAY['node-a'][family])!;
  return family === 'v4' ? '10.244.0.1' : 'fd00:10:244::1';
}

/** The address that an endpoint sees of somebody whom nobody on node-a masquerades. */
export function ownAddress(town: Town, from: string, endpoint: string, family: Family): string {
  if (from === 'outside') return OUTSIDE[family];
  if (from === 'node-a') return nodeAddress(town, endpoint, family);
  const pod = town.lab.pods.get(from)!;
  // The CNI of node-b masquerades what its pods send to addresses that are no pod's.
  return canonicalAddress(pod.node === 'node-b' ? NODES['node-b'][family] : pod[family])!;
}

/** An agent for as long as `work` takes. */
export async function withAgent<T>(
  town: Pick<Town, 'lab'>,
  options: AgentOptions,
  work: (agent: Running) => Promise<T>,
): Promise<T> {
  const agent = await startAgent(town, options);
  try {
    return await work(agent);
  } finally {
    await stopAgent(agent);
  }
}
