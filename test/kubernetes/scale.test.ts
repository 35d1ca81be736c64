// 10,000 Services with 10 endpoints each: how long, and how much memory. Limits are generous: machines differ.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { convertEndpointSlice, convertService } from '../../src/sources/convert.js';
import { createInterner } from '../../src/sources/intern.js';
import { startTestApiServer, type TestApiServer } from '../helpers/apiserver/server.js';
import { bigService, bigSlice } from './big-cluster.js';
import { temporaryFolder, until } from './collector.js';
import { node } from './objects.js';

const SERVICES = 10_000;
const ENDPOINTS = 10;

describe('a big cluster', () => {
  it('is converted in a moment', () => {
    const services = Array.from({ length: SERVICES }, (_, i) => JSON.parse(JSON.stringify(bigService(i))));
    const slices = Array.from({ length: SERVICES }, (_, i) =>
      JSON.parse(JSON.stringify(bigSlice(i, ENDPOINTS))),
    );
    const times: number[] = [];
    let endpoints = 0;
    for (let round = 0; round < 3; round++) {
      const interner = createInterner();
      const start = process.cpuUsage();
      for (const service of services)
        if (!('service' in convertService(service, ''))) throw new Error('no service');
      for (const slice of slices) {
        const result = convertEndpointSlice(slice, '', interner);
        endpoints += 'slice' in result ? result.slice.endpoints.length : 0;
      }
      const { user, system } = process.cpuUsage(start);
      times.push((user + system) / 1000);
    }
    // CPU time: other test files run beside this one.
    console.log(`converted in ${times.map((time) => time.toFixed(0)).join(', ')} ms of CPU`);
    expect(endpoints).toBe(3 * SERVICES * ENDPOINTS);
    expect(Math.min(...times)).toBeLessThan(300);
  });

  describe('in a process of its own', () => {
    let server: TestApiServer;
    let folder: ReturnType<typeof temporaryFolder>;

    beforeAll(async () => {
      server = await startTestApiServer();
      folder = temporaryFolder();
      for (let i = 0; i < SERVICES; i++) {
        server.put(bigService(i));
        server.put(bigSlice(i, ENDPOINTS));
      }
      server.put(node('node-1'));
    }, 60_000);

    afterAll(async () => {
      await server.close();
      folder.remove();
    });

    it.each(['on', 'invalid'] as const)(
      'is followed within its memory, WatchList %s',
      async (watchList) => {
        server.faults.watchList = watchList;
        const child = startMeasured(folder.write('kubeconfig', server.kubeconfig()));
        try {
          await until('synced', () => child.reports.length === 2, 30_000);
          const [bare, synced] = child.reports as [Report, Report];
          expect(synced).toMatchObject({ services: SERVICES, endpoints: SERVICES * ENDPOINTS });
          for (let i = 0; i < 2_000; i++) server.put(bigSlice(i, ENDPOINTS - 1));
          server.faults.breakWatches('expired');
          await child.ask((report) => report.endpoints === SERVICES * ENDPOINTS - 2_000);
          const last = child.reports.at(-1)!;
          console.log(
            `WatchList ${watchList}: bare ${bare.rss} MiB; synced in ${synced.ms} ms (CPU ${synced.cpu} ms), ${synced.rss} MiB; after a relist ${last.rss} MiB, heap ${last.heap} MiB`,
          );
          // Nothing but the 2,000 differences was told.
          expect(last.events).toBe(synced.events! + 2_000);
          expect(last.rss - bare.rss).toBeLessThan(90);
          expect(synced.ms!).toBeLessThan(10_000);
        } finally {
          child.process.kill();
          for (let i = 0; i < 2_000; i++) server.put(bigSlice(i, ENDPOINTS));
        }
      },
      60_000,
    );
  });
});

interface Report {
  readonly rss: number;
  readonly heap?: number;
  readonly ms?: number;
  /** CPU time since the start, in milliseconds. */
  readonly cpu?: number;
  readonly services?: number;
  readonly endpoints?: number;
  readonly events?: number;
}

interface Measured {
  readonly process: ChildProcess;
  readonly reports: readonly Report[];
  /** Asks for reports until one satisfies. */
  ask(satisfies: (report: Report) => boolean): Promise<void>;
}

function startMeasured(kubeconfig: string): Measured {
  const program = new URL('./measured-source.ts', import.meta.url).pathname;
  // The flags with which the agent itself is started.
  const flags = ['--max-semi-space-size=1', '--expose-gc', '--import', 'tsx'];
  const child = spawn(process.execPath, [...flags, program, kubeconfig], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const reports: Report[] = [];
  createInterface(child.stdout).on('line', (line) => reports.push(JSON.parse(line) as Report));
  return {
    process: child,
    reports,
    async ask(satisfies) {
      for (let tries = 0; tries < 100 && !satisfies(reports.at(-1)!); tries++) {
        const before = reports.length;
        child.stdin.write('\n');
        await until('a report', () => reports.length > before, 10_000);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      expect(satisfies(reports.at(-1)!)).toBe(true);
    },
  };
}
