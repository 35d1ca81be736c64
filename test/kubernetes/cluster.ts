// A test API server with a few objects, and sources that run against it, for each test.

import { afterAll, afterEach, beforeEach, expect } from 'vitest';
import { createCertificates } from '../helpers/apiserver/certificates.js';
import { KINDS } from '../helpers/apiserver/kinds.js';
import { startTestApiServer, type TestApiServer } from '../helpers/apiserver/server.js';
import {
  expectedNames,
  type Running,
  type RunOptions,
  runSource,
  temporaryFolder,
  until,
} from './collector.js';
import { node, service, serviceCIDR, slice } from './objects.js';

export const SERVICES = KINDS.find((kind) => kind.plural === 'services')!;
export const certificates = createCertificates();

export let server: TestApiServer;
export let folder: ReturnType<typeof temporaryFolder>;
let running: Running[];

/** A server with a few objects before each test, and nothing left of it after. */
export function useCluster(): void {
  afterAll(() => certificates.remove());

  beforeEach(async () => {
    server = await startTestApiServer({ certificates, bookmarkMs: 30 });
    folder = temporaryFolder();
    running = [];
    for (let i = 0; i < 5; i++) {
      server.put(service(`s${i}`, `10.96.0.${i}`));
      server.put(slice(`s${i}-1`, [`10.1.0.${i}`], `s${i}`));
    }
    server.put(node('node-1'));
    server.put(serviceCIDR('kubernetes', '10.96.0.0/16'));
  });

  afterEach(async () => {
    await Promise.all(running.map((one) => one.stop()));
    await server.close();
    folder.remove();
  });
}

export function run(options: RunOptions = {}): Running {
  const kubeconfig = options.kubeconfig ?? folder.write('kubeconfig', server.kubeconfig());
  const one = runSource({ ...options, kubeconfig });
  running.push(one);
  return one;
}

export async function synced(options: RunOptions = {}): Promise<Running> {
  const one = run(options);
  await until('synced', () => one.sink.syncs === 1);
  return one;
}

/** Changes something at the server and waits until the sink agrees with it, by names. */
export async function agree(one: Running): Promise<void> {
  const name = `probe-${server.storage.version}`;
  server.put(service(name, '10.96.9.9'));
  server.put(slice(`${name}-1`, ['10.1.9.9'], name));
  await until('the same Services and slices', () => {
    const told = (map: ReadonlyMap<string, unknown>) => [...map.keys()].sort().join();
    return (
      told(one.sink.services) === expectedNames(server, 'services').join() &&
      told(one.sink.slices) === expectedNames(server, 'endpointslices').join()
    );
  });
  expect(one.sink.syncs).toBe(1);
}

export function counters(one: Running, resource: string) {
  return one.source.status().resources.find((status) => status.resource === resource)!.counters;
}

/** Calls that take something away or tell an object again, since `from`. */
export function needless(one: Running, from: number): string[] {
  return one.sink.calls.slice(from).filter((call) => !call.includes('probe-'));
}
