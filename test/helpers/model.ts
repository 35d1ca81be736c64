// Model objects for tests: sensible defaults, and what a test is about on top.

import type { CompileContext } from '../../src/compile/context.js';
import type { Endpoint, EndpointSlice } from '../../src/model/endpoint.js';
import type { Service, ServicePort } from '../../src/model/service.js';

export const NODE = 'node-1';

/** Node 192.0.2.1 / 2001:db8::1 in no zone, local pods known in both families. */
export function makeContext(changes: Partial<CompileContext> = {}): CompileContext {
  return {
    nodeName: NODE,
    zone: '',
    nodePortAddresses: { IPv4: ['192.0.2.1'], IPv6: ['2001:db8::1'] },
    localhostNodePorts: false,
    nodeIPs: ['192.0.2.1', '2001:db8::1'],
    interfaceAddresses: [
      { interface: 'eth0', address: '192.0.2.1' },
      { interface: 'eth0', address: '2001:db8::1' },
    ],
    localDetector: { IPv4: true, IPv6: true },
    masqueradeAll: false,
    ...changes,
  };
}

export function makePort(changes: Partial<ServicePort> = {}): ServicePort {
  return { name: 'http', protocol: 'TCP', port: 80, nodePort: 0, ...changes };
}

/** shop/web, a ClusterIP Service at 10.96.0.10:80. */
export function makeService(changes: Partial<Service> = {}): Service {
  return {
    namespace: 'shop',
    name: 'web',
    createdAt: 1_000,
    type: 'ClusterIP',
    clusterIP: '10.96.0.10',
    clusterIPs: ['10.96.0.10'],
    ipFamilies: ['IPv4'],
    ports: [makePort()],
    externalIPs: [],
    loadBalancerIngress: [],
    loadBalancerSourceRanges: [],
    affinitySeconds: 0,
    externalTrafficPolicy: 'Cluster',
    internalTrafficPolicy: 'Cluster',
    healthCheckNodePort: 0,
    socketHook: true,
    ...changes,
  };
}

/** Ready, on another node. */
export function makeEndpoint(address: string, changes: Partial<Endpoint> = {}): Endpoint {
  return {
    address,
    ready: true,
    serving: true,
    terminating: false,
    nodeName: 'node-2',
    pod: '',
    zoneHints: [],
    nodeHints: [],
    ...changes,
  };
}

/** A slice of shop/web, port http 8080. */
export function makeSlice(
  endpoints: readonly Endpoint[],
  changes: Partial<EndpointSlice> = {},
): EndpointSlice {
  return {
    namespace: 'shop',
    name: 'web-1',
    service: 'shop/web',
    family: 'IPv4',
    ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    endpoints,
    ...changes,
  };
}
