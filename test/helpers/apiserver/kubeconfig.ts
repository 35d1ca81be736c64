// A kubeconfig for the test API server.

import { stringify } from 'yaml';

export interface KubeconfigParts {
  readonly server: string;
  /** PEM. */
  readonly ca: string;
  /** The user's fields: {token}, {'client-certificate-data', ...}, {exec}. */
  readonly user: Readonly<Record<string, unknown>>;
  /** Further fields of the cluster, or in place of ours. */
  readonly cluster?: Readonly<Record<string, unknown>>;
}

/** @returns a kubeconfig as YAML with one context, `test`. */
export function makeKubeconfig({ server, ca, user, cluster = {} }: KubeconfigParts): string {
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority-data': base64(ca), ...cluster } }],
    users: [{ name: 'test', user }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  });
}

export function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
