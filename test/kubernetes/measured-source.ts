// A process with nothing but a Kubernetes source: prints how long it took to sync and what memory it holds, again after
// each line on its standard input.

import { createInterface } from 'node:readline';
import { createKubernetesSource } from '../../src/sources/kubernetes/source.js';

const services = new Map<string, unknown>();
const slices = new Map<string, unknown>();
let events = 0;
const keep = (map: Map<string, unknown>) => (key: string, value: unknown) => {
  events++;
  if (value === undefined) map.delete(key);
  else map.set(key, value);
};
const MIB = 1024 * 1024;
const cpuNow = () => {
  const { user, system } = process.cpuUsage();
  return Math.round((user + system) / 1000);
};
const cpuAtStart = cpuNow();
const report = (ms: number) => {
  globalThis.gc?.();
  const { rss, heapUsed } = process.memoryUsage();
  const endpoints = [...slices.values()].reduce<number>(
    (sum, slice) => sum + (slice as { endpoints: [] }).endpoints.length,
    0,
  );
  const counts = { services: services.size, endpoints, events };
  console.log(
    JSON.stringify({
      ms: Math.round(ms),
      cpu: cpuNow() - cpuAtStart,
      rss: Math.round(rss / MIB),
      heap: Math.round(heapUsed / MIB),
      ...counts,
    }),
  );
};

const { rss } = process.memoryUsage();
console.log(JSON.stringify({ rss: Math.round(rss / MIB) }));
const start = performance.now();
const source = createKubernetesSource({ nodeName: 'node-1', kubeconfig: process.argv[2] });
void source.run(
  {
    service: keep(services),
    slice: keep(slices),
    node: () => undefined,
    serviceRanges: () => undefined,
    synced: () => report(performance.now() - start),
    problem: ({ where, message }) => console.error(`${where}: ${message}`),
  },
  new AbortController().signal,
);
createInterface(process.stdin)
  .on('line', () => report(0))
  .on('close', () => process.exit(0));
