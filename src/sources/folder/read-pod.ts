// v1 Pod → PodObject. Pure.

import { canonicalAddress } from '../../lib/ip.js';
import type { Protocol } from '../../model/service.js';
import { readMetadata } from '../conversion.js';
import {
  asFields,
  booleanAt,
  choiceAt,
  FieldError,
  type Fields,
  inside,
  listAt,
  numberAt,
  objectAt,
  show,
  stringAt,
} from '../fields.js';
import type { ContainerPort, PodObject } from './objects.js';

export const PROTOCOLS: readonly Protocol[] = ['TCP', 'UDP', 'SCTP'];
const PORT = { low: 1, high: 65535, what: 'a port' };

/** @returns the Pod. @throws FieldError when a field that endpoints depend on cannot be used. */
export function readPod(fields: Fields): PodObject {
  const raw = objectAt(fields, 'metadata');
  const metadata = inside('metadata', readMetadata, raw);
  const spec = objectAt(fields, 'spec');
  const status = objectAt(fields, 'status');
  const phase = inside('status', stringAt, status, 'phase');
  return {
    kind: 'Pod',
    namespace: metadata.namespace,
    name: metadata.name,
    labels: inside('metadata', readStrings, raw, 'labels'),
    addresses: inside('status', readAddresses, status),
    hostNetwork: inside('spec', booleanAt, spec, 'hostNetwork', false),
    nodeName: inside('spec', stringAt, spec, 'nodeName'),
    ready: inside('status', readReady, status),
    terminating: inside('metadata', stringAt, raw, 'deletionTimestamp') !== '',
    finished: phase === 'Succeeded' || phase === 'Failed',
    ports: inside('spec', readPorts, spec),
  };
}

/** @returns a map of strings (labels, a selector). A number or boolean in it is an error, as for the API server. */
export function readStrings(parent: Fields, key: string): Readonly<Record<string, string>> {
  const entries = Object.entries(objectAt(parent, key));
  for (const [name, value] of entries) {
    if (typeof value !== 'string') {
      throw new FieldError(`${key}["${name}"]`, `${show(value)} is not a string; put it in quotes`);
    }
  }
  return Object.fromEntries(entries) as Record<string, string>;
}

/** @returns the field's address as text. @throws FieldError when it is none. */
export function addressAt(parent: Fields, key: string): string {
  const text = stringAt(parent, key);
  if (canonicalAddress(text) === undefined) throw new FieldError(key, `${show(text)} is not an IP address`);
  return text;
}

function readAddresses(status: Fields): readonly string[] {
  const all = listAt(status, 'podIPs', (item) => addressAt(asFields(item, ''), 'ip'));
  if (all.length > 0 || stringAt(status, 'podIP') === '') return all;
  return [addressAt(status, 'podIP')];
}

/** Manifests written by hand have no conditions; such a Pod is ready as soon as it has an address. */
function readReady(status: Fields): boolean {
  const conditions = listAt(status, 'conditions', (item) => {
    const condition = asFields(item, '');
    return { type: stringAt(condition, 'type'), status: stringAt(condition, 'status') };
  });
  return (
    conditions.length === 0 || conditions.some(({ type, status }) => type === 'Ready' && status === 'True')
  );
}

/** Init containers count when they are sidecars (restartPolicy Always), as in the EndpointSlice controller. */
function readPorts(spec: Fields): readonly ContainerPort[] {
  const containers = listAt(spec, 'containers', readContainer);
  const sidecars = listAt(spec, 'initContainers', (item) =>
    asFields(item, '').restartPolicy === 'Always' ? readContainer(item) : [],
  );
  return [...containers, ...sidecars].flat();
}

function readContainer(item: unknown): readonly ContainerPort[] {
  const ports = listAt(asFields(item, ''), 'ports', (entry) => {
    const port = asFields(entry, '');
    return {
      name: stringAt(port, 'name'),
      protocol: choiceAt(port, 'protocol', PROTOCOLS, 'TCP'),
      port: numberAt(port, 'containerPort', PORT, 0),
    };
  });
  return ports.filter((port) => port.name !== '' && port.port !== 0);
}
