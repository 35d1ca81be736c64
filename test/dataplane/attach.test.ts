import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cgroup2Root } from '../../lab/registry.js';
import { Hooks } from '../../src/dataplane/bpf/attach.js';
import { cleanup } from '../../src/dataplane/bpf/cleanup.js';
import { loadPrograms } from '../../src/dataplane/bpf/load.js';
import { KernelMaps, SETTINGS } from './kernel-maps.js';

const CGROUP = `${cgroup2Root()}/plt-engine-${process.pid}`;
// Linux takes at most 15 characters, and a dot as VLAN devices have it.
const A = `plte${process.pid % 10_000}.1`;
const B = `plte${process.pid % 10_000}b`;

describe('hooks', () => {
  let kernel: KernelMaps;
  beforeEach(async () => {
    kernel = await new KernelMaps('attach').open();
    ip('link', 'add', A, 'type', 'veth', 'peer', 'name', B);
  });
  afterEach(() => {
    if (existsSync(`/sys/class/net/${A}`)) ip('link', 'del', A);
    kernel.close();
    if (existsSync(CGROUP)) rmdirSync(CGROUP);
  });

  const links = (): string[] => readdirSync(`${kernel.pinFolder}/v1/links`).sort();
  const linksOn = (name: string): unknown[] =>
    hooks()
      .list()
      .filter((link) => link.ifindex === ifindex(name));
  const device = (name: string) => ({ name, ifindex: ifindex(name), ethernet: true });
  const hooks = (tcAttach: 'auto' | 'clsact' = 'auto') =>
    new Hooks({ native: kernel.native, pinFolder: kernel.pinFolder, tcAttach });

  it('replace their programs in place, follow a renamed device and one that was made anew', async () => {
    const attached = hooks().attachDevice(device(A), kernel.programs.tc);
    expect(attached.how).toBe(kernel.native.features().tcx ? 'tcx' : 'clsact');
    if (attached.how === 'clsact') return;
    const pin = A.replace('.', '%2E');
    expect(links()).toEqual([`${pin}-egress`, `${pin}-ingress`]);
    const before = hooks().list();
    const again = await loadPrograms(kernel.native, { pinFolder: kernel.pinFolder, settings: SETTINGS });
    hooks().attachDevice(device(A), again.tc);
    const after = hooks().list();
    expect(after.map((l) => l.ifindex)).toEqual(before.map((l) => l.ifindex));
    expect(after.map((l) => l.programId)).not.toEqual(before.map((l) => l.programId));
    expect(linksOn(A)).toHaveLength(2);
    ip('link', 'set', A, 'name', `${B}2`);
    hooks().attachDevice(device(`${B}2`), again.tc);
    expect(linksOn(`${B}2`)).toHaveLength(2);
    ip('link', 'set', `${B}2`, 'name', A);
    ip('link', 'del', A);
    ip('link', 'add', A, 'type', 'veth', 'peer', 'name', B);
    expect(hooks().attachedDevices()).toContainEqual({ name: `${B}2`, ifindex: 0 });
    hooks().detachDevice({ name: `${B}2`, ifindex: 0x7fffff });
    hooks().attachDevice(device(A), again.tc);
    expect(linksOn(A)).toHaveLength(2);
    hooks().detachDevice(device(A));
    expect(linksOn(A)).toEqual([]);
    expect(links()).toEqual([]);
  });

  it('work by clsact, too, and change over without leaving both', () => {
    expect(hooks('clsact').attachDevice(device(A), kernel.programs.tc).how).toBe('clsact');
    expect(filtersOn(A)).toBe(2);
    expect(links()).toEqual([]);
    if (!kernel.native.features().tcx) return;
    hooks().attachDevice(device(A), kernel.programs.tc);
    expect(filtersOn(A)).toBe(0);
    expect(links()).toHaveLength(2);
    hooks('clsact').attachDevice(device(A), kernel.programs.tc);
    expect(filtersOn(A)).toBe(2);
    expect(links()).toEqual([]);
  });

  it('sit at a cgroup with nine programs, and move to another', () => {
    mkdirSync(CGROUP);
    hooks().attachCgroup(CGROUP, kernel.programs.sock);
    expect(links()).toHaveLength(9);
    expect(atCgroup(CGROUP)).toBe(9);
    const before = hooks().list();
    hooks().attachCgroup(CGROUP, kernel.programs.sock);
    expect(hooks().list()).toEqual(before);
    mkdirSync(`${CGROUP}/other`);
    hooks().attachCgroup(`${CGROUP}/other`, kernel.programs.sock);
    expect([atCgroup(CGROUP), atCgroup(`${CGROUP}/other`)]).toEqual([0, 9]);
    hooks().detachCgroup();
    expect(atCgroup(`${CGROUP}/other`)).toBe(0);
    expect(links()).toEqual([]);
    rmdirSync(`${CGROUP}/other`);
  });

  it('leave no pin after cleanup', () => {
    mkdirSync(CGROUP);
    hooks().attachCgroup(CGROUP, kernel.programs.sock);
    const result = cleanup(kernel.native, kernel.pinFolder);
    expect(result).toMatchObject({ links: 9 });
    expect(result.pins).toBeGreaterThan(15);
    expect(existsSync(kernel.pinFolder)).toBe(false);
    expect(atCgroup(CGROUP)).toBe(0);
    expect(cleanup(kernel.native, kernel.pinFolder)).toEqual({ links: 0, pins: 0 });
  });
});

function ip(...args: readonly string[]): void {
  execFileSync('ip', args);
}

function ifindex(name: string): number {
  const [link] = JSON.parse(execFileSync('ip', ['-j', 'link', 'show', name]).toString()) as {
    ifindex: number;
  }[];
  return link!.ifindex;
}

function filtersOn(name: string): number {
  return ['ingress', 'egress'].reduce((sum, side) => {
    const text = execFileSync('tc', ['filter', 'show', 'dev', name, side]).toString();
    return sum + (text.match(/handle 0x504c/g)?.length ?? 0);
  }, 0);
}

function atCgroup(path: string): number {
  const text = execFileSync('bpftool', ['-j', 'cgroup', 'show', path]).toString().trim();
  return text === '' ? 0 : (JSON.parse(text) as unknown[]).length;
}
