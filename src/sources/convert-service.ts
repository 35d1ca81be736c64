// v1 Service → Service. Addresses stay as they are written: whether one is valid, compile judges for each family.

import type {
  Family,
  LoadBalancerIngress,
  Protocol,
  Service,
  ServicePort,
  ServiceType,
  TrafficPolicy,
} from '../model/service.js';
import { at, type Conversion, guarded, type Metadata, NO_PROBLEMS, readMetadata } from './conversion.js';
import {
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
  stringsAt,
} from './fields.js';

const TYPES: readonly ServiceType[] = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'];
const PROTOCOLS: readonly Protocol[] = ['TCP', 'UDP', 'SCTP'];
const FAMILIES: readonly Family[] = ['IPv4', 'IPv6'];
const POLICIES: readonly TrafficPolicy[] = ['Cluster', 'Local'];
const AFFINITIES = ['None', 'ClientIP'] as const;

const PORT = { low: 1, high: 65535, what: 'a port' };
const NODE_PORT = { low: 0, high: 65535, what: 'a node port' };
const SECONDS = { low: 1, high: 86400, what: 'a number of seconds' };
/** The API's default for sessionAffinityConfig.clientIP.timeoutSeconds: three hours. */
const DEFAULT_AFFINITY_SECONDS = 10800;
/** A DNS label; longer names cannot be looked up. */
const NAME_LIMIT = 63;

/** Services with this label, whatever its value, belong to another proxy (kube-proxy leaves them alone, too). */
export const PROXY_NAME_LABEL = 'service.kubernetes.io/service-proxy-name';
const SOCKET_HOOK = 'portolan.dev/socket-hook';

/** @returns the Service as it is written, defaults of the API filled in. See convert.ts. */
export function convertService(object: unknown, where: string): Conversion<'service', Service> {
  return guarded(where, () => {
    const fields = asFields(object, 'Service');
    const metadata = inside('metadata', readMetadata, objectAt(fields, 'metadata'));
    if (metadata.name.length > NAME_LIMIT || metadata.name.includes('.')) {
      throw new FieldError(
        'metadata.name',
        `${show(metadata.name)} is not a Service's name (a-z, 0-9 and "-", at most ${NAME_LIMIT} characters)`,
      );
    }
    const proxy = metadata.labels[PROXY_NAME_LABEL];
    if (proxy !== undefined) return { ignored: `label ${PROXY_NAME_LABEL} gives it to proxy ${show(proxy)}` };
    return readService(fields, metadata, where);
  });
}

function readService(fields: Fields, metadata: Metadata, where: string) {
  const problems: string[] = [];
  const spec = inside('spec', readSpec, objectAt(fields, 'spec'));
  // Field by field: spreading `spec` here takes 40 us, more than all the rest of a Service.
  const service: Service = {
    namespace: metadata.namespace,
    name: metadata.name,
    createdAt: metadata.createdAt,
    type: spec.type,
    clusterIP: spec.clusterIP,
    clusterIPs: spec.clusterIPs,
    ipFamilies: spec.ipFamilies,
    ports: spec.ports,
    externalIPs: spec.externalIPs,
    loadBalancerSourceRanges: spec.loadBalancerSourceRanges,
    affinitySeconds: spec.affinitySeconds,
    externalTrafficPolicy: spec.externalTrafficPolicy,
    internalTrafficPolicy: spec.internalTrafficPolicy,
    healthCheckNodePort: spec.healthCheckNodePort,
    loadBalancerIngress: inside('status', readIngress, objectAt(fields, 'status')),
    socketHook: readSocketHook(metadata.annotations, (message) => problems.push(at(where, message))),
  };
  return { service, problems: problems.length === 0 ? NO_PROBLEMS : problems };
}

function readSpec(spec: Fields) {
  return {
    type: choiceAt(spec, 'type', TYPES, 'ClusterIP'),
    clusterIP: stringAt(spec, 'clusterIP'),
    clusterIPs: stringsAt(spec, 'clusterIPs'),
    ipFamilies: listAt(spec, 'ipFamilies', readFamily),
    ports: checkedPorts(listAt(spec, 'ports', readPort)),
    externalIPs: stringsAt(spec, 'externalIPs'),
    loadBalancerSourceRanges: stringsAt(spec, 'loadBalancerSourceRanges'),
    affinitySeconds: readAffinity(spec),
    externalTrafficPolicy: choiceAt(spec, 'externalTrafficPolicy', POLICIES, 'Cluster'),
    internalTrafficPolicy: choiceAt(spec, 'internalTrafficPolicy', POLICIES, 'Cluster'),
    healthCheckNodePort: numberAt(spec, 'healthCheckNodePort', NODE_PORT, 0),
  };
}

function readFamily(value: unknown): Family {
  for (const family of FAMILIES) if (value === family) return family;
  throw new FieldError('', `${show(value)} is none of ${FAMILIES.join(', ')}`);
}

function readPort(value: unknown): ServicePort {
  const port = asFields(value, '');
  const number = numberAt(port, 'port', PORT, 0);
  if (number === 0) throw new FieldError('port', 'is missing');
  return {
    name: stringAt(port, 'name'),
    protocol: choiceAt(port, 'protocol', PROTOCOLS, 'TCP'),
    port: number,
    nodePort: numberAt(port, 'nodePort', NODE_PORT, 0),
  };
}

/** The API server refuses these, too: endpoints are found by a port's name, frontends by protocol and number. */
function checkedPorts(ports: readonly ServicePort[]): readonly ServicePort[] {
  if (ports.length < 2) return ports;
  const names = new Set<string>();
  const numbers = new Set<string>();
  ports.forEach((port, i) => {
    const number = `${port.protocol} ${port.port}`;
    if (port.name === '')
      throw new FieldError(`ports[${i}].name`, 'is missing; with several ports each needs one');
    if (names.has(port.name)) throw new FieldError(`ports[${i}].name`, `${show(port.name)} is already used`);
    if (numbers.has(number)) throw new FieldError(`ports[${i}].port`, `${number} is already used`);
    names.add(port.name);
    numbers.add(number);
  });
  return ports;
}

function readAffinity(spec: Fields): number {
  if (choiceAt(spec, 'sessionAffinity', AFFINITIES, 'None') === 'None') return 0;
  return inside('sessionAffinityConfig', readAffinityConfig, objectAt(spec, 'sessionAffinityConfig'));
}

function readAffinityConfig(config: Fields): number {
  const seconds = (clientIP: Fields) =>
    numberAt(clientIP, 'timeoutSeconds', SECONDS, DEFAULT_AFFINITY_SECONDS);
  return inside('clientIP', seconds, objectAt(config, 'clientIP'));
}

function readIngress(status: Fields): readonly LoadBalancerIngress[] {
  return inside('loadBalancer', readLoadBalancer, objectAt(status, 'loadBalancer'));
}

function readLoadBalancer(loadBalancer: Fields): readonly LoadBalancerIngress[] {
  return goodItemsAt(loadBalancer, 'ingress', readIngressItem, (error) => {
    throw error;
  });
}

function readIngressItem(value: unknown): LoadBalancerIngress | undefined {
  const item = asFields(value, '');
  const ip = stringAt(item, 'ip');
  if (ip === '') return undefined;
  // Only VIP is served here; a mode that we do not know is left to the load balancer, as kube-proxy does.
  return { ip, mode: stringAt(item, 'ipMode', 'VIP') === 'VIP' ? 'VIP' : 'Proxy' };
}

function readSocketHook(annotations: Fields, complain: (message: string) => void): boolean {
  const value = annotations[SOCKET_HOOK];
  if (value === undefined || value === 'on' || value === 'off') return value !== 'off';
  complain(`metadata.annotations["${SOCKET_HOOK}"]: ${show(value)} is neither "on" nor "off"; taken as "on"`);
  return true;
}
