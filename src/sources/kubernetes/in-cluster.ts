// The connection of a pod: its service account, and the API server's real address from the configuration.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Connection, ConnectionError, checkServers } from './connection.js';

/** Where the kubelet puts a pod's service account. */
const SERVICE_ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';

const ADVICE =
  'the address in KUBERNETES_SERVICE_HOST is a Service address, which after a reboot nobody but this agent could ' +
  "serve; give the API server's own address (apiServers, such as https://10.0.0.5:6443), or a kubeconfig";

export interface InClusterOptions {
  /** The API server's real addresses, tried in turn. */
  readonly apiServers: readonly string[];
  /** Folder with `token` and `ca.crt`. */
  readonly folder?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly serverName?: string | undefined;
}

/**
 * @returns the connection; with `advice` where no real address was given and the Service address is all there is.
 * @throws ConnectionError when this is not a pod.
 */
export function inClusterConnection(options: InClusterOptions): Connection {
  const folder = options.folder ?? SERVICE_ACCOUNT;
  const token = join(folder, 'token');
  if (!existsSync(token)) {
    throw new ConnectionError(
      `there is no kubeconfig, and no service account at ${token}: give a kubeconfig, or run as a pod with automountServiceAccountToken`,
    );
  }
  const given = options.apiServers.length > 0;
  return {
    servers: given ? checkServers(options.apiServers, 'apiServers') : [serviceAddress(options.environment)],
    ca: { file: join(folder, 'ca.crt') },
    insecure: false,
    token: { file: token },
    ...(options.serverName ? { serverName: options.serverName } : {}),
    ...(given ? {} : { advice: ADVICE }),
  };
}

function serviceAddress(environment: InClusterOptions['environment']): string {
  const host = environment.KUBERNETES_SERVICE_HOST;
  if (!host) {
    throw new ConnectionError(
      "KUBERNETES_SERVICE_HOST is not set: give the API server's address (apiServers, such as https://10.0.0.5:6443)",
    );
  }
  const port = environment.KUBERNETES_SERVICE_PORT_HTTPS ?? environment.KUBERNETES_SERVICE_PORT ?? '443';
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
