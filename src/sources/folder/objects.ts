// What the folder source keeps of a manifest: plain data that survives a JSON round trip (the state file holds some).

import type { EndpointSlice } from '../../model/endpoint.js';
import type { Node } from '../../model/node.js';
import type { Protocol, Service } from '../../model/service.js';

/** spec.ipFamilyPolicy; "" where it is absent. */
export type FamilyPolicy = '' | 'SingleStack' | 'PreferDualStack' | 'RequireDualStack';

/** spec.trafficDistribution; "" where it is absent. PreferClose is PreferSameZone. */
export type Distribution = '' | 'PreferSameZone' | 'PreferSameNode';

/** A Service as written, with what controllers and the API server's allocators read of it. */
export interface ServiceObject {
  readonly kind: 'Service';
  readonly namespace: string;
  readonly name: string;
  /** createdAt is 0 where the manifest has no creationTimestamp; nothing is allocated yet. */
  readonly service: Service;
  /** spec.selector; empty where there is none. */
  readonly selector: readonly (readonly [string, string])[];
  /** spec.ports[].targetPort, parallel to service.ports: a number, or the name of a container port. */
  readonly targetPorts: readonly (number | string)[];
  readonly publishNotReady: boolean;
  readonly familyPolicy: FamilyPolicy;
  /** spec.allocateLoadBalancerNodePorts. */
  readonly allocateNodePorts: boolean;
  readonly distribution: Distribution;
}

/** A named port of a container. */
export interface ContainerPort {
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
}

/** A Pod, as far as the EndpointSlice controller looks at it. */
export interface PodObject {
  readonly kind: 'Pod';
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** status.podIPs, else status.podIP, as written. */
  readonly addresses: readonly string[];
  /** spec.hostNetwork: without addresses of its own it has those of its node. */
  readonly hostNetwork: boolean;
  readonly nodeName: string;
  /** Condition Ready; true where the manifest has no conditions at all. */
  readonly ready: boolean;
  /** metadata.deletionTimestamp is set. */
  readonly terminating: boolean;
  /** Phase Succeeded or Failed: never an endpoint again. */
  readonly finished: boolean;
  /** Only ports with a name. */
  readonly ports: readonly ContainerPort[];
}

export interface SliceObject {
  readonly kind: 'EndpointSlice';
  readonly namespace: string;
  readonly name: string;
  readonly slice: EndpointSlice;
  /** Written by the cluster's EndpointSlice controller, whose place is taken here where its Pods are in the folder. */
  readonly managed: boolean;
}

/** A legacy v1 Endpoints, already as slices. */
export interface EndpointsObject {
  readonly kind: 'Endpoints';
  readonly namespace: string;
  readonly name: string;
  readonly slices: readonly EndpointSlice[];
}

export interface NodeObject {
  readonly kind: 'Node';
  readonly namespace: '';
  readonly name: string;
  readonly node: Node;
}

export type FolderObject = ServiceObject | PodObject | SliceObject | EndpointsObject | NodeObject;

/** @returns the identity of an object among all of a folder: `Service shop/web`, `Node node-a`. */
export function objectKey(object: {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}): string {
  return object.kind === 'Node' ? `Node ${object.name}` : `${object.kind} ${object.namespace}/${object.name}`;
}
