// EndpointSlices as they are kept: by column, and with what many endpoints share in memory once. A slice is looked at only
// when its Service is compiled; a hundred thousand endpoints as objects would take 9 MiB until then.

import type { Endpoint, EndpointSlice } from './endpoint.js';

/** What an endpoint has in common with others: all but its address and its pod. */
type Circumstances = Omit<Endpoint, 'address' | 'pod'>;

/** The three lists are parallel. */
export interface PackedSlice extends Omit<EndpointSlice, 'endpoints'> {
  readonly addresses: readonly string[];
  readonly pods: readonly string[];
  readonly circumstances: readonly Circumstances[];
}

/** Beyond this many nodes the pool is forgotten and begins anew, so that it cannot grow for ever. */
const POOL_LIMIT = 16_384;
/** And beyond this many circumstances of one node those of that node. */
const NODE_LIMIT = 64;

export class SlicePacker {
  readonly #byNode = new Map<string, Circumstances[]>();

  pack({ namespace, name, service, family, ports, endpoints }: EndpointSlice): PackedSlice {
    return {
      namespace,
      name,
      service,
      family,
      ports,
      addresses: endpoints.map(({ address }) => address),
      pods: endpoints.map(({ pod }) => pod),
      circumstances: endpoints.map((endpoint) => this.#shared(endpoint)),
    };
  }

  #shared(endpoint: Endpoint): Circumstances {
    const { ready, serving, terminating, nodeName, zoneHints, nodeHints } = endpoint;
    let known = this.#byNode.get(nodeName);
    const same = known?.find((circumstances) => sameCircumstances(circumstances, endpoint));
    if (same !== undefined) return same;
    if (known === undefined || known.length >= NODE_LIMIT) {
      if (this.#byNode.size >= POOL_LIMIT) this.#byNode.clear();
      known = [];
      this.#byNode.set(nodeName, known);
    }
    const circumstances = { ready, serving, terminating, nodeName, zoneHints, nodeHints };
    known.push(circumstances);
    return circumstances;
  }
}

/** @returns a slice equal to the one that was packed. */
export function unpackSlice(packed: PackedSlice): EndpointSlice {
  const { namespace, name, service, family, ports, addresses, pods, circumstances } = packed;
  const endpoints = addresses.map((address, i): Endpoint => {
    const { ready, serving, terminating, nodeName, zoneHints, nodeHints } = circumstances[i]!;
    return { address, ready, serving, terminating, nodeName, pod: pods[i]!, zoneHints, nodeHints };
  });
  return { namespace, name, service, family, ports, endpoints };
}

function sameCircumstances(a: Circumstances, b: Circumstances): boolean {
  return (
    a.ready === b.ready &&
    a.serving === b.serving &&
    a.terminating === b.terminating &&
    sameStrings(a.zoneHints, b.zoneHints) &&
    sameStrings(a.nodeHints, b.nodeHints)
  );
}

/** The same texts in the same order? */
export function sameStrings(a: readonly string[], b: readonly string[]): boolean {
  return a === b || (a.length === b.length && a.every((text, i) => text === b[i]));
}
