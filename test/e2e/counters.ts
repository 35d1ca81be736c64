// What the kernel counts, read as `portolan services` reads it, but without starting a process for every look.

import { REASON_NAMES } from '../../src/abi/layout.gen.js';
import { openMaps } from '../../src/dataplane/bpf/maps.js';
import { kernelServices } from '../../src/dataplane/bpf/read.js';
import { openNative } from '../../src/native/binding.js';

/** What a Service has come to: all its ports, protocols and families together. */
export interface ServiceCounts {
  readonly socket: number;
  readonly tc: number;
  readonly rejected: number;
  readonly dropped: number;
}

export interface Counts {
  /** By name, without the namespace. */
  readonly services: Readonly<Record<string, ServiceCounts>>;
  /** Packets and calls by reason, since the maps were made. */
  readonly reasons: Readonly<Record<string, number>>;
}

const NOTHING: ServiceCounts = { socket: 0, tc: 0, rejected: 0, dropped: 0 };

/** Opens the pinned maps once. @returns looks at the counters whenever it is called */
export function openCounters(pinFolder: string): () => Promise<Counts> {
  const native = openNative();
  const maps = openMaps(native, pinFolder);
  return async () => {
    const all = await kernelServices(maps, { native, nowNs: Number(process.hrtime.bigint()) });
    const reasons = [...REASON_NAMES].map(([reason, name]): [string, number] => {
      const sum = (maps.reasons.get(reason) ?? []).reduce((total, count) => total + count, 0n);
      return [name, Number(sum)];
    });
    return {
      services: sumByService(
        all.map(({ port, served, rejected, dropped }) => ({ port, served, rejected, dropped })),
      ),
      reasons: Object.fromEntries(reasons),
    };
  };
}

/** A row of `portolan services -o json`, as far as it counts. */
export interface CountedPort {
  readonly port: { readonly service: string };
  readonly served: { readonly socket: number; readonly tc: number };
  readonly rejected: number;
  readonly dropped: number;
}

export function sumByService(ports: readonly CountedPort[]): Record<string, ServiceCounts> {
  const sums: Record<string, ServiceCounts> = {};
  for (const { port, served, rejected, dropped } of ports) {
    const sum = sums[port.service] ?? NOTHING;
    sums[port.service] = {
      socket: sum.socket + served.socket,
      tc: sum.tc + served.tc,
      rejected: sum.rejected + rejected,
      dropped: sum.dropped + dropped,
    };
  }
  return sums;
}

/** What happened between two looks, to one Service. */
export function serviceChange(before: Counts, after: Counts, service: string): ServiceCounts {
  const from = before.services[service] ?? NOTHING;
  const to = after.services[service] ?? NOTHING;
  return {
    socket: to.socket - from.socket,
    tc: to.tc - from.tc,
    rejected: to.rejected - from.rejected,
    dropped: to.dropped - from.dropped,
  };
}

/** Which reasons were counted between two looks, and how often. */
export function reasonChange(before: Counts, after: Counts): Record<string, number> {
  const changed = Object.entries(after.reasons).map(([name, count]): [string, number] => [
    name,
    count - (before.reasons[name] ?? 0),
  ]);
  return Object.fromEntries(changed.filter(([, count]) => count !== 0));
}
