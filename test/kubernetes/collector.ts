// A sink that remembers, and a source that runs against a test API server until the test ends.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EndpointSlice } from '../../src/model/endpoint.js';
import type { Node } from '../../src/model/node.js';
import type { Service } from '../../src/model/service.js';
import {
  createKubernetesSource,
  type KubernetesSource,
  type KubernetesSourceOptions,
} from '../../src/sources/kubernetes/source.js';
import type { SourceSink } from '../../src/sources/source.js';
import { KINDS } from '../helpers/apiserver/kinds.js';
import type { TestApiServer } from '../helpers/apiserver/server.js';

export class Collector implements SourceSink {
  readonly services = new Map<string, Service>();
  readonly slices = new Map<string, EndpointSlice>();
  /** undefined: never told. */
  nodes: (Node | undefined)[] = [];
  ranges: readonly string[] | undefined;
  syncs = 0;
  readonly problems: string[] = [];
  /** Each call as a word: `service+ shop/web`, `slice- shop/web-1`, `synced`. */
  readonly calls: string[] = [];

  service(name: string, service: Service | undefined): void {
    this.calls.push(`service${service ? '+' : '-'} ${name}`);
    if (service) this.services.set(name, service);
    else this.services.delete(name);
  }

  slice(id: string, slice: EndpointSlice | undefined): void {
    this.calls.push(`slice${slice ? '+' : '-'} ${id}`);
    if (slice) this.slices.set(id, slice);
    else this.slices.delete(id);
  }

  node(node: Node | undefined): void {
    this.calls.push(`node${node ? '+' : '-'}`);
    this.nodes.push(node);
  }

  serviceRanges(cidrs: readonly string[]): void {
    this.calls.push(`ranges ${cidrs.join()}`);
    this.ranges = cidrs;
  }

  synced(): void {
    this.calls.push('synced');
    this.syncs++;
  }

  problem(problem: { readonly where: string; readonly message: string }): void {
    this.problems.push(`${problem.where}: ${problem.message}`);
  }
}

/** Everything quick, so that no test sleeps. */
export const QUICK = {
  backoff: { minMs: 4, maxMs: 40 },
  healthyMs: 60_000,
  shortWatchMs: 0,
  initialEventsMs: 2_000,
  absentMs: 50,
  watchSeconds: 300,
  connectMs: 2_000,
  answerMs: 2_000,
  idleMs: 5_000,
  refreshMs: 60_000,
  probeMs: 500,
  rangesMs: 300,
};

export interface Running {
  readonly source: KubernetesSource;
  readonly sink: Collector;
  /** Rejects as `run` does. */
  readonly done: Promise<void>;
  stop(): Promise<void>;
}

export type RunOptions = Partial<KubernetesSourceOptions> & { readonly sink?: Collector };

/** Runs a source until stop(). */
export function runSource(options: RunOptions & { readonly nodeName?: string }): Running {
  const sink = options.sink ?? new Collector();
  const abort = new AbortController();
  const source = createKubernetesSource({
    nodeName: 'node-1',
    ...options,
    timing: { ...QUICK, ...options.timing },
  });
  const done = source.run(sink, abort.signal);
  done.catch(() => undefined);
  return {
    source,
    sink,
    done,
    async stop() {
      abort.abort();
      await done.catch(() => undefined);
    },
  };
}

/** A folder that goes away with the test. */
export function temporaryFolder(): {
  readonly path: string;
  write(name: string, text: string): string;
  remove(): void;
} {
  const path = mkdtempSync(join(tmpdir(), 'portolan-kubernetes-'));
  return {
    path,
    write(name, text) {
      const file = join(path, name);
      writeFileSync(file, text, { mode: 0o700 });
      return file;
    },
    remove: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Waits until `check` holds. @throws Error with `what` after `ms`. */
export async function until(what: string, check: () => boolean, ms = 5_000): Promise<void> {
  const end = Date.now() + ms;
  while (!check()) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** What a watch of everything shows of a server's own state, for comparison with the sink's. */
export function expectedNames(server: TestApiServer, path: 'services' | 'endpointslices'): string[] {
  const kind = path === 'services' ? SERVICE_KIND : SLICE_KIND;
  return server.storage
    .snapshot(kind)
    .objects.map((object) => `${object.metadata.namespace}/${object.metadata.name}`);
}

const SERVICE_KIND = KINDS.find((kind) => kind.plural === 'services')!;
const SLICE_KIND = KINDS.find((kind) => kind.plural === 'endpointslices')!;
