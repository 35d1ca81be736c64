// Between the words of plans and the numbers of bpf/abi.h.

import { EndpointFlags, FrontendFlags, Kind } from '../../abi/layout.gen.js';
import type { Frontend, FrontendKind, PortPlan } from '../../compile/plan.js';
import type { Family, Protocol } from '../../model/service.js';
import type { EndpointState, ProgrammedFrontend } from './state.js';

/** Protocol numbers (IANA registry "Protocol Numbers"). */
export const IPPROTO: Readonly<Record<Protocol, number>> = { TCP: 6, UDP: 17, SCTP: 132 };

const KINDS: Readonly<Record<FrontendKind, number>> = {
  'cluster-ip': Kind.CLUSTER_IP,
  'node-port': Kind.NODE_PORT,
  'external-ip': Kind.EXTERNAL_IP,
  'load-balancer': Kind.LOAD_BALANCER,
};

const PROTOCOL_NAMES = new Map(Object.entries(IPPROTO).map(([name, number]) => [number, name as Protocol]));
const KIND_NAMES = new Map(Object.entries(KINDS).map(([name, number]) => [number, name as FrontendKind]));

/** @throws Error for a number that no Service has: the map is damaged, or of another version */
export function protocolName(number: number): Protocol {
  return known(PROTOCOL_NAMES.get(number), `protocol ${number}`);
}

/** @throws Error as `protocolName` */
export function kindName(number: number): FrontendKind {
  return known(KIND_NAMES.get(number), `kind ${number}`);
}

export function kindNumber(kind: FrontendKind): number {
  return KINDS[kind];
}

export function familyNumber(family: Family): 4 | 6 {
  return family === 'IPv4' ? 4 : 6;
}

export function familyName(number: number): Family {
  return number === 4 ? 'IPv4' : 'IPv6';
}

/**
 * enum pl_frontend_flags of a frontend.
 * @param preserve option preserveClientAddress: external clients are not masqueraded on the way to an endpoint of this node
 */
export function frontendFlags(port: PortPlan, frontend: Frontend, preserve: boolean): number {
  const external = frontend.kind !== 'cluster-ip';
  let flags = 0;
  if (frontend.list === 'local') flags |= FrontendFlags.LOCAL;
  if (frontend.shortCircuit) flags |= FrontendFlags.SHORT_CIRCUIT;
  if (frontend.masquerade === 'always') flags |= FrontendFlags.MASQ;
  if (frontend.masquerade === 'off-pod') flags |= FrontendFlags.MASQ_OFF_POD;
  if (frontend.restricted) flags |= FrontendFlags.SOURCE_RANGES;
  if (port.hasEndpoints) flags |= FrontendFlags.HAS_ENDPOINTS;
  if (frontend.socket !== true) flags |= FrontendFlags.NO_SOCKET;
  if (frontend.localhost) flags |= FrontendFlags.LOCALHOST;
  if (preserve && external && frontend.masquerade === 'always') flags |= FrontendFlags.KEEP_LOCAL_CLIENT;
  return flags;
}

export function hasFlag(
  frontend: Pick<ProgrammedFrontend, 'flags'>,
  flag: keyof typeof FrontendFlags,
): boolean {
  return (frontend.flags & FrontendFlags[flag]) !== 0;
}

/** enum pl_endpoint_flags. */
export function endpointFlags(endpoint: EndpointState): number {
  let flags = 0;
  if (endpoint.onNode) flags |= EndpointFlags.ON_NODE;
  if (endpoint.ready) flags |= EndpointFlags.READY;
  if (endpoint.serving) flags |= EndpointFlags.SERVING;
  if (endpoint.terminating) flags |= EndpointFlags.TERMINATING;
  return flags;
}

export function endpointOf(address: string, port: number, flags: number): EndpointState {
  return {
    address,
    port,
    onNode: (flags & EndpointFlags.ON_NODE) !== 0,
    ready: (flags & EndpointFlags.READY) !== 0,
    serving: (flags & EndpointFlags.SERVING) !== 0,
    terminating: (flags & EndpointFlags.TERMINATING) !== 0,
  };
}

function known<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`a map holds ${what}, which this version does not know`);
  return value;
}
