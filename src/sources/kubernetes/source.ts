// Services from a Kubernetes API server.

import { messageOf } from '../../lib/errors.js';
import type { Source, SourceSink } from '../source.js';
import { ApiError } from './api-error.js';
import { type Connection, ConnectionError } from './connection.js';
import { inClusterConnection } from './in-cluster.js';
import { kubeconfigConnection } from './kubeconfig.js';
import { Reflector, type ReflectorTiming } from './reflector.js';
import type { Resource, ResourceStatus } from './resource.js';
import { proxyResources } from './resources.js';
import { SyncGate } from './sync-gate.js';
import { Transport, type TransportTiming } from './transport.js';

export interface KubernetesTiming extends ReflectorTiming, TransportTiming {
  /** The server must answer a first request within so many milliseconds where its address is a Service address. */
  readonly probeMs: number;
  /** After all else has synced, ServiceCIDRs are waited for so many milliseconds more. */
  readonly rangesMs: number;
}

const TIMING: KubernetesTiming = {
  backoff: { minMs: 800, maxMs: 30_000 },
  healthyMs: 60_000,
  shortWatchMs: 1_000,
  initialEventsMs: 60_000,
  absentMs: 600_000,
  watchSeconds: 300,
  connectMs: 10_000,
  answerMs: 60_000,
  idleMs: 200_000,
  refreshMs: 60_000,
  probeMs: 5_000,
  rangesMs: 2_000,
};

export interface KubernetesSourceOptions {
  /** metadata.name of this node's object. */
  readonly nodeName: string;
  /** Path of a kubeconfig; absent or "": the service account of this pod. */
  readonly kubeconfig?: string | undefined;
  /** A context of the kubeconfig; absent or "": its current-context. */
  readonly context?: string | undefined;
  /** Addresses of the API server that work without Services, tried in turn; they replace the kubeconfig's. */
  readonly apiServers?: readonly string[] | undefined;
  /** Name to expect in the API server's certificate, where it is not the address's host (only without kubeconfig). */
  readonly tlsServerName?: string | undefined;
  /** Where the service account's `token` and `ca.crt` are; absent: where the kubelet puts them. */
  readonly serviceAccountFolder?: string | undefined;
  /** Absent: process.env. */
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
  readonly timing?: Partial<KubernetesTiming> | undefined;
  /** Milliseconds since the epoch; absent: the clock. */
  readonly now?: (() => number) | undefined;
  /** In [0, 1); absent: Math.random. */
  readonly random?: (() => number) | undefined;
}

/** How a source fares, for health and metrics. */
export interface SourceStatus {
  /** Base URL of the server in use. */
  readonly server: string;
  readonly synced: boolean;
  readonly resources: readonly ResourceStatus[];
}

export interface KubernetesSource extends Source {
  status(): SourceStatus;
}

/**
 * A source that follows Services, EndpointSlices, this node's Node and ServiceCIDRs of an API server. What it has told
 * stays in force while the server is away. `run` rejects with a ConnectionError where the configuration cannot work.
 */
export function createKubernetesSource(options: KubernetesSourceOptions): KubernetesSource {
  const connected = connectionOf(options);
  const state: { transport?: Transport; reflectors: readonly Reflector[]; synced: boolean } = {
    reflectors: [],
    synced: false,
  };
  return {
    description:
      connected instanceof ConnectionError
        ? options.kubeconfig || 'the API server'
        : connected.servers.join(', '),
    async run(sink, signal) {
      if (connected instanceof ConnectionError) throw connected;
      const timing = { ...TIMING, ...options.timing };
      const transport = new Transport(connected, timing, options.now ?? Date.now);
      state.transport = transport;
      if (connected.advice !== undefined)
        await probe(transport, connected.advice, timing.probeMs, sink, signal);
      const gate = new SyncGate(timing.rangesMs, () => {
        state.synced = true;
        sink.synced();
      });
      const reflectors = createReflectors(options, transport, timing, sink, gate);
      state.reflectors = reflectors;
      await Promise.all(reflectors.map((reflector) => reflector.run(signal)));
      gate.close();
      transport.close();
    },
    status() {
      return {
        server: state.transport?.server ?? '',
        synced: state.synced,
        resources: state.reflectors.map((reflector) => reflector.status),
      };
    },
  };
}

function connectionOf(options: KubernetesSourceOptions): Connection | ConnectionError {
  try {
    if (options.kubeconfig) return kubeconfigConnection({ ...options, file: options.kubeconfig });
    return inClusterConnection({
      apiServers: options.apiServers ?? [],
      folder: options.serviceAccountFolder,
      environment: options.environment ?? process.env,
      serverName: options.tlsServerName,
    });
  } catch (error) {
    if (error instanceof ConnectionError) return error;
    throw error;
  }
}

function createReflectors(
  options: KubernetesSourceOptions,
  transport: Transport,
  timing: KubernetesTiming,
  sink: SourceSink,
  gate: SyncGate,
): readonly Reflector[] {
  const { services, slices, node, serviceCIDRs } = proxyResources(sink, options.nodeName);
  const reflect = (resource: Resource, onSynced: () => void) =>
    new Reflector({
      resource,
      transport,
      timing,
      now: options.now ?? Date.now,
      random: options.random ?? Math.random,
      onSynced,
      onProblem: (message) => sink.problem({ where: resource.name, message }),
    });
  return [
    ...[services, slices, node].map((resource) => reflect(resource, gate.needed())),
    reflect(serviceCIDRs, gate.wanted()),
  ];
}

/** A Service address may answer now and not after the next reboot: refuse it where it does not, warn where it does. */
async function probe(
  transport: Transport,
  advice: string,
  timeoutMs: number,
  sink: SourceSink,
  signal: AbortSignal,
): Promise<void> {
  try {
    const answer = await transport.get('/version', AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]));
    answer.resume();
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof ApiError)) {
      throw new ConnectionError(
        `cannot reach the API server at ${transport.server} (${messageOf(error)}): ${advice}`,
        {
          cause: error,
        },
      );
    }
  }
  sink.problem({ where: transport.server, message: `works now, but ${advice}` });
}
