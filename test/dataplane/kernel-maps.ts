// Real maps in a bpffs of this test's own.

import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import type { Settings } from '../../src/abi/layout.gen.js';
import { BpfEngine, type BpfEngineOptions } from '../../src/dataplane/bpf/driver.js';
import { closePrograms, type LoadedPrograms, loadPrograms } from '../../src/dataplane/bpf/load.js';
import { type BpfMaps, openMaps } from '../../src/dataplane/bpf/maps.js';
import type { Native } from '../../src/native/api.js';
import { openNative } from '../../src/native/binding.js';

export const SETTINGS: Settings = {
  hostNetns: 0n,
  flags: 0,
  masqueradeMark: 0x4000,
  rejectPerSecond: 1000,
  serviceRangeCount: 0,
  podRangeCount: 0,
  serviceRanges: [],
  podRanges: [],
};

export class KernelMaps {
  readonly native: Native = openNative();
  readonly mount: string;
  readonly pinFolder: string;
  readonly notes: string[] = [];
  programs!: LoadedPrograms;
  maps!: BpfMaps;

  constructor(name: string) {
    this.mount = `/run/plt-engine-${name}-${process.pid}`;
    this.pinFolder = `${this.mount}/bpf/portolan`;
  }

  async open(mapSizes: Readonly<Record<string, number>> = {}): Promise<this> {
    mkdirSync(`${this.mount}/bpf`, { recursive: true });
    this.native.mountBpffs(`${this.mount}/bpf`);
    await this.load(mapSizes);
    return this;
  }

  async load(mapSizes: Readonly<Record<string, number>> = {}): Promise<void> {
    const note = (message: string): void => void this.notes.push(message);
    this.programs = await loadPrograms(this.native, {
      pinFolder: this.pinFolder,
      settings: SETTINGS,
      mapSizes,
      note,
    });
    this.maps = openMaps(this.native, this.pinFolder);
  }

  engine(options: Partial<BpfEngineOptions> = {}): BpfEngine {
    const { native, maps } = this;
    return new BpfEngine({
      native,
      maps,
      now: () => performance.now(),
      monotonicNs: () => process.hrtime.bigint(),
      ...options,
    });
  }

  /** bpftool's view of a map, with field names from BTF. */
  bpftool(map: string): { readonly key: unknown; readonly value: unknown }[] {
    const path = `${this.pinFolder}/v1/maps/${map}`;
    const text = execFileSync('bpftool', ['-j', 'map', 'dump', 'pinned', path], {
      maxBuffer: 1 << 28,
    }).toString();
    return (JSON.parse(text) as { formatted: { key: unknown; value: unknown } }[]).map((e) => e.formatted);
  }

  close(): void {
    closePrograms(this.native, this.programs.tc);
    closePrograms(this.native, this.programs.sock);
    this.maps.close();
    this.unmount();
  }

  unmount(): void {
    execFileSync('umount', [`${this.mount}/bpf`]);
    rmSync(this.mount, { recursive: true });
  }
}
