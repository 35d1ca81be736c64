// Services with a selector × Pods → EndpointSlices: the work of the EndpointSlice controller (pkg/controller/
// endpointslice and staging/src/k8s.io/endpointslice). Pure.

import type { Endpoint, EndpointPort, EndpointSlice } from '../../model/endpoint.js';
import type { Family } from '../../model/service.js';
import type { PodObject, ServiceObject } from './objects.js';
import { familyOfText } from './read-endpoints.js';

/** A node, as far as endpoints on it are concerned. */
export interface NodeFacts {
  /** "" where it has none. */
  readonly zone: string;
  /** InternalIPs, as written: those of Pods in its network. */
  readonly addresses: readonly string[];
}

/** The Pods of one namespace, ready to be selected from. */
export interface PodIndex {
  /** @returns the Pods that have all these labels; none for an empty selector. In order of name. */
  readonly select: (selector: readonly (readonly [string, string])[]) => readonly PodObject[];
}

/** @returns an index over the Pods of one namespace. */
export function indexPods(pods: readonly PodObject[]): PodIndex {
  const byLabel = new Map<string, PodObject[]>();
  for (const pod of [...pods].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    for (const [key, value] of Object.entries(pod.labels)) {
      const label = `${key}=${value}`;
      const list = byLabel.get(label);
      if (list) list.push(pod);
      else byLabel.set(label, [pod]);
    }
  }
  const having = (key: string, value: string) => byLabel.get(`${key}=${value}`) ?? [];
  return {
    select(selector) {
      const [first, ...others] = selector;
      if (!first) return [];
      const rarest = others.reduce(
        (best, [key, value]) => {
          const list = having(key, value);
          return list.length < best.length ? list : best;
        },
        having(...first),
      );
      return rarest.filter((pod) => selector.every(([key, value]) => pod.labels[key] === value));
    },
  };
}

export interface DerivedSlices {
  readonly slices: readonly EndpointSlice[];
  /** Pods that have no port of the name that the Service asks for. */
  readonly problems: readonly string[];
}

/**
 * @param families those that the Service has; endpoints of others are not made.
 * @param pods the Pods that its selector matches.
 * @returns a slice for each family and each set of port numbers that occurs (named ports may differ from Pod to Pod).
 */
export function deriveSlices(
  service: ServiceObject,
  families: readonly Family[],
  pods: readonly PodObject[],
  nodes: ReadonlyMap<string, NodeFacts>,
): DerivedSlices {
  const problems: string[] = [];
  const groups = new Map<string, { family: Family; ports: readonly EndpointPort[]; endpoints: Endpoint[] }>();
  for (const pod of pods) {
    if (pod.finished) continue;
    const ports = resolvePorts(service, pod, problems);
    if (ports.length === 0) continue;
    const signature = ports.map(({ name, protocol, port }) => `${name}/${protocol}/${port}`).join(',');
    for (const family of families) {
      const address = addressOf(pod, family, nodes);
      if (address === undefined) continue;
      const key = `${family} ${signature}`;
      const group = groups.get(key) ?? { family, ports, endpoints: [] };
      groups.set(key, group);
      group.endpoints.push(endpointOf(service, pod, address, nodes));
    }
  }
  return { slices: toSlices(service, groups), problems };
}

function toSlices(
  { namespace, name }: ServiceObject,
  groups: ReadonlyMap<string, Pick<EndpointSlice, 'family' | 'ports' | 'endpoints'>>,
): readonly EndpointSlice[] {
  const counts = { IPv4: 0, IPv6: 0 };
  const sorted = [...groups].sort(([a], [b]) => (a < b ? -1 : 1));
  return sorted.map(([, { family, ports, endpoints }]) => ({
    namespace,
    // Colons cannot occur in a real object's name, so this never meets a slice of the folder.
    name: `${name}:pods:${counts[family]++}:${family}`,
    service: `${namespace}/${name}`,
    family,
    ports,
    endpoints,
  }));
}

function resolvePorts(service: ServiceObject, pod: PodObject, problems: string[]): readonly EndpointPort[] {
  const ports: EndpointPort[] = [];
  service.service.ports.forEach(({ name, protocol }, i) => {
    const target = service.targetPorts[i]!;
    const named = pod.ports.find((port) => port.name === target && port.protocol === protocol);
    const port = typeof target === 'number' ? target : named?.port;
    if (port !== undefined) ports.push({ name, protocol, port });
    else problems.push(`Pod ${pod.name} has no ${protocol} port named "${target}" and is left out of it`);
  });
  return ports;
}

/** The first address of the family; one in its node's network may have those of its node. */
function addressOf(
  pod: PodObject,
  family: Family,
  nodes: ReadonlyMap<string, NodeFacts>,
): string | undefined {
  const own =
    pod.addresses.length === 0 && pod.hostNetwork ? nodes.get(pod.nodeName)?.addresses : pod.addresses;
  return own?.find((address) => familyOfText(address) === family);
}

function endpointOf(
  service: ServiceObject,
  pod: PodObject,
  address: string,
  nodes: ReadonlyMap<string, NodeFacts>,
): Endpoint {
  const ready = service.publishNotReady || (pod.ready && !pod.terminating);
  const zone = nodes.get(pod.nodeName)?.zone ?? '';
  const hinted = ready && service.distribution !== '';
  return {
    address,
    ready,
    serving: pod.ready,
    terminating: pod.terminating,
    nodeName: pod.nodeName,
    pod: pod.name,
    zoneHints: hinted && zone !== '' ? [zone] : [],
    nodeHints:
      hinted && service.distribution === 'PreferSameNode' && pod.nodeName !== '' ? [pod.nodeName] : [],
  };
}
