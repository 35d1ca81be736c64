// Where a Service port is reached on this node, and under which rules: the decision table of semantics.md 1.5.
//
// Masquerade is decided for clients whose packets a device carries: pods of this node (P) and clients elsewhere (X). Under
// externalTrafficPolicy Local nobody of those is masqueraded: X keeps its address, P short-circuits unmasqueraded. The
// node's own processes (N), whom kube-proxy masquerades on the short circuit, never meet a device's ingress: the socket
// hook serves them, and it has no addresses to masquerade.

import type { Service, ServicePort } from '../model/service.js';
import type { CompileContext } from './context.js';
import type { Frontend, FrontendKind, Masquerade, SocketExclusion } from './plan.js';
import type { FamilyAddresses } from './service-addresses.js';

/** Which traffic policies count for one Service port in one family. */
export interface Policies {
  /** internalTrafficPolicy is Local. */
  readonly internalLocal: boolean;
  /** externalTrafficPolicy is Local, and there is something external that it applies to. */
  readonly externalLocal: boolean;
  /** Is the cluster list ever used? Also under externalTrafficPolicy Local: for the short circuit. */
  readonly usesCluster: boolean;
  readonly usesLocal: boolean;
}

const LOCALHOST = { IPv4: '127.0.0.1', IPv6: '::1' } as const;

export function policiesOf(service: Service, port: ServicePort, addresses: FamilyAddresses): Policies {
  const external =
    port.nodePort !== 0 || addresses.externalIPs.length > 0 || addresses.loadBalancerIPs.length > 0;
  const internalLocal = service.internalTrafficPolicy === 'Local';
  const externalLocal = external && hasExternalLocal(service);
  return {
    internalLocal,
    externalLocal,
    usesCluster: !internalLocal || external,
    usesLocal: internalLocal || externalLocal,
  };
}

/** externalTrafficPolicy counts for types that can be reached from outside only. */
function hasExternalLocal(service: Service): boolean {
  if (service.externalTrafficPolicy !== 'Local') return false;
  return service.type !== 'ClusterIP' || service.externalIPs.some((ip) => ip !== '');
}

/** In the order in which they win where one address serves twice: cluster IP, external, load balancer, node port. */
export function frontendsOf(
  service: Service,
  port: ServicePort,
  addresses: FamilyAddresses,
  policies: Policies,
  context: CompileContext,
): readonly Frontend[] {
  const frontends: Frontend[] = [];
  const at = (kind: FrontendKind, address: string, number: number, restricted = false) => {
    const rules =
      kind === 'cluster-ip'
        ? clusterRules(addresses, policies, context)
        : externalRules(addresses, policies, context);
    const socket = socketUse(service, port, rules.masquerade, restricted, context);
    frontends.push({
      address,
      port: number,
      protocol: port.protocol,
      kind,
      ...rules,
      restricted,
      socket,
      localhost: false,
    });
  };
  if (addresses.clusterIPOwner === '') at('cluster-ip', addresses.clusterIP, port.port);
  for (const ip of addresses.externalIPs) at('external-ip', ip, port.port);
  for (const ip of addresses.loadBalancerIPs) {
    at('load-balancer', ip, port.port, addresses.sourceRanges.length > 0);
  }
  if (port.nodePort !== 0) {
    for (const ip of context.nodePortAddresses[addresses.family]) {
      if (!isOwnVip(ip, port.nodePort, service, port, addresses)) at('node-port', ip, port.nodePort);
    }
    if (context.localhostNodePorts) pushLocalhost(frontends, service, port, addresses, context);
  }
  // A copy has no places in reserve, of which an array that grew has 16.
  return frontends.slice();
}

interface Rules {
  readonly list: Frontend['list'];
  readonly shortCircuit: boolean;
  readonly masquerade: Masquerade;
}

function clusterRules(addresses: FamilyAddresses, policies: Policies, context: CompileContext): Rules {
  const offPod: Masquerade = context.localDetector[addresses.family] ? 'off-pod' : 'never';
  return {
    list: policies.internalLocal ? 'local' : 'cluster',
    shortCircuit: false,
    masquerade: context.masqueradeAll ? 'always' : offPod,
  };
}

function externalRules(addresses: FamilyAddresses, policies: Policies, context: CompileContext): Rules {
  if (!policies.externalLocal) return { list: 'cluster', shortCircuit: false, masquerade: 'always' };
  return { list: 'local', shortCircuit: context.localDetector[addresses.family], masquerade: 'never' };
}

/** The socket hook knows neither the source address nor how to masquerade, and SCTP associations are not sockets' alone. */
function socketUse(
  service: Service,
  port: ServicePort,
  masquerade: Masquerade,
  restricted: boolean,
  context: CompileContext,
): true | SocketExclusion {
  if (!service.socketHook) return 'annotation';
  if (port.protocol === 'SCTP') return 'sctp';
  if (restricted) return 'source-ranges';
  return context.masqueradeAll && masquerade === 'always' ? 'masquerade-all' : true;
}

/** An address that is both a node's and the Service's own VIP, on the same port: the VIP wins, as under kube-proxy. */
function isOwnVip(
  ip: string,
  nodePort: number,
  service: Service,
  { protocol }: ServicePort,
  addresses: FamilyAddresses,
): boolean {
  if (!service.ports.some((port) => port.port === nodePort && port.protocol === protocol)) return false;
  return (
    ip === addresses.clusterIP || addresses.externalIPs.includes(ip) || addresses.loadBalancerIPs.includes(ip)
  );
}

/** Only the node's own processes get there, through the socket hook: they always have the cluster list. */
function pushLocalhost(
  frontends: Frontend[],
  service: Service,
  port: ServicePort,
  addresses: FamilyAddresses,
  context: CompileContext,
): void {
  const socket = socketUse(service, port, context.masqueradeAll ? 'always' : 'never', false, context);
  if (socket !== true) return;
  frontends.push({
    address: LOCALHOST[addresses.family],
    port: port.nodePort,
    protocol: port.protocol,
    kind: 'node-port',
    list: 'cluster',
    shortCircuit: false,
    masquerade: 'never',
    restricted: false,
    socket,
    localhost: true,
  });
}
