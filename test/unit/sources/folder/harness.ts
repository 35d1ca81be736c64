// A folder of manifests in a temporary directory, and a sink that remembers what it was told.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach } from 'vitest';
import type { EndpointSlice } from '../../../../src/model/endpoint.js';
import type { Node } from '../../../../src/model/node.js';
import type { Service } from '../../../../src/model/service.js';
import { createFolderSource, type FolderSourceOptions } from '../../../../src/sources/folder/folder.js';
import type { SourceProblem, SourceSink } from '../../../../src/sources/source.js';

const cleanups: (() => void | Promise<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

export interface Folder {
  readonly path: string;
  /** Outside the folder. */
  readonly stateFile: string;
  write(name: string, text: string): void;
}

export function createFolder(files: Readonly<Record<string, string>> = {}): Folder {
  const base = mkdtempSync(join(tmpdir(), 'plt-folder-'));
  cleanups.push(() => rmSync(base, { recursive: true, force: true }));
  const path = join(base, 'shop');
  mkdirSync(path);
  const write = (name: string, text: string) => {
    mkdirSync(dirname(join(path, name)), { recursive: true });
    writeFileSync(join(path, name), text);
  };
  for (const [name, text] of Object.entries(files)) write(name, text);
  return { path, stateFile: join(base, 'state.json'), write };
}

export class RecordingSink implements SourceSink {
  readonly services = new Map<string, Service>();
  readonly slices = new Map<string, EndpointSlice>();
  readonly problems: SourceProblem[] = [];
  /** One word for each call but problems, in order. */
  readonly calls: string[] = [];
  node_: Node | undefined;
  ranges: readonly string[] = [];
  isSynced = false;
  /** Called after each call. */
  onCall: () => void = () => undefined;

  service(name: string, service: Service | undefined): void {
    if (service) this.services.set(name, service);
    else this.services.delete(name);
    this.#note(`${service ? '' : '-'}service ${name}`);
  }
  slice(id: string, slice: EndpointSlice | undefined): void {
    if (slice) this.slices.set(id, slice);
    else this.slices.delete(id);
    this.#note(`${slice ? '' : '-'}slice ${id}`);
  }
  node(node: Node | undefined): void {
    this.node_ = node;
    this.#note('node');
  }
  serviceRanges(cidrs: readonly string[]): void {
    this.ranges = cidrs;
    this.#note('ranges');
  }
  synced(): void {
    this.isSynced = true;
    this.#note('synced');
  }
  problem(problem: SourceProblem): void {
    this.problems.push(problem);
    this.onCall();
  }
  #note(call: string): void {
    this.calls.push(call);
    this.onCall();
  }

  /** `where: message` of each problem, oldest first. */
  get complaints(): readonly string[] {
    return this.problems.map(({ where, message }) => `${where}: ${message}`);
  }
  /** Everything that endpoints of a Service say: `address:port` with a mark for those that are not simply ready. */
  endpoints(service: string): readonly string[] {
    const lines: string[] = [];
    for (const slice of this.slices.values()) {
      if (slice.service !== service) continue;
      for (const { address, ready, serving, terminating } of slice.endpoints) {
        const mark = `${ready ? '' : ' unready'}${serving ? '' : ' unserving'}${terminating ? ' terminating' : ''}`;
        for (const { port } of slice.ports) lines.push(`${address} ${port}${mark}`);
      }
    }
    return lines.sort();
  }
}

type Options = Partial<FolderSourceOptions>;

/** One start: until everything has been told. */
export async function load(folder: Folder, options: Options = {}): Promise<RecordingSink> {
  const sink = new RecordingSink();
  const stop = new AbortController();
  sink.onCall = () => sink.isSynced && stop.abort();
  await source(folder, options).run(sink, stop.signal);
  return sink;
}

function source(folder: Folder, options: Options) {
  const { path: directory, stateFile } = folder;
  return createFolderSource({ directory, nodeName: 'node-a', stateFile, ...options });
}

export interface Running {
  readonly sink: RecordingSink;
  stop(): Promise<void>;
  /** Resolves as soon as the condition holds, with the milliseconds since the call. @throws after `limitMs`. */
  until(condition: () => boolean, limitMs?: number): Promise<number>;
}

/** Starts a source that goes on until stop() or the end of the test. */
export function start(folder: Folder, options: Options = {}): Running {
  const sink = new RecordingSink();
  const abort = new AbortController();
  const done = source(folder, options).run(sink, abort.signal);
  const stop = async () => {
    abort.abort();
    await done;
  };
  cleanups.push(stop);
  const until = (condition: () => boolean, limitMs = 5_000) =>
    new Promise<number>((resolve, reject) => {
      const began = performance.now();
      const late = () =>
        reject(new Error(`not within ${limitMs} ms: ${condition}\n${sink.complaints.join('\n')}`));
      const timer = setTimeout(late, limitMs);
      sink.onCall = () => {
        if (!condition()) return;
        clearTimeout(timer);
        sink.onCall = () => undefined;
        resolve(performance.now() - began);
      };
      sink.onCall();
    });
  return { sink, stop, until };
}

export function sleep(ms: number): Promise<void> {
  return new Promise((done) => setTimeout(done, ms));
}

/** A Service manifest; `spec` is flow YAML without the braces. */
export function service(name: string, spec = '', metadata = ''): string {
  return `apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop${metadata && `, ${metadata}`} }
spec: { selector: { app: ${name} }, ports: [{ port: 80, targetPort: 8080 }]${spec && `, ${spec}`} }
`;
}

/** A Pod manifest with label app. */
export function pod(name: string, app: string, ips: string, more = ''): string {
  const list = ips.split(' ').map((ip) => `{ ip: '${ip}' }`);
  return `apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: shop, labels: { app: ${app} } }
spec: { nodeName: node-a }
status: { podIPs: [${list.join(', ')}]${more && `, ${more}`} }
`;
}

export function documents(...texts: readonly string[]): string {
  return texts.join('---\n');
}
