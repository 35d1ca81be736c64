// Legacy v1 Endpoints → slices, as the EndpointSlice mirroring controller does. Pure.

import { familyOf, parseAddress } from '../../lib/ip.js';
import type { Endpoint, EndpointPort, EndpointSlice } from '../../model/endpoint.js';
import type { Family } from '../../model/service.js';
import { type Metadata, readMetadata } from '../conversion.js';
import { asFields, choiceAt, type Fields, inside, listAt, numberAt, objectAt, stringAt } from '../fields.js';
import type { EndpointsObject } from './objects.js';
import { addressAt, PROTOCOLS } from './read-pod.js';

/** The mirroring controller leaves Endpoints with this label "true" alone. */
const SKIP_MIRROR = 'endpointslice.kubernetes.io/skip-mirror';
const PORT = { low: 1, high: 65535, what: 'a port' };

/** @returns one slice for each subset and family. @throws FieldError when a field cannot be used. */
export function readEndpoints(fields: Fields): EndpointsObject {
  const metadata = inside('metadata', readMetadata, objectAt(fields, 'metadata'));
  const subsets = listAt(fields, 'subsets', readSubset);
  const { namespace, name } = metadata;
  const mirrored = metadata.labels[SKIP_MIRROR] !== 'true';
  const slices = mirrored ? subsets.flatMap((subset, i) => subsetSlices(metadata, subset, i)) : [];
  return { kind: 'Endpoints', namespace, name, slices };
}

interface Subset {
  readonly ports: readonly EndpointPort[];
  readonly endpoints: readonly Endpoint[];
}

function readSubset(value: unknown): Subset {
  const subset = asFields(value, '');
  const ports = listAt(subset, 'ports', (item) => {
    const port = asFields(item, '');
    return {
      name: stringAt(port, 'name'),
      protocol: choiceAt(port, 'protocol', PROTOCOLS, 'TCP'),
      port: numberAt(port, 'port', PORT, 0),
    };
  });
  const ready = listAt(subset, 'addresses', (item) => readEndpoint(item, true));
  const unready = listAt(subset, 'notReadyAddresses', (item) => readEndpoint(item, false));
  return { ports: ports.filter((port) => port.port !== 0), endpoints: [...ready, ...unready] };
}

function readEndpoint(item: unknown, ready: boolean): Endpoint {
  const address = asFields(item, '');
  const target = objectAt(address, 'targetRef');
  return {
    address: addressAt(address, 'ip'),
    ready,
    serving: ready,
    terminating: false,
    nodeName: stringAt(address, 'nodeName'),
    pod: target.kind === 'Pod' ? inside('targetRef', stringAt, target, 'name') : '',
    zoneHints: [],
    nodeHints: [],
  };
}

function subsetSlices(
  { namespace, name }: Metadata,
  subset: Subset,
  index: number,
): readonly EndpointSlice[] {
  const slices: EndpointSlice[] = [];
  for (const family of ['IPv4', 'IPv6'] as const) {
    const endpoints = subset.endpoints.filter((endpoint) => familyOfText(endpoint.address) === family);
    if (endpoints.length === 0) continue;
    slices.push({
      namespace,
      // Colons cannot occur in a real object's name, so this never meets a slice of the folder.
      name: `${name}:endpoints:${index}:${family}`,
      service: `${namespace}/${name}`,
      family,
      ports: subset.ports,
      endpoints,
    });
  }
  return slices;
}

/** @returns the family of an address; undefined where the text is none. */
export function familyOfText(text: string): Family | undefined {
  const parsed = parseAddress(text);
  return parsed && (familyOf(parsed.bytes) === 4 ? 'IPv4' : 'IPv6');
}
