// The compile context: what the Node object, its interfaces and the configuration come to.

import type { InterfaceAddress, Node } from '../model/node.js';
import type { Family } from '../model/service.js';
import { FAMILIES, familyOfAddress, parseRange, unicastAddress } from './addresses.js';
import type { CompileContext } from './context.js';
import { resolveNodePortAddresses } from './node-ports.js';

/** What compile takes from the configuration; the agent's own fits. */
export interface ContextConfig {
  readonly nodeName: string;
  readonly detectLocalMode: 'ClusterCIDR' | 'NodeCIDR' | 'BridgeInterface' | 'InterfaceNamePrefix' | 'None';
  readonly clusterCIDRs: readonly string[];
  readonly masqueradeAll: boolean;
  readonly nodePortAddresses: readonly string[];
  readonly localhostNodePorts: boolean;
}

export interface ContextSources {
  readonly node: Node | undefined;
  /** undefined: unknown (another node's plan is asked for); the Node object's addresses stand in. */
  readonly interfaces: readonly InterfaceAddress[] | undefined;
  readonly config: ContextConfig;
}

export function compileContext({ node, interfaces, config }: ContextSources): CompileContext {
  const ips = nodeIPs(node);
  const interfaceAddresses = canonical(interfaces ?? standIn(node));
  const podRanges = localPodRanges({ node, config });
  const byInterface =
    config.detectLocalMode === 'BridgeInterface' || config.detectLocalMode === 'InterfaceNamePrefix';
  const detector = (family: Family) => byInterface || podRanges[family] !== '';
  return {
    nodeName: config.nodeName,
    zone: node?.zone ?? '',
    nodePortAddresses: resolveNodePortAddresses(config.nodePortAddresses, ips, interfaceAddresses),
    localhostNodePorts: config.localhostNodePorts,
    nodeIPs: ips,
    interfaceAddresses,
    localDetector: { IPv4: detector('IPv4'), IPv6: detector('IPv6') },
    masqueradeAll: config.masqueradeAll,
  };
}

/**
 * The range that tells this node's pods by their address, per family: the first of the cluster's or of the node's own.
 * @returns canonical CIDRs; "" where there is none, also when pods are told by their interface
 */
export function localPodRanges({ node, config }: Omit<ContextSources, 'interfaces'>): Record<Family, string> {
  const ranges: Record<Family, string> = { IPv4: '', IPv6: '' };
  const { detectLocalMode: mode, clusterCIDRs } = config;
  const texts = mode === 'ClusterCIDR' ? clusterCIDRs : mode === 'NodeCIDR' ? (node?.podCIDRs ?? []) : [];
  for (const text of texts) {
    const range = parseRange(text);
    if (range !== undefined) ranges[range.family] ||= range.text;
  }
  return ranges;
}

/** Do two contexts compile every Service to the same plan? */
export function sameContext(a: CompileContext, b: CompileContext): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Its first internal address, else its first external one, and the first of the other family, in the same order. */
function nodeIPs(node: Node | undefined): readonly string[] {
  const all = ['InternalIP', 'ExternalIP'].flatMap((type) =>
    (node?.addresses ?? []).filter((a) => a.type === type).map((a) => unicastAddress(a.address)),
  );
  const first = (family: Family) => all.find((ip) => ip !== undefined && familyOfAddress(ip) === family);
  const primary = all.find((ip) => ip !== undefined);
  if (primary === undefined) return [];
  const other = FAMILIES.find((family) => family !== familyOfAddress(primary))!;
  return [primary, first(other)].filter((ip) => ip !== undefined);
}

function standIn(node: Node | undefined): readonly InterfaceAddress[] {
  return (node?.addresses ?? [])
    .filter(({ type }) => type === 'InternalIP' || type === 'ExternalIP')
    .map(({ address }) => ({ interface: 'node', address }));
}

/** Canonical, sorted; loopback and link-local ones are nobody's VIP and are left out. */
function canonical(addresses: readonly InterfaceAddress[]): readonly InterfaceAddress[] {
  return addresses
    .map((entry) => ({ interface: entry.interface, address: unicastAddress(entry.address) ?? '' }))
    .filter(({ address }) => address !== '')
    .sort((a, b) => compare(a.address, b.address) || compare(a.interface, b.interface));
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
