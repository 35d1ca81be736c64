// Plans to program.

import type { Frontend, PlanEndpoint, PortPlan, ServicePlan } from '../../src/compile/plan.js';

export function endpoint(address: string, port = 8080, rest: Partial<PlanEndpoint> = {}): PlanEndpoint {
  return {
    address,
    port,
    ready: true,
    serving: true,
    terminating: false,
    onNode: false,
    nodeName: 'node-a',
    pod: '',
    ...rest,
  };
}

export function clusterIP(address: string, port = 80, rest: Partial<Frontend> = {}): Frontend {
  return {
    address,
    port,
    protocol: 'TCP',
    kind: 'cluster-ip',
    list: 'cluster',
    shortCircuit: false,
    masquerade: 'off-pod',
    restricted: false,
    socket: true,
    localhost: false,
    ...rest,
  };
}

export function service(
  name: string,
  frontends: readonly Frontend[],
  endpoints: readonly PlanEndpoint[],
  rest: Partial<PortPlan> = {},
): ServicePlan {
  const first = frontends[0];
  const family = first?.address.includes(':') ? 'IPv6' : 'IPv4';
  const protocol = first?.protocol ?? 'TCP';
  const port: PortPlan = {
    key: `shop/${name}:http/${protocol}/${family}`,
    portName: 'http',
    protocol,
    family,
    frontends,
    cluster: endpoints,
    local: [],
    serving: endpoints,
    excluded: [],
    hasEndpoints: endpoints.length > 0,
    affinitySeconds: 0,
    sourceRanges: [],
    ...rest,
  };
  return { name: `shop/${name}`, namespace: 'shop', service: name, createdAt: 0, ports: [port], issues: [] };
}

/** Services `from` .. `to` - 1, each with a cluster IP and so many endpoints. */
export function many(from: number, to: number, endpoints: number): ServicePlan[] {
  const plans: ServicePlan[] = [];
  for (let i = from; i < to; i++) {
    const list = Array.from({ length: endpoints }, (_, j) =>
      endpoint(`10.${100 + (i >> 8)}.${i & 255}.${j + 1}`),
    );
    plans.push(service(`s${i}`, [clusterIP(`10.96.${i >> 8}.${i & 255}`)], list));
  }
  return plans;
}

export function changesOf(plans: readonly ServicePlan[]): { name: string; plan: ServicePlan }[] {
  return plans.map((plan) => ({ name: plan.name, plan }));
}
