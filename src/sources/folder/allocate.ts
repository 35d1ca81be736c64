// Cluster IPs and node ports: what the API server's allocators do. Pure and deterministic: the same requests and the same
// holdings give the same grants.

import type { Family, ServiceName } from '../../model/service.js';
import { claimPorts, fillPorts } from './allocate-ports.js';
import {
  type Allocation,
  complain,
  type Draft,
  type Grant,
  type Holding,
  type Ledger,
  type Pools,
  type Request,
} from './ledger.js';
import { findFree, inPool } from './ranges.js';

/**
 * Gives every request what it asks for or holds, the oldest first; then whatever is missing, from the ranges.
 *
 * @param held what Services were given before; those of `reserved` Services are not touched.
 * @param reserved Services whose manifests cannot be read now: they keep what they hold.
 */
export function allocate(
  requests: readonly Request[],
  held: ReadonlyMap<ServiceName, Holding>,
  reserved: readonly ServiceName[],
  pools: Pools,
): Allocation {
  const ledger: Ledger = {
    pools,
    addresses: new Map(),
    ports: new Map(),
    problems: [],
    exhausted: new Set(),
  };
  for (const name of reserved) reserve(ledger, name, held.get(name));
  const byAge = [...requests].sort((a, b) => a.createdAt - b.createdAt || (a.name < b.name ? -1 : 1));
  const drafts = byAge.map((request) => createDraft(ledger, request, held.get(request.name)));
  for (const draft of drafts) {
    for (const family of draft.families) claimAddress(ledger, draft, family);
    claimPorts(ledger, draft);
  }
  for (const draft of drafts) {
    for (const family of draft.families) fillAddress(ledger, draft, family);
    fillPorts(ledger, draft);
  }
  return {
    grants: new Map(drafts.map((draft) => [draft.request.name, grant(draft)])),
    problems: ledger.problems,
  };
}

function reserve(ledger: Ledger, name: ServiceName, holding: Holding | undefined): void {
  if (!holding) return;
  for (const address of holding.clusterIPs) ledger.addresses.set(address, name);
  for (const port of [...Object.values(holding.nodePorts), holding.healthCheckNodePort]) {
    if (port !== 0) ledger.ports.set(port, name);
  }
}

function createDraft(ledger: Ledger, request: Request, held: Holding | undefined): Draft {
  const families = request.wantsClusterIP ? familiesOf(ledger, request, held) : [];
  return {
    request,
    held,
    families,
    clusterIPs: new Map(),
    nodePorts: new Map(),
    healthCheckNodePort: 0,
    refused: new Set(),
  };
}

/** The families that the Service is to have, the primary one first. */
function familiesOf(ledger: Ledger, request: Request, held: Holding | undefined): readonly Family[] {
  const { pools } = ledger;
  const asked = request.clusterIPs.map((address) => familyOf(address));
  const before = held?.clusterIPs.map((address) => familyOf(address)) ?? [];
  const order = [request.ipFamilies, asked, before, pools.addresses.map((pool) => pool.family)];
  const named = order.find((families) => families.length > 0) ?? [];
  const two = Math.max(asked.length, request.ipFamilies.length) === 2;
  const policy = request.policy || (two ? 'RequireDualStack' : 'SingleStack');
  const primary = named[0];
  if (!primary) return [];
  const other = primary === 'IPv4' ? 'IPv6' : 'IPv4';
  const wanted: readonly Family[] = policy === 'SingleStack' ? [primary] : [primary, other];
  return wanted.filter((family) => {
    const possible = asked.includes(family) || pools.addresses.some((pool) => pool.family === family);
    if (!possible && (family === primary || policy === 'RequireDualStack')) {
      complain(
        ledger,
        request.name,
        `needs an ${family} cluster IP, but there is no service range of ${family}`,
      );
    }
    return possible;
  });
}

function claimAddress(ledger: Ledger, draft: Draft, family: Family): void {
  const { request, held } = draft;
  const ofFamily = (address: string) => familyOf(address) === family;
  const asked = request.clusterIPs.find(ofFamily);
  const address = asked ?? held?.clusterIPs.find(ofFamily);
  if (address === undefined) return;
  const inRange = ledger.pools.addresses.some((pool) => inPool(pool, address));
  if (asked === undefined && !inRange) return;
  const owner = ledger.addresses.get(address);
  if (owner === undefined) {
    ledger.addresses.set(address, request.name);
    draft.clusterIPs.set(family, address);
    if (!inRange)
      complain(ledger, request.name, `cluster IP ${address} is outside the service ranges`, 'info');
  } else if (asked !== undefined) {
    draft.refused.add(family);
    complain(
      ledger,
      request.name,
      `cluster IP ${address} belongs to Service ${owner}, which came first; choose another`,
    );
  }
}

function fillAddress(ledger: Ledger, draft: Draft, family: Family): void {
  const { name } = draft.request;
  if (draft.clusterIPs.has(family) || draft.refused.has(family)) return;
  const pools = ledger.pools.addresses.filter((pool) => pool.family === family);
  for (const pool of pools.filter((candidate) => !ledger.exhausted.has(candidate))) {
    const index = findFree(pool, name, (i) => !ledger.addresses.has(pool.address(i)));
    if (index === undefined) {
      ledger.exhausted.add(pool);
      continue;
    }
    const address = pool.address(index);
    ledger.addresses.set(address, name);
    draft.clusterIPs.set(family, address);
    return;
  }
  complain(ledger, name, `gets no ${family} cluster IP: every address of the service ranges is taken`);
}

function grant({ families, clusterIPs, nodePorts, healthCheckNodePort }: Draft): Grant {
  const ipFamilies = families.filter((family) => clusterIPs.has(family));
  const addresses = ipFamilies.map((family) => clusterIPs.get(family)!);
  return { clusterIPs: addresses, ipFamilies, nodePorts: Object.fromEntries(nodePorts), healthCheckNodePort };
}

/** Of canonical text, in which an IPv4 address has no other form. */
function familyOf(address: string): Family {
  return address.includes(':') ? 'IPv6' : 'IPv4';
}
