// At which of this node's addresses node ports are served (semantics.md 1.7).

import type { InterfaceAddress } from '../model/node.js';
import type { Family } from '../model/service.js';
import { FAMILIES, familyOfAddress, hostRange, parseRange, unicastAddress } from './addresses.js';
import { IPVS_INTERFACE } from './service-addresses.js';

/**
 * - an empty list: every address of the node;
 * - CIDRs: addresses within one of them; a family that no CIDR names has all of its addresses;
 * - `primary`: the node's own addresses as the API has them; a family without one has all of its addresses.
 *
 * Loopback addresses are never among them, whatever the list says: the packet path cannot serve those. The socket hook
 * can, and CompileContext.localhostNodePorts is what asks for it. Nor are link-local ones, nor those of kube-ipvs0.
 *
 * @param config CIDRs, or `primary` alone; invalid ones are skipped
 * @param nodeIPs canonical, as CompileContext has them
 * @returns canonical, sorted
 */
export function resolveNodePortAddresses(
  config: readonly string[],
  nodeIPs: readonly string[],
  interfaceAddresses: readonly InterfaceAddress[],
): Readonly<Record<Family, readonly string[]>> {
  const wanted = config.includes('primary') ? nodeIPs.map(hostRange) : config;
  const ranges = wanted.map(parseRange).filter((range) => range !== undefined);
  const chosen: Record<Family, Set<string>> = { IPv4: new Set(), IPv6: new Set() };
  const open = new Set(FAMILIES.filter((family) => !ranges.some((range) => range.family === family)));
  for (const candidate of interfaceAddresses) {
    const address = candidate.interface === IPVS_INTERFACE ? undefined : unicastAddress(candidate.address);
    if (address === undefined) continue;
    const family = familyOfAddress(address);
    if (open.has(family) || ranges.some((range) => range.contains(address))) chosen[family].add(address);
  }
  return { IPv4: [...chosen.IPv4].sort(), IPv6: [...chosen.IPv6].sort() };
}
