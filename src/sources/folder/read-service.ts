// v1 Service → ServiceObject: convertService, and then what an API server would refuse. Pure.

import { canonicalAddress } from '../../lib/ip.js';
import type { LoadBalancerIngress, Service } from '../../model/service.js';
import { convertService } from '../convert.js';
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
import type { Distribution, FamilyPolicy, ServiceObject } from './objects.js';
import { familyOfText } from './read-endpoints.js';
import { readStrings } from './read-pod.js';

/** Load balancer addresses for a folder, where no controller fills in the status: `203.0.113.10, 2001:db8::10`. */
export const LOAD_BALANCER_ANNOTATION = 'portolan.dev/load-balancer-ips';

const FAMILY_POLICIES = ['SingleStack', 'PreferDualStack', 'RequireDualStack'] as const;
const DISTRIBUTIONS = ['PreferClose', 'PreferSameZone', 'PreferSameNode'] as const;
const PORT = { low: 1, high: 65535, what: 'a port' };

export type ServiceReading =
  | { readonly object: ServiceObject; readonly problems: readonly string[] }
  | { readonly ignored: string };

/** @returns the Service. @throws FieldError where an API server would not accept it. */
export function readService(value: unknown): ServiceReading {
  const converted = convertService(value, '');
  if ('ignored' in converted) return converted;
  if ('problem' in converted) throw complaint(converted.problem);
  const { service, problems } = converted;
  const fields = asFields(value, '');
  const spec = objectAt(fields, 'spec');
  const familyPolicy: FamilyPolicy = inside(
    'spec',
    choiceAt,
    spec,
    'ipFamilyPolicy',
    FAMILY_POLICIES,
    '' as never,
  );
  inside('spec', checkAddresses, service, familyPolicy);
  inside('spec', checkNodePorts, service);
  const object: ServiceObject = {
    kind: 'Service',
    namespace: service.namespace,
    name: service.name,
    service: { ...service, loadBalancerIngress: readIngress(fields, service) },
    selector: Object.entries(inside('spec', readStrings, spec, 'selector')),
    targetPorts: inside('spec', readTargetPorts, spec),
    publishNotReady: inside('spec', booleanAt, spec, 'publishNotReadyAddresses', false),
    familyPolicy,
    allocateNodePorts: inside('spec', booleanAt, spec, 'allocateLoadBalancerNodePorts', true),
    distribution: inside('spec', readDistribution, spec),
  };
  return { object, problems };
}

/** @returns a converter's message as the FieldError that it was. */
export function complaint(problem: string): FieldError {
  const end = problem.indexOf(': ');
  return end < 0
    ? new FieldError('', problem)
    : new FieldError(problem.slice(0, end), problem.slice(end + 2));
}

/** The rules of an API server for spec.clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy. */
function checkAddresses(service: Service, policy: FamilyPolicy): void {
  if (service.type === 'ExternalName') return;
  const { clusterIP, clusterIPs, ipFamilies } = service;
  if (clusterIPs.length > 0 && clusterIP !== '' && clusterIPs[0] !== clusterIP) {
    throw new FieldError(
      'clusterIP',
      `${show(clusterIP)} differs from clusterIPs[0], ${show(clusterIPs[0])}`,
    );
  }
  checkTwo('ipFamilies', ipFamilies, policy);
  if (isHeadless(service)) return;
  const named = requestedIPs(service);
  const field = (i: number) => (clusterIPs.length > 0 ? `clusterIPs[${i}]` : 'clusterIP');
  const families = named.map((address, i) => {
    const family = familyOfText(address);
    if (!family) throw new FieldError(field(i), `${show(address)} is not an IP address`);
    if (ipFamilies[i] && ipFamilies[i] !== family) {
      throw new FieldError(field(i), `${show(address)} is not ${ipFamilies[i]}, which ipFamilies[${i}] says`);
    }
    return family;
  });
  checkTwo('clusterIPs', families, policy);
}

function checkTwo(field: string, families: readonly string[], policy: FamilyPolicy): void {
  if (families.length > 2) throw new FieldError(field, 'has more than two items, one for each IP family');
  if (families.length < 2) return;
  if (families[0] === families[1])
    throw new FieldError(`${field}[1]`, `is the second of family ${families[0]}`);
  if (policy === 'SingleStack') {
    throw new FieldError(field, 'has two items, but ipFamilyPolicy SingleStack allows one');
  }
}

/** @returns the cluster IPs that the manifest asks for, as written. */
export function requestedIPs({ clusterIP, clusterIPs }: Service): readonly string[] {
  if (clusterIPs.length > 0) return clusterIPs;
  return clusterIP === '' ? [] : [clusterIP];
}

/** `clusterIP: None`. */
export function isHeadless({ clusterIP, clusterIPs }: Service): boolean {
  return clusterIP === 'None' || clusterIPs[0] === 'None';
}

function checkNodePorts({ type, ports }: Service): void {
  const seen = new Set<string>();
  ports.forEach(({ nodePort, protocol }, i) => {
    if (nodePort === 0) return;
    const field = `ports[${i}].nodePort`;
    if (type !== 'NodePort' && type !== 'LoadBalancer') {
      throw new FieldError(field, `may not be set in a Service of type ${type}`);
    }
    if (seen.has(`${protocol} ${nodePort}`)) throw new FieldError(field, `${nodePort} is already used`);
    seen.add(`${protocol} ${nodePort}`);
  });
}

/** 0 and absent mean: the same as the port. */
function readTargetPorts(spec: Fields): readonly (number | string)[] {
  return listAt(spec, 'ports', (item) => {
    const port = asFields(item, '');
    const target = port.targetPort ?? 0;
    if (target === 0 || target === '') return numberAt(port, 'port', PORT, 0);
    if (typeof target !== 'string') return numberAt(port, 'targetPort', PORT, 0);
    if (/^[-a-z0-9]*[a-z][-a-z0-9]*$/.test(target)) return target;
    const hint = /^\d+$/.test(target) ? ' (write a number without quotes)' : '';
    throw new FieldError('targetPort', `${show(target)} is neither a port nor the name of one${hint}`);
  });
}

function readDistribution(spec: Fields): Distribution {
  const value = choiceAt(spec, 'trafficDistribution', DISTRIBUTIONS, '' as never);
  return value === 'PreferClose' ? 'PreferSameZone' : value;
}

/** What the status says; without one, what the annotation or spec.loadBalancerIP asks for. */
function readIngress(fields: Fields, service: Service): readonly LoadBalancerIngress[] {
  if (service.type !== 'LoadBalancer' || service.loadBalancerIngress.length > 0)
    return service.loadBalancerIngress;
  const annotations = objectAt(objectAt(fields, 'metadata'), 'annotations');
  const listed = inside('metadata.annotations', stringAt, annotations, LOAD_BALANCER_ANNOTATION);
  const asked = listed === '' ? inside('spec', stringAt, objectAt(fields, 'spec'), 'loadBalancerIP') : listed;
  const field = listed === '' ? 'spec.loadBalancerIP' : `metadata.annotations["${LOAD_BALANCER_ANNOTATION}"]`;
  if (asked.trim() === '') return [];
  return asked.split(',').map((text) => {
    const ip = canonicalAddress(text.trim());
    if (!ip) throw new FieldError(field, `${show(text.trim())} is not an IP address`);
    return { ip, mode: 'VIP' as const };
  });
}
