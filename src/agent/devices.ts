// Which devices face clients (design: the host ends of pods' veths, also as bridge ports; physical uplinks; bonds, not
// their slaves; VLANs; devices without an Ethernet header), and which of them are a pod's. Pure.

import type { Link } from './rtnetlink.js';

const ARPHRD_ETHER = 1;
const ARPHRD_LOOPBACK = 772;

/** Kinds that carry no client traffic of their own, and why. */
const NOT_CLIENT_FACING: Readonly<Record<string, string>> = {
  bridge: 'a bridge: its ports are served',
  vxlan: 'an overlay device: what it carries has been translated before',
  geneve: 'an overlay device: what it carries has been translated before',
  dummy: 'a dummy device has no clients',
  ifb: 'an ifb repeats packets of other devices',
  macvlan: 'macvlan: pods behind it are served by the socket hook',
  macvtap: 'macvtap: guests behind it are not reached by tc',
  ipvlan: 'ipvlan: pods behind it are served by the socket hook',
  vrf: 'a vrf: its members are served',
  nlmon: 'a netlink monitor has no clients',
};

export interface DevicePatterns {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** What is to be done with a device. */
export type DeviceVerdict =
  | { readonly serve: true; readonly ethernet: boolean; readonly reason: string }
  | { readonly serve: false; readonly reason: string };

/** Decides whether the tc hooks belong on this device, with the reason in words. */
export function classifyDevice(link: Link, patterns: DevicePatterns): DeviceVerdict {
  const ethernet = link.hardware === ARPHRD_ETHER;
  if (link.hardware === ARPHRD_LOOPBACK) return { serve: false, reason: 'loopback' };
  const excluded = patterns.exclude.find((glob) => globMatches(glob, link.name));
  if (excluded !== undefined) return { serve: false, reason: `devices.exclude has ${excluded}` };
  const included = patterns.include.find((glob) => globMatches(glob, link.name));
  if (included !== undefined) return { serve: true, ethernet, reason: `devices.include has ${included}` };
  if (link.slaveKind === 'bond' || link.slaveKind === 'team')
    return { serve: false, reason: `a slave of a ${link.slaveKind}, which is served` };
  const reason = NOT_CLIENT_FACING[link.kind];
  if (reason !== undefined) return { serve: false, reason };
  return { serve: true, ethernet, reason: describe(link, ethernet) };
}

function describe(link: Link, ethernet: boolean): string {
  if (link.kind === 'veth') return link.slaveKind === 'bridge' ? 'veth, a bridge port' : 'veth';
  if (link.kind !== '') return ethernet ? link.kind : `${link.kind}, no Ethernet header`;
  return ethernet ? 'an uplink' : 'no Ethernet header';
}

/** How pods of this node are told by their device (kube-proxy's detectLocalMode). */
export interface DeviceDetector {
  readonly mode: 'bridge' | 'prefix' | 'none';
  /** The bridge's name, or the prefix. */
  readonly value: string;
}

/** Is the far end of this device a pod of this node? `masterName` is the name of the bridge that it is a port of. */
export function isLocalPodDevice(link: Link, masterName: string, detector: DeviceDetector): boolean {
  switch (detector.mode) {
    case 'bridge':
      return link.name === detector.value || masterName === detector.value;
    case 'prefix':
      return link.name.startsWith(detector.value);
    case 'none':
      return false;
  }
}

/** `*` any run of characters, `?` one; everything else is itself. */
export function globMatches(glob: string, name: string): boolean {
  const pattern = glob
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${pattern}$`).test(name);
}
