// Node ports, those of health checks included. Pure.

import type { Protocol, ServiceName } from '../../model/service.js';
import { complain, type Draft, type Ledger, type PortRequest } from './ledger.js';
import { findFree, fixedBand, type Pool } from './ranges.js';

/** Takes the node ports that the Service asks for, or holds already. */
export function claimPorts(ledger: Ledger, draft: Draft): void {
  const { request, held } = draft;
  for (const port of request.ports) claimNodePort(ledger, draft, port);
  if (!request.wantsHealthCheck) return;
  const asked = request.healthCheckNodePort;
  const number = asked || held?.healthCheckNodePort || 0;
  const what = asked ? `healthCheckNodePort ${asked}` : undefined;
  if (number !== 0 && takePort(ledger, draft, number, what)) draft.healthCheckNodePort = number;
}

/** Finds the node ports that are still missing. */
export function fillPorts(ledger: Ledger, draft: Draft): void {
  const { request } = draft;
  if (request.wantsNodePorts) for (const port of request.ports) fillNodePort(ledger, draft, port);
  if (request.wantsHealthCheck && draft.healthCheckNodePort === 0 && request.healthCheckNodePort === 0) {
    draft.healthCheckNodePort = freePort(ledger, request.name, 'health check');
  }
}

function claimNodePort(ledger: Ledger, draft: Draft, { protocol, port, nodePort: asked }: PortRequest): void {
  const key = `${protocol}/${port}`;
  const number = asked || (draft.request.wantsNodePorts ? (draft.held?.nodePorts[key] ?? 0) : 0);
  if (number === 0) return;
  const what = asked ? `nodePort ${asked}` : undefined;
  if (takePort(ledger, draft, number, what, protocol)) draft.nodePorts.set(key, number);
  else if (asked) draft.refused.add(key);
}

/**
 * Takes a node port; one Service may have the same number for several protocols.
 *
 * @param what for the message when it is not free; undefined: no message, another will be found.
 */
function takePort(ledger: Ledger, draft: Draft, number: number, what?: string, protocol?: Protocol): boolean {
  const { from, to } = ledger.pools.nodePorts;
  const { name } = draft.request;
  const say = (message: string) => what !== undefined && complain(ledger, name, `${what} ${message}`);
  if (number < from || number > to) {
    say(`is not in the node port range ${from}-${to}`);
    return false;
  }
  const owner = ledger.ports.get(number);
  if (owner !== undefined && owner !== name) {
    say(`belongs to Service ${owner}, which came first; choose another`);
    return false;
  }
  if (owner === name && !sharable(draft, number, protocol)) {
    say('is used twice in this Service');
    return false;
  }
  ledger.ports.set(number, name);
  return true;
}

/** Is the number still free in this Service for that protocol? Health checks share theirs with nothing. */
function sharable(draft: Draft, number: number, protocol: Protocol | undefined): boolean {
  if (protocol === undefined || draft.healthCheckNodePort === number) return false;
  return ![...draft.nodePorts].some(([key, taken]) => taken === number && key.startsWith(`${protocol}/`));
}

/** Like the API server: the same port of another protocol (DNS) gets the same node port. */
function fillNodePort(ledger: Ledger, draft: Draft, { protocol, port }: PortRequest): void {
  const key = `${protocol}/${port}`;
  if (draft.nodePorts.has(key) || draft.refused.has(key)) return;
  const twin = [...draft.nodePorts].find(([other]) => other.endsWith(`/${port}`))?.[1];
  const shared = twin !== undefined && sharable(draft, twin, protocol);
  const number = shared ? twin : freePort(ledger, draft.request.name, key);
  if (number !== 0) draft.nodePorts.set(key, number);
}

/** @returns 0 when none is free. */
function freePort(ledger: Ledger, name: ServiceName, purpose: string): number {
  const { nodePorts } = ledger.pools;
  const { from, to } = nodePorts;
  const size = to - from + 1;
  const pool: Pool = { size, fixed: fixedBand(size, 32, 128) };
  const free = (i: number) => !ledger.ports.has(from + i);
  const index = ledger.exhausted.has(nodePorts) ? undefined : findFree(pool, `${name} ${purpose}`, free);
  if (index !== undefined) {
    ledger.ports.set(from + index, name);
    return from + index;
  }
  ledger.exhausted.add(nodePorts);
  complain(ledger, name, `gets no node port for ${purpose}: every port of ${from}-${to} is taken`);
  return 0;
}
