// Service semantics, in one place: a Service and its slices become what is to be done for it on this node.

import type { EndpointSlice } from '../model/endpoint.js';
import { type Family, type Service, type ServicePort, serviceName } from '../model/service.js';
import type { CompileContext } from './context.js';
import { type Candidates, categorizeEndpoints, gatherEndpoints } from './endpoints.js';
import { frontendsOf, policiesOf } from './frontends.js';
import { Issues } from './issues.js';
import type { HealthCheck, PortPlan, ServicePlan } from './plan.js';
import { hasUsableName, usablePorts } from './ports.js';
import { type FamilyAddresses, serviceAddresses } from './service-addresses.js';

/**
 * Compiles one Service. Total: whatever the Service says gives a plan, and what cannot be served is an issue in it.
 * Deterministic: the order of `slices` does not matter. What other Services claim is not looked at: see claims.ts.
 *
 * @param slices the Service's EndpointSlices; of its own namespace and name
 */
export function compile(
  service: Service,
  slices: readonly EndpointSlice[],
  context: CompileContext,
): ServicePlan {
  const issues = new Issues();
  const plans: PortPlan[] = [];
  const families = serviceFamilies(service, context, issues);
  const ports = families.length === 0 ? [] : usablePorts(service, issues);
  const ordered = inOrder(slices);
  const localIPs = hasHealthCheck(service) ? new Map<Family, Set<string>>() : undefined;
  for (const addresses of families) {
    localIPs?.set(addresses.family, new Set());
    for (const port of ports) {
      const candidates = gatherEndpoints(ordered, addresses.family, port, context.nodeName, issues);
      plans.push(planPort(service, port, addresses, candidates, context));
      addLocalIPs(candidates, localIPs?.get(addresses.family));
    }
  }
  return {
    name: serviceName(service),
    namespace: service.namespace,
    service: service.name,
    createdAt: service.createdAt,
    // A copy has no places in reserve, of which an array that grew has 16.
    ports: plans.slice(),
    issues: issues.list(),
    ...(localIPs !== undefined && localIPs.size > 0 && { healthCheck: healthCheck(service, localIPs) }),
  };
}

function serviceFamilies(
  service: Service,
  context: CompileContext,
  issues: Issues,
): readonly FamilyAddresses[] {
  const addresses = serviceAddresses(service, context, issues);
  return addresses.length > 0 && hasUsableName(service, issues) ? addresses : [];
}

function planPort(
  service: Service,
  port: ServicePort,
  addresses: FamilyAddresses,
  candidates: Candidates,
  context: CompileContext,
): PortPlan {
  const policies = policiesOf(service, port, addresses);
  const { cluster, local, serving, excluded, hasEndpoints } = categorizeEndpoints(
    candidates,
    policies,
    context,
  );
  return {
    key: [`${serviceName(service)}:${port.name}`, port.protocol, addresses.family].join('/'),
    portName: port.name,
    protocol: port.protocol,
    family: addresses.family,
    frontends: frontendsOf(service, port, addresses, policies, context),
    cluster,
    local,
    serving,
    excluded,
    hasEndpoints,
    affinitySeconds: service.affinitySeconds > 0 ? Math.ceil(service.affinitySeconds) : 0,
    sourceRanges: addresses.sourceRanges,
  };
}

/** By name: between duplicates that differ in nothing that counts, the first slice's wins. */
function inOrder(slices: readonly EndpointSlice[]): readonly EndpointSlice[] {
  if (slices.length < 2) return slices;
  return [...slices].sort((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}

function hasHealthCheck(service: Service): boolean {
  return (
    service.type === 'LoadBalancer' &&
    service.externalTrafficPolicy === 'Local' &&
    service.healthCheckNodePort > 0
  );
}

/** Only ready ones: a load balancer shall stop sending while terminating endpoints still serve what it sent. */
function addLocalIPs({ endpoints }: Candidates, ips: Set<string> | undefined): void {
  if (ips === undefined) return;
  for (const endpoint of endpoints) if (endpoint.onNode && endpoint.ready) ips.add(endpoint.address);
}

function healthCheck(service: Service, localIPs: ReadonlyMap<Family, ReadonlySet<string>>): HealthCheck {
  const counts = [...localIPs].map(([family, ips]) => [family, ips.size] as const);
  return { port: service.healthCheckNodePort, localEndpoints: Object.fromEntries(counts) };
}
