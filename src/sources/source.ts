// The one interface behind which Services come: from an API server, or from a folder.

import type { EndpointSlice } from '../model/endpoint.js';
import type { Node } from '../model/node.js';
import type { Service, ServiceName } from '../model/service.js';

/** What a source found wrong with one of its objects, for people. */
export interface SourceProblem {
  /** Where: `shop.yaml:12`, or `Service shop/web`. */
  readonly where: string;
  readonly message: string;
  /** Is there something to do about it? `info`: harmless, only worth knowing. Absent: `warning`. */
  readonly severity?: 'info' | 'warning';
}

/**
 * Takes what a source knows. Calls are cheap and do no IO; the agent gathers them and acts later. A source tells only
 * changes, each with the whole new object.
 */
export interface SourceSink {
  service(name: ServiceName, service: Service | undefined): void;
  /** `id` is the slice's `namespace/name`. */
  slice(id: string, slice: EndpointSlice | undefined): void;
  /** This node's own object; undefined where it does not exist. */
  node(node: Node | undefined): void;
  /** CIDRs from which cluster IPs are taken, both families. */
  serviceRanges(cidrs: readonly string[]): void;
  /** Everything that existed at the start has been told. Called once. */
  synced(): void;
  /** Something is wrong; what was in force stays in force. */
  problem(problem: SourceProblem): void;
}

export interface Source {
  /** For logs: `folder examples/shop`, `https://10.0.0.1:6443`. */
  readonly description: string;
  /**
   * Begins to fill the sink and goes on until the signal. Resolves when the source has stopped; rejects only when it
   * can never work (the folder does not exist, the kubeconfig is unusable), before the first call of the sink.
   */
  run(sink: SourceSink, signal: AbortSignal): Promise<void>;
}
