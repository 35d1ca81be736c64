// Which pods a folder of manifests speaks of, so that the lab always has what the example names.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { NODES, type NodeName } from './addresses.js';
import type { LabPod } from './topology.js';

interface Manifest {
  readonly kind?: string;
  readonly items?: readonly Manifest[];
  readonly metadata?: { readonly name?: string };
  readonly ports?: readonly { readonly port: number; readonly protocol?: string }[];
  readonly endpoints?: readonly { readonly addresses: readonly string[]; readonly nodeName?: string }[];
  readonly spec?: {
    readonly nodeName?: string;
    readonly hostNetwork?: boolean;
    readonly containers?: readonly {
      readonly ports?: readonly { readonly containerPort: number; readonly protocol?: string }[];
    }[];
  };
  readonly status?: { readonly podIP?: string; readonly podIPs?: readonly { readonly ip: string }[] };
}

/**
 * What the manifests in `folder` name on the lab's nodes: pods with an address of each family, and endpoints written by
 * hand that are no pod's (named by their EndpointSlice).
 * @throws Error for a pod that the lab cannot stand up, named with what it lacks
 */
export function podsOfFolder(folder: string): LabPod[] {
  const pods = new Map<string, LabPod>();
  const slices: Manifest[] = [];
  for (const file of readdirSync(folder).sort()) {
    if (!/\.(ya?ml|json)$/.test(file)) continue;
    for (const document of parseAllDocuments(readFileSync(join(folder, file), 'utf8'))) {
      for (const object of flatten(document.toJS() as Manifest | null)) {
        if (object.kind === 'EndpointSlice') slices.push(object);
        const pod = toPod(object, file);
        if (pod === undefined) continue;
        if (pods.has(pod.name)) throw new Error(`${file}: the lab needs pod names to differ: ${pod.name}`);
        pods.set(pod.name, pod);
      }
    }
  }
  const known = new Set([...pods.values()].flatMap((pod) => [pod.v4, pod.v6]));
  return [...pods.values(), ...slices.flatMap(toEndpoints).filter((pod) => !known.has(pod.v4))];
}

/** The IPv4 endpoints of a slice that lie in a node's pod range; their IPv6 address is made up. */
function toEndpoints(slice: Manifest): LabPod[] {
  const endpoints = slice.endpoints ?? [];
  return endpoints.flatMap((endpoint, i) => {
    const v4 = endpoint.addresses[0] ?? '';
    const [, third, last] = /^10\.244\.([01])\.(\d+)$/.exec(v4) ?? [];
    if (third === undefined) return [];
    return {
      name: endpoints.length === 1 ? slice.metadata!.name! : `${slice.metadata!.name!}-${i + 1}`,
      node: third === '0' ? 'node-a' : 'node-b',
      v4,
      v6: `fd00:10:244:${third}::${last}`,
      tcp: portsOf(slice.ports ?? [], 'TCP'),
      udp: portsOf(slice.ports ?? [], 'UDP'),
    } satisfies LabPod;
  });
}

function flatten(object: Manifest | null): Manifest[] {
  if (object === null || typeof object !== 'object') return [];
  return object.kind?.endsWith('List') ? (object.items ?? []).flatMap(flatten) : [object];
}

function toPod(object: Manifest, file: string): LabPod | undefined {
  const name = object.metadata?.name;
  if (object.kind !== 'Pod' || name === undefined || object.spec?.hostNetwork === true) return undefined;
  const node = object.spec?.nodeName;
  if (node === undefined || !(node in NODES))
    throw new Error(`${file}: pod ${name}: the lab has nodes node-a and node-b, not ${node}`);
  const ips = object.status?.podIPs?.map((entry) => entry.ip) ?? [];
  const v4 = ips.find((ip) => ip.includes('.'));
  const v6 = ips.find((ip) => ip.includes(':'));
  if (v4 === undefined || v6 === undefined)
    throw new Error(`${file}: pod ${name}: the lab needs an IPv4 and an IPv6 address in status.podIPs`);
  return { name, node: node as NodeName, v4, v6, tcp: ports(object, 'TCP'), udp: ports(object, 'UDP') };
}

function ports(object: Manifest, protocol: string): number[] {
  const all = (object.spec?.containers ?? []).flatMap((container) => container.ports ?? []);
  return portsOf(
    all.map((port) => ({ ...port, port: port.containerPort })),
    protocol,
  );
}

function portsOf(
  ports: readonly { readonly port: number; readonly protocol?: string }[],
  protocol: string,
): number[] {
  return [...new Set(ports.filter((port) => (port.protocol ?? 'TCP') === protocol).map((port) => port.port))];
}
