// What a whole cluster would make of the manifests: allocated Services, endpoints of their Pods. Pure; time is given.

import { canonicalAddress } from '../../lib/ip.js';
import type { EndpointSlice } from '../../model/endpoint.js';
import type { Node } from '../../model/node.js';
import { type Service, type ServiceName, serviceName } from '../../model/service.js';
import type { SourceProblem } from '../source.js';
import { allocate } from './allocate.js';
import { type DerivedSlices, deriveSlices, indexPods, type NodeFacts, type PodIndex } from './endpoints.js';
import type { AllocationProblem, Grant, Pools, Request } from './ledger.js';
import { type MergedObjects, type Placed, placeOf } from './merge.js';
import type { PodObject, ServiceObject } from './objects.js';
import { isHeadless, requestedIPs } from './read-service.js';
import type { SavedService } from './state-file.js';

/** What is in force: what a sink is to know. */
export interface ClusterView {
  readonly services: ReadonlyMap<ServiceName, Service>;
  /** By `namespace/name`. */
  readonly slices: ReadonlyMap<string, EndpointSlice>;
  readonly node: Node | undefined;
  readonly problems: readonly SourceProblem[];
  /** To be remembered before anybody hears of the rest. */
  readonly saved: ReadonlyMap<ServiceName, SavedService>;
}

export interface ClusterInput {
  readonly objects: MergedObjects;
  /** What Services have from before. */
  readonly saved: ReadonlyMap<ServiceName, SavedService>;
  /** Files that cannot be read wholly: Services that came from them keep what they have. */
  readonly brokenFiles: ReadonlySet<string>;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

export interface ClusterOptions {
  readonly pools: Pools;
  readonly nodeName: string;
}

/** Results of the last round, used again where nothing they depend on has changed. */
export interface ClusterMemo {
  readonly nodes: ReadonlyMap<string, NodeFacts>;
  readonly pods: ReadonlyMap<string, { readonly pods: readonly PodObject[]; readonly index: PodIndex }>;
  readonly derived: ReadonlyMap<ServiceName, Derived>;
  readonly grants: Grants | undefined;
  readonly granted: ReadonlyMap<ServiceName, Granted>;
}

/** What the allocators gave, and from what they were asked. */
interface Grants {
  readonly from: readonly unknown[];
  readonly grants: ReadonlyMap<ServiceName, Grant>;
  readonly saved: ReadonlyMap<ServiceName, SavedService>;
  readonly problems: readonly AllocationProblem[];
}

interface Granted {
  readonly from: readonly unknown[];
  readonly service: Service;
}

interface Derived extends DerivedSlices {
  readonly from: readonly unknown[];
  /** Its selector matches a Pod of the folder. */
  readonly matched: boolean;
}

export const EMPTY_MEMO: ClusterMemo = {
  nodes: new Map(),
  pods: new Map(),
  derived: new Map(),
  grants: undefined,
  granted: new Map(),
};

/** @returns what is in force now, and what makes the next round cheaper. */
export function viewCluster(
  input: ClusterInput,
  options: ClusterOptions,
  before: ClusterMemo,
): { readonly view: ClusterView; readonly memo: ClusterMemo } {
  const { objects } = input;
  const allocation = grantAll(input, options.pools, before.grants);
  const { grants, saved } = allocation;
  const nodes = nodeFacts(objects, before.nodes);
  const pods = podIndexes(objects.pods, before.pods);
  const derived = new Map<ServiceName, Derived>();
  const granted = new Map<ServiceName, Granted>();
  const refusals = new Map<ServiceName, AllocationProblem[]>();
  for (const problem of allocation.problems) {
    refusals.set(problem.service, [...(refusals.get(problem.service) ?? []), problem]);
  }
  const problems = [...objects.problems];
  for (const placed of objects.services) {
    const name = serviceName(placed.object);
    const grant = grants.get(name)!;
    granted.set(name, grantedService(placed.object, grant, saved.get(name)!, before.granted.get(name)));
    for (const { message, severity } of refusals.get(name) ?? []) {
      problems.push(problemOf(placed, message, severity));
    }
    const result = derive(placed.object, grant, { nodes, pods, before: before.derived.get(name) });
    derived.set(name, result);
    for (const message of result.problems) problems.push(problemOf(placed, message));
  }
  const node = objects.nodes.find(({ name }) => name === options.nodeName)?.node;
  if (!node && objects.nodes.length > 0) problems.push(missingNode(options.nodeName, objects));
  const services = new Map([...granted].map(([name, { service }]) => [name, service]));
  const slices = allSlices(objects, derived);
  return {
    view: { services, slices, node, problems, saved },
    memo: { nodes, pods, derived, grants: allocation, granted },
  };
}

/** Only where a Service has changed, or a file has broken, can anything be given otherwise than before. */
function grantAll(input: ClusterInput, pools: Pools, before: Grants | undefined): Grants {
  const { objects, saved: held, brokenFiles, now } = input;
  const from = [
    held,
    [...brokenFiles].join('\n'),
    ...objects.services.flatMap(({ object, file }) => [object, file]),
  ];
  if (before && sameParts(from, [before.saved, ...before.from.slice(1)])) return before;
  const placed = new Map(objects.services.map((service) => [serviceName(service.object), service]));
  const saved = new Map([...held].filter(([name, { file }]) => !placed.has(name) && brokenFiles.has(file)));
  const firstSeen = (name: ServiceName) => held.get(name)?.firstSeen ?? now;
  const requests = [...placed].map(([name, { object }]) => requestOf(object, firstSeen(name)));
  const { grants, problems } = allocate(requests, held, [...saved.keys()], pools);
  for (const [name, { file }] of placed) {
    const { clusterIPs, nodePorts, healthCheckNodePort } = grants.get(name)!;
    saved.set(name, { firstSeen: firstSeen(name), file, clusterIPs, nodePorts, healthCheckNodePort });
  }
  return { from, grants, saved, problems };
}

function sameParts(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((part, i) => part === b[i]);
}

function problemOf(
  service: Placed<ServiceObject>,
  message: string,
  severity: 'info' | 'warning' = 'warning',
): SourceProblem {
  return { where: placeOf(service), message: `${service.key}: ${message}`, severity };
}

function requestOf(object: ServiceObject, firstSeen: number): Request {
  const { service } = object;
  const isBalancer = service.type === 'LoadBalancer';
  return {
    name: serviceName(service),
    createdAt: service.createdAt || firstSeen,
    wantsClusterIP: service.type !== 'ExternalName' && !isHeadless(service),
    clusterIPs: isHeadless(service)
      ? []
      : requestedIPs(service).map((text) => canonicalAddress(text) ?? text),
    ipFamilies: service.ipFamilies,
    policy: object.familyPolicy,
    ports: service.ports,
    wantsNodePorts: service.type === 'NodePort' || (isBalancer && object.allocateNodePorts),
    wantsHealthCheck: isBalancer && service.externalTrafficPolicy === 'Local',
    healthCheckNodePort: service.healthCheckNodePort,
  };
}

/** The Service as an API server would hand it out. */
function grantedService(
  { service }: ServiceObject,
  grant: Grant,
  { firstSeen }: SavedService,
  before: Granted | undefined,
): Granted {
  const createdAt = service.createdAt || firstSeen;
  const bare = service.type === 'ExternalName' || isHeadless(service);
  const nodePorts = service.ports.map(({ protocol, port }) => grant.nodePorts[`${protocol}/${port}`] ?? 0);
  const from = [service, createdAt, grant.clusterIPs.join(), nodePorts.join(), grant.healthCheckNodePort];
  if (before && sameParts(from, before.from)) return before;
  if (bare) return { from, service: { ...service, createdAt } };
  const filled: Service = {
    ...service,
    createdAt,
    clusterIP: grant.clusterIPs[0] ?? '',
    clusterIPs: grant.clusterIPs,
    ipFamilies: grant.ipFamilies,
    ports: service.ports.map((port, i) => ({ ...port, nodePort: nodePorts[i]! })),
    healthCheckNodePort: grant.healthCheckNodePort,
  };
  return { from, service: filled };
}

function derive(
  object: ServiceObject,
  { ipFamilies }: Grant,
  context: Pick<ClusterMemo, 'nodes' | 'pods'> & { readonly before: Derived | undefined },
): Derived {
  const pods = context.pods.get(object.namespace);
  const from = [object, pods, context.nodes, ipFamilies.join()];
  const { before } = context;
  if (before && sameParts(from, before.from)) return before;
  const selected = pods?.index.select(object.selector) ?? [];
  return { ...deriveSlices(object, ipFamilies, selected, context.nodes), from, matched: selected.length > 0 };
}

/**
 * Slices of the selectors, and those of the folder. A dump of a real cluster holds what its controllers made of the same
 * Pods, too; where the Pods are there, they decide.
 */
function allSlices(
  { slices, endpoints }: MergedObjects,
  derived: ReadonlyMap<ServiceName, Derived>,
): ReadonlyMap<string, EndpointSlice> {
  const all = new Map<string, EndpointSlice>();
  const put = (slice: EndpointSlice) => all.set(`${slice.namespace}/${slice.name}`, slice);
  for (const result of derived.values()) result.slices.forEach(put);
  for (const { slice, managed } of slices) if (!managed || !derived.get(slice.service)?.matched) put(slice);
  for (const object of endpoints) if (!derived.get(serviceName(object))?.matched) object.slices.forEach(put);
  return all;
}

function nodeFacts({ nodes }: MergedObjects, before: ClusterMemo['nodes']): ClusterMemo['nodes'] {
  const facts = new Map<string, NodeFacts>();
  for (const { node } of nodes) {
    const internal = node.addresses.filter(({ type }) => type === 'InternalIP');
    facts.set(node.name, { zone: node.zone, addresses: internal.map(({ address }) => address) });
  }
  const same = (a: NodeFacts, b: NodeFacts | undefined) =>
    b !== undefined && a.zone === b.zone && a.addresses.join() === b.addresses.join();
  const unchanged =
    facts.size === before.size && [...facts].every(([name, fact]) => same(fact, before.get(name)));
  return unchanged ? before : facts;
}

/** By namespace; a namespace whose Pods are the same ones keeps its index. */
function podIndexes(pods: readonly PodObject[], before: ClusterMemo['pods']): ClusterMemo['pods'] {
  const grouped = new Map<string, PodObject[]>();
  for (const pod of pods) {
    const group = grouped.get(pod.namespace);
    if (group) group.push(pod);
    else grouped.set(pod.namespace, [pod]);
  }
  const indexes = new Map<string, { pods: readonly PodObject[]; index: PodIndex }>();
  for (const [namespace, group] of grouped) {
    const old = before.get(namespace);
    const unchanged = old?.pods.length === group.length && group.every((pod, i) => pod === old.pods[i]);
    indexes.set(namespace, unchanged ? old! : { pods: group, index: indexPods(group) });
  }
  return indexes;
}

function missingNode(nodeName: string, { nodes }: MergedObjects): SourceProblem {
  const names = nodes.slice(0, 5).map(({ name }) => name);
  const message = `the folder has no Node of this name (it has ${names.join(', ')}${nodes.length > 5 ? ', ...' : ''}): endpoints on this node, its zone and its pod range are not known as such; --node-name says which it is`;
  return { where: `Node ${nodeName}`, message, severity: 'warning' };
}
