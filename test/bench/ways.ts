// What the traffic bench compares: the ways to one server, the labs that they lie in, and the Services that they need.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NODES } from '../../lab/addresses.js';
import type { LabPod } from '../../lab/topology.js';

export const PORT = 8080;
const VIP = '10.96.0.100';
const KEPT = 30_080;
const MASQUERADED = 30_081;
export const SERVER: LabPod = {
  name: 'server',
  node: 'node-a',
  v4: '10.244.0.11',
  v6: 'fd00:10:244::11',
  tcp: [],
  udp: [],
};
/** One pod a way into the whole agent's lab: a port that tc translated a moment ago is no other way's. */
export const CLIENTS = ['client', 'client-tc', 'client-direct'].map(
  (name, i): LabPod => ({
    name,
    node: 'node-a',
    v4: `10.244.0.${21 + i}`,
    v6: `fd00:10:244::${21 + i}`,
    tcp: [],
    udp: [],
  }),
);
export const MODES = ['short', 'open', 'udp', 'datagram'] as const;
export type Mode = (typeof MODES)[number];
export const MODE_NAMES: Readonly<Record<Mode, string>> = {
  short: 'connect + request + close',
  open: 'request on an open connection',
  udp: 'UDP request, connected socket',
  datagram: 'UDP request, unconnected socket',
};

export type LabName = 'plain' | 'conntrack' | 'socket' | 'whole';

/** One way to the server. */
export interface Way {
  readonly name: string;
  readonly lab: LabName;
  readonly from: 'client' | 'client-tc' | 'client-direct' | 'outside';
  /** In a cgroup that the socket hook does not serve. */
  readonly unserved?: boolean;
  readonly address: string;
  readonly port: number;
  /** The way without Service that it is held against. */
  readonly base: string;
  /** Highest ratio of a short connection. */
  readonly target?: number;
  /** Which hook must have served it; undefined: none. */
  readonly hook?: 'socket' | 'tc';
}

const direct = { address: SERVER.v4, port: PORT } as const;
const vip = { address: VIP, port: 80 } as const;
const node = NODES['node-a'].v4;

const POD_WAYS: readonly Way[] = [
  { name: 'direct', lab: 'plain', from: 'client', ...direct, base: 'direct' },
  { name: 'direct, conntrack active', lab: 'conntrack', from: 'client', ...direct, base: 'direct' },
  {
    name: 'socket hook',
    lab: 'socket',
    from: 'client',
    ...vip,
    base: 'direct',
    target: 1.05,
    hook: 'socket',
  },
  {
    name: 'tc, conntrack active',
    lab: 'whole',
    from: 'client-tc',
    unserved: true,
    ...vip,
    base: 'direct, conntrack active',
    target: 1.12,
    hook: 'tc',
  },
  {
    name: 'whole agent: socket hook',
    lab: 'whole',
    from: 'client',
    ...vip,
    base: 'direct, conntrack active',
    hook: 'socket',
  },
  {
    name: 'whole agent: no Service, direct',
    lab: 'whole',
    from: 'client-direct',
    ...direct,
    base: 'direct, conntrack active',
  },
];
const OUTSIDE = 'outside: direct';
const OUTSIDE_CONNTRACK = 'outside: direct, conntrack active';
const OUTSIDE_WAYS: readonly Way[] = [
  { name: OUTSIDE, lab: 'plain', from: 'outside', ...direct, base: OUTSIDE },
  { name: OUTSIDE_CONNTRACK, lab: 'conntrack', from: 'outside', ...direct, base: OUTSIDE },
  {
    name: 'outside: NodePort, client address kept',
    lab: 'whole',
    from: 'outside',
    address: node,
    port: KEPT,
    base: OUTSIDE_CONNTRACK,
    hook: 'tc',
  },
  {
    name: 'outside: NodePort, masqueraded',
    lab: 'whole',
    from: 'outside',
    address: node,
    port: MASQUERADED,
    base: OUTSIDE_CONNTRACK,
    hook: 'tc',
  },
];
export const WAYS = [...POD_WAYS, ...OUTSIDE_WAYS];

/** The folder that the agents serve. */
export function writeManifests(folder: string): void {
  const port = (number: number, nodePort?: number) =>
    ['TCP', 'UDP'].map((protocol) => ({
      name: protocol.toLowerCase(),
      protocol,
      port: number,
      targetPort: PORT,
      ...(nodePort === undefined ? {} : { nodePort }),
    }));
  const service = (name: string, spec: object) => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'bench' },
    spec: { selector: { app: 'server' }, ...spec },
  });
  const items = [
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: SERVER.name, namespace: 'bench', labels: { app: 'server' } },
      spec: { nodeName: SERVER.node, containers: [{ name: 'server', image: 'server' }] },
      status: { podIPs: [{ ip: SERVER.v4 }, { ip: SERVER.v6 }] },
    },
    {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'node-a' },
      spec: { podCIDRs: ['10.244.0.0/24'] },
      status: { addresses: [{ type: 'InternalIP', address: node }] },
    },
    service('vip', { clusterIP: VIP, ports: port(80) }),
    service('kept', { type: 'NodePort', externalTrafficPolicy: 'Local', ports: port(81, KEPT) }),
    service('masqueraded', { type: 'NodePort', ports: port(82, MASQUERADED) }),
  ];
  writeFileSync(join(folder, 'bench.json'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items }));
}
