// Where things are pinned, and what may be in a name there.

import { mkdirSync } from 'node:fs';

export type Direction = 'ingress' | 'egress';

/** Folder of everything with this layout: `<pinFolder>/v1`. */
export function versionFolder(pinFolder: string, layoutVersion: number): string {
  return `${pinFolder}/v${layoutVersion}`;
}

export function mapFolder(pinFolder: string, layoutVersion: number): string {
  return `${versionFolder(pinFolder, layoutVersion)}/maps`;
}

export function linkFolder(pinFolder: string, layoutVersion: number): string {
  return `${versionFolder(pinFolder, layoutVersion)}/links`;
}

/** bpffs takes no dots in names (bpf_lookup in kernel/bpf/inode.c), VLAN devices have them: eth0.100 is eth0%2E100. */
export function deviceLinkName(device: string, direction: Direction): string {
  return `${device.replace(/[%.]/g, (c) => (c === '.' ? '%2E' : '%25'))}-${direction}`;
}

/** The device and direction of a link's name; undefined for another link. */
export function parseDeviceLinkName(name: string): { device: string; direction: Direction } | undefined {
  const match = /^(.+)-(ingress|egress)$/.exec(name);
  if (!match) return undefined;
  const device = match[1]!.replace(/%2E|%25/g, (c) => (c === '%2E' ? '.' : '%'));
  return { device, direction: match[2] as Direction };
}

export function cgroupLinkName(program: string): string {
  return `cgroup-${program}`;
}

/** Folders that only root can look into: who can open a pinned map can rewrite it. */
export function makePinFolder(path: string): void {
  mkdirSync(path, { recursive: true, mode: 0o700 });
}
