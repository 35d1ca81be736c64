// The settings that programs are loaded with, from the configuration and what is known of the node. Pure.

import { type Range, SERVICE_RANGES_MAX, SettingFlags, type Settings } from '../abi/layout.gen.js';
import { localPodRanges } from '../compile/context-from.js';
import { maskOf, parseCidr } from '../lib/ip.js';
import type { Node } from '../model/node.js';
import type { Configuration } from './config.js';

export interface SettingFacts {
  readonly config: Configuration;
  readonly node: Node | undefined;
  /** CIDRs from which cluster IPs are taken. */
  readonly serviceRanges: readonly string[];
  /** Cookie of the host's network namespace. */
  readonly hostNetns: bigint;
  /** The kernel can destroy sockets (CONFIG_INET_DIAG_DESTROY). */
  readonly sockDestroy: boolean;
}

/** struct pl_settings. Ranges beyond PL_SERVICE_RANGES_MAX are left out: `tooManyRanges` tells. */
export function programSettings({
  config,
  node,
  serviceRanges,
  hostNetns,
  sockDestroy,
}: SettingFacts): Settings {
  const services = ranges(serviceRanges).slice(0, SERVICE_RANGES_MAX);
  const pods = ranges(Object.values(localPodRanges({ node, config })).filter((text) => text !== ''));
  const byDevice =
    config.detectLocalMode === 'BridgeInterface' || config.detectLocalMode === 'InterfaceNamePrefix';
  const udpConnect = config.hooks.udpConnect === 'on' || (config.hooks.udpConnect === 'auto' && sockDestroy);
  const flags =
    (config.takeover ? SettingFlags.TAKEOVER : 0) |
    (config.unknownPorts === 'reject' ? SettingFlags.REJECT_UNKNOWN_PORTS : 0) |
    (config.unallocatedAddresses === 'drop' ? SettingFlags.DROP_UNALLOCATED : 0) |
    (udpConnect ? SettingFlags.UDP_CONNECT : 0) |
    (byDevice ? SettingFlags.POD_BY_DEVICE : 0);
  return {
    hostNetns,
    flags,
    masqueradeMark: config.masqueradeMark,
    rejectPerSecond: config.rejectPerSecond,
    serviceRangeCount: services.length,
    podRangeCount: pods.length,
    serviceRanges: services,
    podRanges: pods,
  };
}

/** Ranges that do not fit into the settings: their unallocated addresses are not dropped. */
export function tooManyRanges(serviceRanges: readonly string[]): readonly string[] {
  return serviceRanges.slice(SERVICE_RANGES_MAX);
}

/** Are these the same settings, so that loaded programs can stay? */
export function sameSettings(a: Settings, b: Settings): boolean {
  return JSON.stringify(a, plain) === JSON.stringify(b, plain);
}

const plain = (_: string, value: unknown): unknown =>
  typeof value === 'bigint' ? value.toString() : value instanceof Uint8Array ? [...value] : value;

function ranges(cidrs: readonly string[]): Range[] {
  return cidrs.flatMap((text) => {
    const cidr = parseCidr(text);
    return cidr === undefined ? [] : [{ addr: cidr.address, mask: maskOf(cidr) }];
  });
}
