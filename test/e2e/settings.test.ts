// Settings of the configuration file that change what becomes of packets, each in an agent that takes over from the one
// before: what is different, and what stays.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Running } from '../../lab/exec.js';
import { checkRow, rowTitle } from './check-row.js';
import { type Counts, openCounters, reasonChange, serviceChange } from './counters.js';
import { LEAK, type Row, served, unserved } from './table.js';
import {
  createTown,
  FAMILIES,
  startAgent,
  stopAgent,
  type Town,
  WEB,
  WEB_ON_NODE_A,
  withAgent,
} from './town.js';
import { ask, errors } from './traffic.js';

let town: Town;
beforeAll(async () => {
  town = await createTown('bridged');
});
afterAll(() => town?.lab.close());

interface Setting {
  readonly title: string;
  readonly config: Readonly<Record<string, unknown>> | (() => Readonly<Record<string, unknown>>);
  /** Is the socket hook on? */
  readonly socketHook: boolean;
  readonly rows: readonly Row[];
}

const SOCKET_OFF = { hooks: { socket: false } };

/** Pods are told from others by their device; the masquerade rule for cluster IPs depends on it. */
const LOCAL_PODS_TOLD: readonly Row[] = [
  { from: 'client', to: ['web', 'cluster-ip'], tc: served(WEB, 'itself') },
  { from: 'client', to: ['web-local', 'load-balancer'], tc: served(WEB, 'itself') },
  { from: 'outside', to: ['web', 'cluster-ip'], tc: served(WEB, 'node-a') },
  { from: 'outside', to: ['web-internal', 'cluster-ip'], tc: served(WEB_ON_NODE_A, 'node-a') },
  { from: 'outside', to: ['web-local', 'load-balancer'], tc: served(WEB_ON_NODE_A, 'itself') },
];

const SETTINGS: readonly Setting[] = [
  {
    title: 'detectLocalMode InterfaceNamePrefix',
    config: { ...SOCKET_OFF, detectLocalMode: 'InterfaceNamePrefix', interfaceNamePrefix: 'veth-' },
    socketHook: false,
    rows: LOCAL_PODS_TOLD,
  },
  {
    title: 'detectLocalMode BridgeInterface',
    config: { ...SOCKET_OFF, detectLocalMode: 'BridgeInterface', bridgeInterface: 'cni0' },
    socketHook: false,
    rows: LOCAL_PODS_TOLD,
  },
  {
    title: 'detectLocalMode NodeCIDR',
    config: { ...SOCKET_OFF, detectLocalMode: 'NodeCIDR' },
    socketHook: false,
    rows: LOCAL_PODS_TOLD,
  },
  {
    title:
      'detectLocalMode None: no pods are known, so cluster IPs masquerade nobody and policies hold for all',
    config: { ...SOCKET_OFF, detectLocalMode: 'None' },
    socketHook: false,
    rows: [
      { from: 'client', to: ['web', 'cluster-ip'], tc: served(WEB, 'itself') },
      { from: 'client', to: ['web-local', 'load-balancer'], tc: served(WEB_ON_NODE_A, 'itself') },
      // Not to pods of node-b: they would answer by their own way, past node-a.
      { from: 'outside', to: ['web-internal', 'cluster-ip'], tc: served(WEB_ON_NODE_A, 'itself') },
      { from: 'outside', to: ['web', 'node-port'], tc: served(WEB, 'node-a') },
    ],
  },
  {
    title: 'masqueradeAll: cluster IPs masquerade everybody, and the socket hook leaves them to packets',
    config: { masqueradeAll: true },
    socketHook: true,
    rows: [
      { from: 'client', to: ['web', 'cluster-ip'], tc: served(WEB, 'node-a') },
      { from: 'node-a', to: ['web', 'cluster-ip'], tc: LEAK },
      { from: 'outside', to: ['web', 'cluster-ip'], tc: served(WEB, 'node-a') },
    ],
  },
  {
    title: 'preserveClientAddress: endpoints of this node see who asks',
    config: { ...SOCKET_OFF, preserveClientAddress: true },
    socketHook: false,
    rows: [
      { from: 'outside', to: ['web', 'node-port'], tc: served(WEB, 'itself-on-node-a') },
      { from: 'outside', to: ['web', 'load-balancer'], tc: served(WEB, 'itself-on-node-a') },
      // A pod that is its own endpoint would still not take answers from itself.
      { from: 'own', to: ['own', 'node-port'], tc: served(['own'], 'node-a') },
    ],
  },
  {
    title: 'excludeNetworkNamespaces: sockets of that pod are left alone, packets are served',
    config: () => ({ hooks: { excludeNetworkNamespaces: [town.lab.netns('client')] } }),
    socketHook: true,
    rows: [
      { from: 'client', to: ['web', 'cluster-ip'], tc: served(WEB, 'itself') },
      { from: 'client', to: ['web', 'node-port'], tc: served(WEB, 'node-a') },
      {
        from: 'own',
        to: ['own', 'cluster-ip'],
        tc: served(['own'], 'node-a'),
        socket: served(['own'], 'itself'),
      },
    ],
  },
  {
    title: 'hooks.tc off: only sockets are served',
    config: { hooks: { tc: false } },
    socketHook: true,
    rows: [
      {
        from: 'client',
        to: ['web', 'node-port'],
        tc: unserved('refused'),
        socket: served(WEB, 'itself'),
      },
      { from: 'outside', to: ['web', 'node-port'], tc: unserved('refused') },
    ],
  },
];

describe.each(SETTINGS)('$title', ({ config, socketHook, rows }) => {
  let agent: Running;
  let counters: () => Promise<Counts>;
  beforeAll(async () => {
    agent = await startAgent(town, { config: typeof config === 'function' ? config() : config });
    counters = openCounters(town.lab.pinFolder);
  });
  afterAll(() => stopAgent(agent));

  test.each(rows.map((row) => [rowTitle(row), row] as const))('%s', async (_title, row) => {
    await checkRow({ town, counters, socketHook }, row);
  });
});

describe('nodePortAddresses', () => {
  /** An address of node-a on the nodes' network, and one that is not. */
  const ADDRESSES = {
    node: { v4: '192.0.2.10', v6: '2001:db8:1::10' },
    bridge: { v4: '10.244.0.1', v6: 'fd00:10:244::1' },
  } as const;

  test.each([
    ['empty: at every address of the node', [], 'served'],
    ['CIDRs: only within them', ['192.0.2.0/24', '2001:db8:1::/64'], 'ECONNREFUSED'],
  ])('%s', async (_title, nodePortAddresses, atBridge) => {
    await withAgent(town, { config: { ...SOCKET_OFF, nodePortAddresses } }, async () => {
      for (const family of FAMILIES)
        for (const where of ['node', 'bridge'] as const) {
          const [answer] = await town.lab.ask('client', 'tcp', ADDRESSES[where][family], 30_010, {
            timeout: 500,
          });
          expect(answer!.error ?? 'served', `${where} IP${family}`).toBe(
            where === 'node' ? 'served' : atBridge,
          );
        }
    });
  });
});

test('hooks.udpConnect off: connected UDP sockets are served by packets, all others at the socket', async () => {
  await withAgent(town, { config: { hooks: { udpConnect: 'off' } } }, async () => {
    const counters = openCounters(town.lab.pinFolder);
    const before = await counters();
    const asked = await ask(town, { from: 'client', service: 'web', way: 'cluster-ip', count: 4 });
    expect(errors(asked)).toEqual([]);
    expect(serviceChange(before, await counters(), 'web')).toMatchObject({ socket: 16, tc: 8 });
  });
});

test('unknownPorts and unallocatedAddresses pass: such packets go their way, uncounted', async () => {
  const config = { ...SOCKET_OFF, unknownPorts: 'pass', unallocatedAddresses: 'pass' };
  await withAgent(town, { config }, async () => {
    const counters = openCounters(town.lab.pinFolder);
    const before = await counters();
    for (const [address, port] of [
      ['10.96.0.10', 81],
      ['fd00:10:96::10', 81],
      ['10.96.0.200', 80],
    ] as const) {
      const [answer] = await town.lab.ask('client', 'tcp', address, port, { timeout: 150 });
      expect(answer!.error).toMatch(/ETIMEDOUT|ENETUNREACH/);
    }
    expect(reasonChange(before, await counters())).toEqual({});
  });
});
