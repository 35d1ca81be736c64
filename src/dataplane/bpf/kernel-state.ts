// Reads the agent's own maps into the words that adoption and dumps are written in.

import { AddressFlags } from '../../abi/layout.gen.js';
import { formatAddress } from '../../lib/ip.js';
import type { KernelState } from './adopt.js';
import { decodeEndpoint, decodeFrontend, decodeLabel, decodeRange } from './encode.js';
import type { BpfMaps } from './maps.js';

/**
 * @throws NativeError when a map cannot be read, Error when it holds what this version does not know
 */
export async function readKernelState(maps: BpfMaps): Promise<KernelState> {
  const meta = await readIds(maps);
  const services = await maps.services.dump();
  const stats = await maps.service_stats.dump();
  const frontends = await maps.frontends.dump();
  const slots = await maps.slots.dump();
  const members = await maps.members.dump();
  const backends = await maps.backends.dump();
  const ranges = await maps.source_ranges.dump();
  const addresses = await maps.addresses.dump();
  return {
    meta,
    services: new Map(services.map(([id, value]) => [id, decodeLabel(value)])),
    stats: stats.map(([id]) => id),
    frontends: frontends.map(([key, value]) => decodeFrontend(key, value)),
    slots: slots.map(([{ set, index }, { addr, port, flags, service }]) => ({
      map: 'slots',
      set,
      index,
      service,
      endpoint: decodeEndpoint(addr, port, flags),
    })),
    members: members.map(([{ set, addr, port }, { index }]) => ({
      map: 'members',
      set,
      index,
      endpoint: decodeEndpoint(addr, port, 0),
    })),
    backends: backends.map(([{ service, addr, port }, { flags }]) => ({
      map: 'backends',
      service,
      endpoint: decodeEndpoint(addr, port, flags),
      before: undefined,
    })),
    ranges: ranges.flatMap(([key]) => {
      const range = decodeRange(key);
      return range === undefined ? [] : [{ map: 'source_ranges' as const, service: key.service, range }];
    }),
    addresses: addresses.map(([addr, { portMin, portMax, flags }]) => ({
      map: 'addresses',
      address: formatAddress(addr),
      portMin,
      portMax,
      clusterIP: (flags & AddressFlags.CLUSTER_IP) !== 0,
    })),
  };
}

/**
 * The first ids that nothing can name. `meta` says it, as it is written before ids are used; where it was lost, flows and
 * sockets still name old ones.
 */
async function readIds(maps: BpfMaps): Promise<{ service: number; set: number }> {
  const meta = maps.meta.get(0);
  if (meta && meta.nextService > 0) return { service: meta.nextService, set: meta.nextSet };
  let service = 0;
  let set = 0;
  for (const map of [maps.flows, maps.opening])
    for (const [, flow] of await map.dump()) {
      service = Math.max(service, flow.service);
      set = Math.max(set, flow.set);
    }
  for (const [key] of await maps.affinity.dump()) service = Math.max(service, key.service);
  for (const [, socket] of await maps.sockets.dump()) service = Math.max(service, socket.service);
  for (const [, peer] of await maps.peers.dump()) service = Math.max(service, peer.service);
  return { service: service + 1, set: set + 1 };
}
