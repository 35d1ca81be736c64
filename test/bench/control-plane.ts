// How fast a node with 10,000 Services of 10 endpoints starts, how much memory its agent takes, and how soon a changed
// EndpointSlice is in force. The agent is `bin/portolan` as anybody would start it, in a node of the lab; the API server
// speaks the real protocol over TLS in a process of its own, on the same two or more CPUs.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Running } from '../../lab/exec.js';
import { createLab, type Lab } from '../../lab/lab.js';
import { openMaps } from '../../src/dataplane/bpf/maps.js';
import type { Native } from '../../src/native/api.js';
import { openNative } from '../../src/native/binding.js';
import { bigService, bigSlice } from '../kubernetes/big-cluster.js';
import { ClusterServer } from './cluster.js';
import { type Figure, figure, quantile, type Section } from './figures.js';

export interface ControlPlaneOptions {
  readonly services: number;
  readonly endpoints: number;
  /** Starts of each kind. */
  readonly starts: number;
  /** Slices changed one after the other. */
  readonly changes: number;
}

const SERVING_MS = 1500;
const MEMORY_MIB = 130;
const CHANGE_MS = 1;
/** After a start, until memory is read: longer than the agent's timers and V8's memory reducer need. */
const SETTLE_MS = 9000;
const CLOCK_TICKS_MS = 10;
const NODE = {
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name: 'node-a' },
  spec: { podCIDRs: ['10.244.0.0/24'] },
  status: { addresses: [{ type: 'InternalIP', address: '192.0.2.10' }] },
};

/** What one start of the agent took. */
interface Start {
  /** From before the process until its programs are attached, everything in the kernel. */
  readonly wallMs: number;
  /** CPU of all its threads until then. */
  readonly cpuMs: number;
}

type Say = (text: string) => void;

export async function measureControlPlane(options: ControlPlaneOptions, say: Say): Promise<Section> {
  const lab = await createLab();
  try {
    return await new ControlPlaneBench(lab, options, say).run();
  } finally {
    await lab.close();
  }
}

class ControlPlaneBench {
  readonly #lab: Lab;
  readonly #options: ControlPlaneOptions;
  readonly #say: Say;
  readonly #native: Native = openNative();
  readonly #kubeconfig: string;
  readonly #folder: string;
  #counts: Readonly<Record<string, number>> = {};

  constructor(lab: Lab, options: ControlPlaneOptions, say: Say) {
    this.#lab = lab;
    this.#options = options;
    this.#say = say;
    this.#kubeconfig = join(lab.folder, 'kubeconfig');
    this.#folder = join(lab.folder, 'manifests');
  }

  async run(): Promise<Section> {
    const { services, endpoints } = this.#options;
    this.#say('control plane: an API server with the objects');
    const server = await ClusterServer.start(this.#lab, services, endpoints, this.#kubeconfig);
    try {
      const kubernetes = await this.#kubernetes(server);
      server.close();
      const folder = await this.#folderMode();
      return this.#section([...kubernetes, ...folder]);
    } finally {
      server.close();
    }
  }

  #section(figures: readonly Figure[]): Section {
    const { services, endpoints } = this.#options;
    const counts = Object.entries(this.#counts).map(([map, count]) => `${map} ${count}`);
    return {
      title: `Control plane: ${services} Services with ${endpoints} endpoints each`,
      how: [
        'Process start until all entries are written and the programs attached. CPU is of all threads of the agent.',
        'A change: from before the test API server writes the slice until the last map entry of it is written.',
        `In the kernel after the start: ${counts.join(', ')}.`,
      ],
      figures,
    };
  }

  async #kubernetes(server: ClusterServer): Promise<Figure[]> {
    // The first start warms the server and the page cache up.
    const first = await this.#start('Kubernetes, warming up', ['--kubeconfig', this.#kubeconfig]);
    await this.#stop(first.agent, true);
    const starts: Start[] = [];
    const peaks: number[] = [];
    for (let i = 0; i < this.#options.starts; i++) {
      const { agent, start } = await this.#start(`Kubernetes, start ${i + 1}`, [
        '--kubeconfig',
        this.#kubeconfig,
      ]);
      starts.push(start);
      peaks.push(memoryMiB(agent.pid, 'VmHWM'));
      await this.#stop(agent, true);
    }
    const { agent, start } = await this.#start('Kubernetes, to be changed', [
      '--kubeconfig',
      this.#kubeconfig,
    ]);
    starts.push(start);
    // Its own probe of the socket hook is a frontend, too, for a moment.
    await agent.waitFor(/the socket hook is /, 30_000);
    this.#counts = await countEntries(this.#native, this.#lab.pinFolder);
    this.#checkCounts();
    this.#say('control plane: changes');
    const changes = await this.#changes(server);
    this.#say('control plane: memory settles');
    await sleep(SETTLE_MS);
    const settled = ['VmRSS', 'RssAnon'].map((field) => memoryMiB(agent.pid, field));
    peaks.push(memoryMiB(agent.pid, 'VmHWM'));
    await this.#stop(agent, false);
    const again = await this.#start('Kubernetes, over what is pinned', ['--kubeconfig', this.#kubeconfig]);
    await this.#stop(again.agent, true);
    return [
      ...startFigures('Kubernetes, first start', starts, SERVING_MS),
      ...startFigures('Kubernetes, restart over what is pinned', [again.start]),
      figure('Kubernetes, memory at its peak (RSS)', 'MiB', peaks, MEMORY_MIB),
      figure('Kubernetes, memory once settled (RSS)', 'MiB', settled.slice(0, 1), MEMORY_MIB),
      figure('  of it not shared with files (anonymous)', 'MiB', settled.slice(1)),
      figure('slice written to frontend switched, p50', 'ms', changes, CHANGE_MS),
      figure('slice written to frontend switched, p99', 'ms', [quantile(changes, 0.99)]),
    ];
  }

  async #folderMode(): Promise<Figure[]> {
    this.#writeFolder();
    const starts: Start[] = [];
    const peaks: number[] = [];
    for (let i = 0; i < Math.ceil(this.#options.starts / 2); i++) {
      const { agent, start } = await this.#start(`folder, start ${i + 1}`, ['--folder', this.#folder]);
      starts.push(start);
      peaks.push(memoryMiB(agent.pid, 'VmHWM'));
      await this.#stop(agent, true);
    }
    return [
      ...startFigures('folder, first start', starts),
      figure('folder, memory at its peak (RSS)', 'MiB', peaks),
    ];
  }

  async #start(what: string, args: readonly string[]): Promise<{ agent: Running; start: Start }> {
    this.#say(`control plane: ${what}`);
    const before = performance.now();
    const agent = await this.#lab.agent('node-a', { folder: false, args });
    await agent.waitFor(/"msg":"serving"/, 60_000);
    const wallMs = performance.now() - before;
    return { agent, start: { wallMs, cpuMs: cpuMs(agent.pid) } };
  }

  /** @param everything takes the pins away, too: the next start is a first one */
  async #stop(agent: Running, everything: boolean): Promise<void> {
    agent.kill();
    await agent.exited;
    if (everything) rmSync(this.#lab.pinFolder, { recursive: true, force: true });
  }

  #checkCounts(): void {
    const { services, endpoints } = this.#options;
    const wanted = { frontends: services, slots: services * endpoints, backends: services * endpoints };
    for (const [map, count] of Object.entries(wanted))
      if (this.#counts[map] !== count)
        throw new Error(`${map} has ${this.#counts[map]} entries, not ${count}`);
  }

  /** @returns milliseconds of each */
  async #changes(server: ClusterServer): Promise<number[]> {
    const { services, endpoints, changes } = this.#options;
    const maps = openMaps(this.#native, this.#lab.pinFolder);
    const { meta } = maps;
    const times: number[] = [];
    for (let i = 0; i < changes; i++) {
      const last = meta.get(0)!.writtenNs;
      const before = await server.change((i * 37) % services, endpoints - 1 - (i % 2));
      let written = last;
      for (const deadline = performance.now() + 5000; written === last; written = meta.get(0)!.writtenNs) {
        if (performance.now() > deadline) throw new Error('a changed slice has not been written within 5 s');
        await sleep(5);
      }
      times.push(Number(written - before) / 1e6);
    }
    maps.close();
    return times;
  }

  #writeFolder(): void {
    const { services, endpoints } = this.#options;
    mkdirSync(this.#folder, { recursive: true });
    const bare = (object: ReturnType<typeof bigService>) => {
      const { managedFields: _, ...metadata } = object.metadata;
      return { ...object, metadata };
    };
    writeFileSync(join(this.#folder, 'node.json'), JSON.stringify(NODE));
    for (let from = 0; from < services; from += 100) {
      const items = Array.from({ length: Math.min(100, services - from) }, (_, n) => from + n).flatMap(
        (i) => {
          // Endpoints written by hand: a Service with a selector would want Pods.
          const { selector: _, ...spec } = bigService(i).spec as Record<string, unknown>;
          return [bare({ ...bigService(i), spec }), bare(bigSlice(i, endpoints))];
        },
      );
      const list = { apiVersion: 'v1', kind: 'List', items };
      writeFileSync(join(this.#folder, `services-${from}.json`), JSON.stringify(list));
    }
  }
}

/** How many elements the maps have that the agent writes. */
export async function countEntries(native: Native, pinFolder: string): Promise<Record<string, number>> {
  const maps = openMaps(native, pinFolder);
  const counts: Record<string, number> = {};
  for (const name of ['frontends', 'slots', 'backends', 'addresses', 'services', 'service_stats'] as const)
    counts[name] = (await native.mapDump(maps[name].fd)).count;
  maps.close();
  return counts;
}

function startFigures(name: string, starts: readonly Start[], target?: number): Figure[] {
  return [
    figure(
      `${name}: until it serves`,
      'ms',
      starts.map(({ wallMs }) => wallMs),
      target,
    ),
    figure(
      '  CPU until then',
      'ms',
      starts.map((start) => start.cpuMs),
    ),
  ];
}

/** @param field of /proc/PID/status, in kB there */
export function memoryMiB(pid: number, field: string): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)![1]) / 1024;
}

/** User and system time of all threads so far. */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * CLOCK_TICKS_MS;
}
