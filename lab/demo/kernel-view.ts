// What the kernel says about its own work, through the CLI and bpftool.

import type { Lab } from '../lab.js';

/** Connections and UDP flows that each hook has decided for one Service. */
export type Served = Readonly<Record<string, number>>;

/** One element per Service port. */
interface ServicesJson {
  readonly services: readonly {
    readonly port: { readonly namespace: string; readonly service: string };
    readonly served: Served;
  }[];
}

/** `portolan services -o json`: what each Service of namespace shop has served, by hook. @throws Error when it fails */
export async function servedByHook(lab: Lab): Promise<Map<string, Served>> {
  const outcome = await lab.portolan(['services', '-o', 'json']);
  if (outcome.code !== 0) throw new Error(`portolan services: ${outcome.stderr || outcome.stdout}`);
  const { services } = JSON.parse(outcome.stdout) as ServicesJson;
  const merged = new Map<string, Served>();
  for (const { port, served } of services) {
    const sum: Record<string, number> = { ...merged.get(port.service) };
    for (const [hook, count] of Object.entries(served)) sum[hook] = (sum[hook] ?? 0) + count;
    merged.set(port.service, sum);
  }
  return merged;
}

/** What was added between the two, without the hooks that did nothing. */
export function difference(before: Served, after: Served): Map<string, number> {
  const added = Object.entries(after).map(([hook, count]) => [hook, count - (before[hook] ?? 0)] as const);
  return new Map(added.filter(([, count]) => count > 0));
}

/** One entry of a pinned map, as bpftool prints it by field name. */
export async function oneEntry(lab: Lab, map: string): Promise<string> {
  const outcome = await lab.run('node-a', [
    'bpftool',
    '-p',
    'map',
    'dump',
    'pinned',
    `${lab.pinFolder}/v1/maps/${map}`,
  ]);
  if (outcome.code !== 0) throw new Error(`bpftool map dump: ${outcome.stderr || outcome.stdout}`);
  const entries = JSON.parse(outcome.stdout) as { formatted?: unknown; key: unknown; value: unknown }[];
  const first = entries[0];
  if (first === undefined) throw new Error(`map ${map} is empty`);
  const text = JSON.stringify(first.formatted ?? first, undefined, 2);
  // Arrays of bytes in one line each.
  return text.replace(/\[[\d,\s]*\]/g, (array) => array.replace(/\s+/g, ' '));
}
