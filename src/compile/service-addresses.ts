// The addresses of one Service, judged and sorted by family: cluster IP, external IPs, load balancer IPs, source ranges.

import type { Family, Service } from '../model/service.js';
import { FAMILIES, familyOfAddress, hostRange, parseRange, type Range, unicastAddress } from './addresses.js';
import type { CompileContext } from './context.js';
import { type Issues, quote } from './issues.js';

/** Every list is canonical and free of duplicates; an address is in one list only, the first of this order. */
export interface FamilyAddresses {
  readonly family: Family;
  readonly clusterIP: string;
  /** The cluster IP is an address of this interface, and whatever listens there keeps it; "" where it is not. */
  readonly clusterIPOwner: string;
  readonly externalIPs: readonly string[];
  readonly loadBalancerIPs: readonly string[];
  /** CIDRs that may use the load balancer IPs; empty: everybody may. */
  readonly sourceRanges: readonly string[];
}

/** Left behind by kube-proxy's ipvs mode with every VIP on it: not a listener's. */
export const IPVS_INTERFACE = 'kube-ipvs0';

const NONE: readonly never[] = Object.freeze([]);

/**
 * A Service exists in a family in which it has a cluster IP, and in no other: not even with external or load balancer IPs
 * of that family.
 *
 * @returns the families in which the Service exists.
 */
export function serviceAddresses(
  service: Service,
  context: CompileContext,
  issues: Issues,
): readonly FamilyAddresses[] {
  if (service.type === 'ExternalName' || service.clusterIP === '' || service.clusterIP === 'None')
    return NONE;
  const existing: FamilyAddresses[] = [];
  let shared: SharedAddresses | undefined;
  for (const family of FAMILIES) {
    const clusterIP = clusterIPOf(service, family, issues);
    if (clusterIP === '') continue;
    shared ??= sharedAddresses(service, issues);
    existing.push(familyAddresses(family, clusterIP, shared, context, issues));
  }
  return existing;
}

/** What is valid, of both families. */
interface SharedAddresses {
  readonly externalIPs: readonly string[];
  readonly loadBalancerIPs: readonly string[];
  readonly ranges: readonly Range[];
}

function sharedAddresses(service: Service, issues: Issues): SharedAddresses {
  const ingress = service.loadBalancerIngress.filter(({ mode }) => mode === 'VIP').map(({ ip }) => ip);
  return {
    externalIPs: validAddresses(service.externalIPs, 'spec.externalIPs', issues),
    loadBalancerIPs: validAddresses(ingress, 'status.loadBalancer.ingress', issues),
    ranges: validRanges(service.loadBalancerSourceRanges, issues),
  };
}

function familyAddresses(
  family: Family,
  clusterIP: string,
  shared: SharedAddresses,
  context: CompileContext,
  issues: Issues,
): FamilyAddresses {
  const seen = new Set([clusterIP]);
  const externalIPs = ofFamily(shared.externalIPs, family, seen);
  const loadBalancerIPs = ofFamily(shared.loadBalancerIPs, family, seen);
  return {
    family,
    clusterIP,
    clusterIPOwner: ownerOf(clusterIP, context, issues),
    externalIPs,
    loadBalancerIPs,
    sourceRanges: sourceRanges(shared.ranges, family, loadBalancerIPs, context),
  };
}

function clusterIPOf(service: Service, family: Family, issues: Issues): string {
  const text = writtenClusterIP(service, family);
  if (text === '') return '';
  const address = unicastAddress(text);
  if (address !== undefined && familyOfAddress(address) === family) return address;
  issues.add(
    'invalid-address',
    `cluster IP ${quote(text)} is not an ${family} address; not served in ${family}`,
  );
  return '';
}

/** Objects from before dual stack have no ipFamilies: their one cluster IP tells its family itself. */
function writtenClusterIP(service: Service, family: Family): string {
  if (service.ipFamilies.length === 0) {
    return service.clusterIP.includes(':') === (family === 'IPv6') ? service.clusterIP : '';
  }
  const index = service.ipFamilies.indexOf(family);
  return service.clusterIPs[index] ?? '';
}

function ownerOf(clusterIP: string, context: CompileContext, issues: Issues): string {
  const owner = context.interfaceAddresses.find(
    (candidate) => candidate.address === clusterIP && candidate.interface !== IPVS_INTERFACE,
  );
  if (owner === undefined) return '';
  issues.add(
    'local-address',
    `cluster IP ${clusterIP} is an address of interface ${owner.interface}; left to what listens there`,
  );
  return owner.interface;
}

function validAddresses(texts: readonly string[], field: string, issues: Issues): readonly string[] {
  if (texts.length === 0) return NONE;
  const valid: string[] = [];
  for (const text of texts) {
    if (text === '') continue;
    const address = unicastAddress(text);
    if (address !== undefined) valid.push(address);
    else issues.add('invalid-address', `${field}: ${quote(text)} is not a unicast address; skipped`);
  }
  return valid;
}

function ofFamily(addresses: readonly string[], family: Family, seen: Set<string>): readonly string[] {
  if (addresses.length === 0) return addresses;
  return addresses.filter((address) => {
    if (familyOfAddress(address) !== family || seen.has(address)) return false;
    seen.add(address);
    return true;
  });
}

function validRanges(texts: readonly string[], issues: Issues): readonly Range[] {
  if (texts.length === 0) return NONE;
  const valid: Range[] = [];
  for (const text of texts) {
    const range = parseRange(text);
    if (range !== undefined) valid.push(range);
    else issues.add('invalid-range', `spec.loadBalancerSourceRanges: ${quote(text)} is not a CIDR; skipped`);
  }
  return valid;
}

/**
 * None of the family, or one that is everything: unrestricted. Where a range holds this node, the Service's own load
 * balancer IPs are sources, too: what a node sends to a VIP that it has itself comes from that VIP.
 */
function sourceRanges(
  ranges: readonly Range[],
  family: Family,
  loadBalancerIPs: readonly string[],
  context: CompileContext,
): readonly string[] {
  if (ranges.length === 0 || loadBalancerIPs.length === 0) return NONE;
  const mine = ranges.filter((range) => range.family === family);
  if (mine.some((range) => range.all)) return NONE;
  const texts = new Set(mine.map((range) => range.text));
  if (context.nodeIPs.some((ip) => mine.some((range) => range.contains(ip)))) {
    for (const ip of loadBalancerIPs) texts.add(hostRange(ip));
  }
  return [...texts].sort();
}
