// The agent's configuration: one YAML file, flags over it, defaults below it. Everything is checked at once, and every
// mistake is named with its path.

import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { parse } from 'yaml';
import { parseCidr } from '../lib/ip.js';
import { Refusal } from './refusal.js';

/** PL_SERVICE_RANGES_MAX in bpf/abi.h. */
const SERVICE_RANGES_MAX = 8;

const cidr = v.pipe(
  v.string(),
  v.check((text) => parseCidr(text) !== undefined, 'is not a CIDR, for example 10.244.0.0/16'),
);
const port = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535));
const seconds = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(7 * 86_400));
const entries = v.pipe(v.number(), v.integer(), v.minValue(16), v.maxValue(16_777_216));
const glob = v.pipe(v.string(), v.minLength(1));

const schema = v.strictObject({
  apiVersion: v.optional(v.literal('portolan.dev/v1alpha1')),
  kind: v.optional(v.literal('PortolanConfiguration')),
  /** This node's name, as spec.nodeName of its pods has it. */
  nodeName: v.optional(v.string(), ''),

  /** A folder of manifests that is the cluster. */
  folder: v.optional(v.string(), ''),
  /** Folder mode: where allocated addresses and node ports are kept. */
  stateFile: v.optional(v.string(), '/var/lib/portolan/state.json'),
  /** Folder mode: the ranges that cluster IPs are allocated from. */
  serviceCIDRs: v.optional(v.array(cidr), ['10.96.0.0/16', 'fd00:10:96::/112']),
  /** Folder mode: the range that node ports are allocated from. */
  nodePortRange: v.optional(v.strictObject({ from: port, to: port }), { from: 30_000, to: 32_767 }),

  kubeconfig: v.optional(v.string(), ''),
  context: v.optional(v.string(), ''),
  /** Addresses of the API server that work without Services, tried in turn; over the kubeconfig's. */
  apiServers: v.optional(v.array(v.string()), []),

  /** Where maps and links are pinned; its parent is a bpffs, which is mounted where it is missing. */
  pinFolder: v.optional(v.string(), '/sys/fs/bpf/portolan'),
  /** The cgroup v2 folder whose processes the socket hook serves; "" finds the root. */
  cgroup: v.optional(v.string(), ''),
  hooks: v.optional(
    v.strictObject({
      socket: v.optional(v.boolean(), true),
      tc: v.optional(v.boolean(), true),
      /** tcx, clsact, or auto: tcx where the kernel has it (6.6). */
      tcAttach: v.optional(v.picklist(['auto', 'tcx', 'clsact']), 'auto'),
      /** Translate connected UDP sockets at connect(); auto: where the kernel can destroy them. */
      udpConnect: v.optional(v.picklist(['auto', 'on', 'off']), 'auto'),
      /** Paths of network namespaces whose sockets are left alone. */
      excludeNetworkNamespaces: v.optional(v.array(v.string()), []),
    }),
    {},
  ),
  devices: v.optional(
    v.strictObject({
      /** Globs of device names to serve whatever their type. */
      include: v.optional(v.array(glob), []),
      /** Globs of device names to leave alone; over include. */
      exclude: v.optional(v.array(glob), []),
    }),
    {},
  ),

  detectLocalMode: v.optional(
    v.picklist(['ClusterCIDR', 'NodeCIDR', 'BridgeInterface', 'InterfaceNamePrefix', 'None']),
    'ClusterCIDR',
  ),
  /** Pod ranges for detectLocalMode ClusterCIDR: the first of each family counts. */
  clusterCIDRs: v.optional(v.array(cidr), []),
  bridgeInterface: v.optional(v.string(), ''),
  interfaceNamePrefix: v.optional(v.string(), ''),
  masqueradeAll: v.optional(v.boolean(), false),
  /** The firewall mark that asks netfilter to masquerade: kube-proxy's bit 14. */
  masqueradeMark: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(0x8000_0000)), 0x4000),
  /** Keep the client's address for endpoints on this node, also under policy Cluster. */
  preserveClientAddress: v.optional(v.boolean(), false),
  /** CIDRs of the addresses that serve node ports, or "primary"; empty: all. */
  nodePortAddresses: v.optional(v.array(v.string()), []),
  localhostNodePorts: v.optional(v.boolean(), true),
  /** A port of an active cluster IP that no Service has. */
  unknownPorts: v.optional(v.picklist(['reject', 'pass']), 'reject'),
  /** An address of a service range that no Service has. */
  unallocatedAddresses: v.optional(v.picklist(['drop', 'pass']), 'drop'),
  /** Another proxy's connections may be alive: pass on what we do not know. */
  takeover: v.optional(v.boolean(), false),
  /** Rejections answered per second and CPU. */
  rejectPerSecond: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(1_000_000)), 1000),
  /** Install the fixed set of netfilter rules (masquerade, FORWARD accepts). */
  netfilter: v.optional(v.boolean(), true),

  conntrack: v.optional(
    v.strictObject({
      tcpEstablishedSeconds: v.optional(seconds, 86_400),
      tcpClosingSeconds: v.optional(seconds, 30),
      tcpOpeningSeconds: v.optional(seconds, 60),
      udpSeconds: v.optional(seconds, 30),
      udpAnsweredSeconds: v.optional(seconds, 120),
    }),
    {},
  ),
  /** Sizes of the maps, in entries; they count when a map is made. */
  maps: v.optional(
    v.strictObject({
      frontends: v.optional(entries),
      slots: v.optional(entries),
      members: v.optional(entries),
      backends: v.optional(entries),
      addresses: v.optional(entries),
      services: v.optional(entries),
      service_stats: v.optional(entries),
      source_ranges: v.optional(entries),
      flows: v.optional(entries),
      opening: v.optional(entries),
      affinity: v.optional(entries),
      sockets: v.optional(entries),
      peers: v.optional(entries),
      fragments: v.optional(entries),
    }),
    {},
  ),
  log: v.optional(
    v.strictObject({
      level: v.optional(v.picklist(['trace', 'debug', 'info', 'warn', 'error', 'fatal']), 'info'),
      /** auto: readable on a terminal, JSON otherwise. */
      format: v.optional(v.picklist(['auto', 'pretty', 'json']), 'auto'),
    }),
    {},
  ),
});

/** The whole configuration, every default filled in. The comments are on the schema's fields. */
export type Configuration = v.InferOutput<typeof schema>;

/** What a configuration file or the flags may say: any part of it. */
export type ConfigurationInput = v.InferInput<typeof schema>;

/** Pure: checks `input` and fills in the defaults. @throws Refusal with all mistakes at once. */
export function configuration(input: unknown, where: string): Configuration {
  const result = v.safeParse(schema, input ?? {}, { abortEarly: false });
  if (!result.success) {
    const lines = result.issues.map((issue) => `  ${v.getDotPath(issue) ?? '(top)'}: ${issue.message}`);
    throw new Refusal(`${where} is not a valid configuration:\n${lines.join('\n')}`);
  }
  const problems = contradictions(result.output);
  if (problems.length > 0) throw new Refusal(`${where}: ${problems.join('; ')}`);
  return result.output;
}

function contradictions(c: Configuration): string[] {
  const problems: string[] = [];
  if (c.nodePortRange.from > c.nodePortRange.to) problems.push('nodePortRange: from is above to');
  if (c.detectLocalMode === 'BridgeInterface' && c.bridgeInterface === '')
    problems.push('detectLocalMode BridgeInterface needs bridgeInterface');
  if (c.detectLocalMode === 'InterfaceNamePrefix' && c.interfaceNamePrefix === '')
    problems.push('detectLocalMode InterfaceNamePrefix needs interfaceNamePrefix');
  if (!c.hooks.socket && !c.hooks.tc)
    problems.push('hooks: socket and tc are both off, nothing would be served');
  const wrong = c.nodePortAddresses.filter((a) => a !== 'primary' && parseCidr(a) === undefined);
  if (wrong.length > 0) problems.push(`nodePortAddresses: ${wrong.join(', ')}: neither a CIDR nor "primary"`);
  if (c.nodePortAddresses.includes('primary') && c.nodePortAddresses.length > 1)
    problems.push('nodePortAddresses: "primary" stands alone');
  if (c.serviceCIDRs.length > SERVICE_RANGES_MAX)
    problems.push(`serviceCIDRs: at most ${SERVICE_RANGES_MAX} (PL_SERVICE_RANGES_MAX)`);
  return problems;
}

/**
 * Reads a configuration file and puts the flags over it.
 * @param path "" for none
 * @param flags what the command line says; undefined members do not count
 * @throws Refusal when the file cannot be read or is wrong
 */
export function loadConfiguration(path: string, flags: ConfigurationInput): Configuration {
  let fromFile: unknown = {};
  if (path !== '') {
    try {
      fromFile = parse(readFileSync(path, 'utf8')) ?? {};
    } catch (error) {
      throw new Refusal(`configuration ${path}: ${(error as Error).message}`);
    }
    if (typeof fromFile !== 'object' || Array.isArray(fromFile))
      throw new Refusal(`configuration ${path}: expected a mapping at the top`);
  }
  const given = Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined));
  return configuration({ ...(fromFile as object), ...given }, path === '' ? 'the command line' : path);
}
