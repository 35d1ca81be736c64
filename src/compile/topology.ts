// Which of a Service port's ready endpoints are meant for this node: the hints of its EndpointSlices. Only the cluster
// list looks at them.

import type { Endpoint } from '../model/endpoint.js';
import type { CompileContext } from './context.js';
import type { PlanEndpoint } from './plan.js';

export type TopologyMode = 'node' | 'zone' | undefined;

/** Which slice entry an endpoint came from; only filled where some entry has hints. */
export type Origins = ReadonlyMap<PlanEndpoint, Endpoint>;

type Place = Pick<CompileContext, 'nodeName' | 'zone'>;

/**
 * Hints count only when every ready endpoint has some and at least one is for this node, or else for its zone: half the
 * hints, or none for us, would leave us without endpoints.
 */
export function topologyMode(
  endpoints: readonly PlanEndpoint[],
  origins: Origins,
  place: Place,
): TopologyMode {
  if (origins.size === 0) return undefined;
  let allNode = true;
  let allZone = true;
  let forNode = false;
  let forZone = false;
  for (const endpoint of endpoints) {
    if (!endpoint.ready) continue;
    const origin = origins.get(endpoint);
    const { nodeHints, zoneHints } = origin ?? NO_HINTS;
    allNode &&= nodeHints.length > 0;
    allZone &&= zoneHints.length > 0;
    forNode ||= nodeHints.includes(place.nodeName);
    forZone ||= place.zone !== '' && zoneHints.includes(place.zone);
  }
  if (allNode && forNode) return 'node';
  return allZone && forZone ? 'zone' : undefined;
}

export function isHinted(
  endpoint: PlanEndpoint,
  mode: TopologyMode,
  origins: Origins,
  place: Place,
): boolean {
  if (mode === undefined) return true;
  const { nodeHints, zoneHints } = origins.get(endpoint) ?? NO_HINTS;
  return mode === 'node' ? nodeHints.includes(place.nodeName) : zoneHints.includes(place.zone);
}

const NO_HINTS: Pick<Endpoint, 'nodeHints' | 'zoneHints'> = { nodeHints: [], zoneHints: [] };
