// Which addresses serve node ports, and what the compile context is made of.

import { describe, expect, test } from 'vitest';
import {
  type ContextConfig,
  compileContext,
  localPodRanges,
  sameContext,
} from '../../../src/compile/context-from.js';
import { resolveNodePortAddresses } from '../../../src/compile/node-ports.js';
import type { InterfaceAddress, Node } from '../../../src/model/node.js';

const on = (name: string, ...addresses: readonly string[]): InterfaceAddress[] =>
  addresses.map((address) => ({ interface: name, address }));

const interfaces = [
  ...on('lo', '127.0.0.1', '::1'),
  ...on('eth0', '192.0.2.1', 'fe80::1', '2001:db8::1'),
  ...on('eth1', '10.1.0.5', '2001:DB8:0:1::5'),
  ...on('kube-ipvs0', '10.96.0.10'),
];
const nodeIPs = ['192.0.2.1', '2001:db8::1'];
const all4 = ['10.1.0.5', '192.0.2.1'];
const all6 = ['2001:db8:0:1::5', '2001:db8::1'];

describe('resolveNodePortAddresses()', () => {
  test.each<[string, readonly string[], readonly string[], readonly string[]]>([
    ['empty: all, but no loopback, link-local or ipvs ones', [], all4, all6],
    ['a CIDR of one family leaves the other open', ['192.0.2.0/24'], ['192.0.2.1'], all6],
    ['a CIDR of each', ['10.0.0.0/8', '2001:db8::/64'], ['10.1.0.5'], ['2001:db8::1']],
    ['several', ['10.0.0.0/8', '192.0.2.1/32', '2001:db8::1/128'], all4, ['2001:db8::1']],
    ['everything', ['0.0.0.0/0', '::/0'], all4, all6],
    ['nothing within', ['203.0.113.0/24', '2001:db8:f::/48'], [], []],
    ['loopback does not count', ['127.0.0.0/8', '::1/128'], [], []],
    ['primary', ['primary'], ['192.0.2.1'], ['2001:db8::1']],
    ['invalid ones are skipped', ['nonsense', '10.0.0.0/8'], ['10.1.0.5'], all6],
  ])('%s', (_, config, v4, v6) => {
    expect(resolveNodePortAddresses(config, nodeIPs, interfaces)).toEqual({ IPv4: v4, IPv6: v6 });
  });

  test('primary without a node IP of a family: all of that family', () => {
    expect(resolveNodePortAddresses(['primary'], ['192.0.2.1'], interfaces)).toEqual({
      IPv4: ['192.0.2.1'],
      IPv6: all6,
    });
  });
});

const config: ContextConfig = {
  nodeName: 'node-1',
  detectLocalMode: 'ClusterCIDR',
  clusterCIDRs: [],
  masqueradeAll: false,
  nodePortAddresses: [],
  localhostNodePorts: true,
};
const node: Node = {
  name: 'node-1',
  zone: 'a',
  addresses: [
    { type: 'Hostname', address: 'node-1' },
    { type: 'ExternalIP', address: '198.51.100.1' },
    { type: 'InternalIP', address: '192.0.2.1' },
    { type: 'InternalIP', address: '192.0.2.77' },
    { type: 'ExternalIP', address: '2001:DB8::1' },
  ],
  podCIDRs: ['10.244.1.0/24', 'fd00:244:1::/64'],
};

describe('compileContext()', () => {
  const contextOf = (changes: Partial<ContextConfig> = {}, n: Node | undefined = node) =>
    compileContext({ node: n, interfaces, config: { ...config, ...changes } });

  test('node IPs: the first internal one and the first of the other family', () => {
    expect(contextOf().nodeIPs).toEqual(['192.0.2.1', '2001:db8::1']);
    expect(contextOf({}, { ...node, addresses: [] }).nodeIPs).toEqual([]);
    const external = node.addresses.filter(({ type }) => type !== 'InternalIP');
    expect(contextOf({}, { ...node, addresses: external }).nodeIPs).toEqual(['198.51.100.1', '2001:db8::1']);
  });

  test('works without a Node object', () => {
    expect(compileContext({ node: undefined, interfaces, config })).toMatchObject({
      nodeName: 'node-1',
      zone: '',
      nodeIPs: [],
      nodePortAddresses: { IPv4: all4 },
    });
  });

  test("without interfaces the Node object's addresses stand in", () => {
    expect(compileContext({ node, interfaces: undefined, config }).nodePortAddresses).toEqual({
      IPv4: ['192.0.2.1', '192.0.2.77', '198.51.100.1'],
      IPv6: ['2001:db8::1'],
    });
  });

  test.each<[string, Partial<ContextConfig>, boolean, boolean]>([
    ['cluster CIDR of one family', { clusterCIDRs: ['10.244.0.0/16'] }, true, false],
    ['no cluster CIDR', {}, false, false],
    ["the node's CIDRs", { detectLocalMode: 'NodeCIDR' }, true, true],
    ['a bridge', { detectLocalMode: 'BridgeInterface' }, true, true],
    ['a prefix', { detectLocalMode: 'InterfaceNamePrefix' }, true, true],
    ['none', { detectLocalMode: 'None', clusterCIDRs: ['10.244.0.0/16'] }, false, false],
  ])('local pods are told by %s', (_, changes, v4, v6) => {
    expect(contextOf(changes).localDetector).toEqual({ IPv4: v4, IPv6: v6 });
  });

  test('the first range of a family counts', () => {
    const clusterCIDRs = ['10.244.3.0/16', 'x', '10.245.0.0/16', 'fd00::/48'];
    expect(localPodRanges({ node, config: { ...config, clusterCIDRs } })).toEqual({
      IPv4: '10.244.0.0/16',
      IPv6: 'fd00::/48',
    });
  });

  test('does not depend on the order of interfaces', () => {
    const reversed = compileContext({ node, interfaces: interfaces.toReversed(), config });
    expect(sameContext(reversed, contextOf())).toBe(true);
    expect(sameContext(contextOf(), contextOf({}, { ...node, zone: 'b' }))).toBe(false);
  });
});
