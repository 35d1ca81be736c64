// discovery.k8s.io/v1 EndpointSlice → EndpointSlice. The hot one: a big cluster has a hundred thousand endpoints.

import type { Endpoint, EndpointPort, EndpointSlice } from '../model/endpoint.js';
import { type Protocol, serviceName } from '../model/service.js';
import { at, type Conversion, guarded, type Metadata, NO_PROBLEMS, readMetadata } from './conversion.js';
import {
  asBoolean,
  asFields,
  choiceAt,
  FieldError,
  type Fields,
  goodItemsAt,
  inside,
  listAt,
  numberAt,
  objectAt,
  show,
  stringAt,
} from './fields.js';
import { type Interner, NO_INTERNER } from './intern.js';

const ADDRESS_TYPES = ['IPv4', 'IPv6', 'FQDN'] as const;
const PROTOCOLS: readonly Protocol[] = ['TCP', 'UDP', 'SCTP'];
const PORT = { low: 0, high: 65535, what: 'a port' };
/** More complaints about one slice's endpoints are counted, not listed. */
const PROBLEM_LIMIT = 5;

/** Shared by all endpoints that have none. */
const NO_HINTS: readonly string[] = Object.freeze([]);

const SERVICE_LABEL = 'kubernetes.io/service-name';
/** Set by the EndpointSlice controller for Services without a cluster IP; such slices are not for proxies. */
export const HEADLESS_LABEL = 'service.kubernetes.io/headless';

/**
 * @returns the slice. A wrong endpoint is left out and named in `problems`; a wrong port makes the slice a problem.
 * See convert.ts.
 */
export function convertEndpointSlice(
  object: unknown,
  where: string,
  interner: Interner = NO_INTERNER,
): Conversion<'slice', EndpointSlice> {
  return guarded(where, () => {
    const fields = asFields(object, 'EndpointSlice');
    const metadata = inside('metadata', readMetadata, objectAt(fields, 'metadata'));
    const service = inside('metadata.labels', stringAt, metadata.labels, SERVICE_LABEL);
    if (service === '') return { ignored: `no label ${SERVICE_LABEL}: it belongs to no Service` };
    if (metadata.labels[HEADLESS_LABEL] !== undefined) return { ignored: `label ${HEADLESS_LABEL}` };
    return readSlice(fields, metadata, service, { where, interner });
  });
}

interface Context {
  readonly where: string;
  readonly interner: Interner;
}

function readSlice(fields: Fields, metadata: Metadata, service: string, { where, interner }: Context) {
  const family = choiceAt(fields, 'addressType', ADDRESS_TYPES, 'FQDN');
  if (family === 'FQDN') {
    if (stringAt(fields, 'addressType') === '') throw new FieldError('addressType', 'is missing');
    return { ignored: 'addressType FQDN: its endpoints have no addresses' };
  }
  const problems: string[] = [];
  let wrong = 0;
  const slice: EndpointSlice = {
    namespace: interner.string(metadata.namespace),
    name: metadata.name,
    service: interner.string(serviceName({ namespace: metadata.namespace, name: service })),
    family,
    ports: readPorts(fields, interner),
    endpoints: goodItemsAt(
      fields,
      'endpoints',
      (endpoint) => readEndpoint(endpoint, interner),
      (error) => ++wrong <= PROBLEM_LIMIT && problems.push(at(where, `${error.message}; endpoint left out`)),
    ),
  };
  if (wrong > PROBLEM_LIMIT) problems.push(at(where, `endpoints: ${wrong - PROBLEM_LIMIT} more left out`));
  return { slice, problems: wrong === 0 ? NO_PROBLEMS : problems };
}

/** Ports without a number ("all ports") mean nothing to a proxy and are left out. */
function readPorts(fields: Fields, interner: Interner): readonly EndpointPort[] {
  const ports = listAt(fields, 'ports', (value) => readPort(value, interner));
  return ports.every((port) => port.port !== 0) ? ports : ports.filter((port) => port.port !== 0);
}

/** An absent name is "", as the API server fills it in. */
function readPort(value: unknown, interner: Interner): EndpointPort {
  const port = asFields(value, '');
  return {
    name: interner.string(stringAt(port, 'name')),
    protocol: choiceAt(port, 'protocol', PROTOCOLS, 'TCP'),
    port: numberAt(port, 'port', PORT, 0),
  };
}

function readEndpoint(value: unknown, interner: Interner): Endpoint {
  const endpoint = asFields(value, '');
  const conditions = objectAt(endpoint, 'conditions');
  const hints = objectAt(endpoint, 'hints');
  return {
    address: readAddress(endpoint.addresses),
    ready: asBoolean(conditions.ready, true, 'conditions.ready'),
    serving: asBoolean(conditions.serving, true, 'conditions.serving'),
    terminating: asBoolean(conditions.terminating, false, 'conditions.terminating'),
    nodeName: interner.string(stringAt(endpoint, 'nodeName')),
    pod: readPod(endpoint),
    zoneHints: interner.list(hintsAt(hints, 'forZones')),
    nodeHints: interner.list(hintsAt(hints, 'forNodes')),
  };
}

/** Further addresses of an endpoint are not used; kube-proxy reads the first one only. */
function readAddress(addresses: unknown): string {
  const first = Array.isArray(addresses) ? addresses[0] : undefined;
  if (typeof first === 'string' && first !== '') return first;
  if (first === undefined)
    throw new FieldError('addresses', `${show(addresses)} is not a list with an address`);
  throw new FieldError('addresses[0]', `${show(first)} is not an address`);
}

/** targetRef only names the pod for people: nothing in it is worth losing an endpoint for. */
function readPod(endpoint: Fields): string {
  const target = endpoint.targetRef as Fields | null | undefined;
  if (target?.kind !== 'Pod' || typeof target.name !== 'string') return '';
  return target.name;
}

function hintsAt(hints: Fields, key: string): readonly string[] {
  return hints[key] === undefined ? NO_HINTS : inside('hints', listAt, hints, key, readHintName);
}

function readHintName(value: unknown): string {
  const name = stringAt(asFields(value, ''), 'name');
  if (name === '') throw new FieldError('name', 'is missing');
  return name;
}
