// What a failure means to the person who runs the agent, and what to do.

import { codeOf, messageOf } from '../../lib/errors.js';
import { ApiError } from './api-error.js';

const API_GROUPS: Readonly<Record<string, string>> = {
  endpointslices: 'discovery.k8s.io',
  servicecidrs: 'networking.k8s.io',
};

/** @returns a message about a failed list or watch of `resource` at `server`; equal failures give equal messages. */
export function explain(error: unknown, resource: string, server: string): string {
  const what = `cannot watch ${resource} at ${server}: ${messageOf(error)}`;
  const advice = adviceFor(error, resource);
  return `${what}${advice === '' ? '' : `; ${advice}`}; what is in force stays, trying on`;
}

function adviceFor(error: unknown, resource: string): string {
  if (error instanceof ApiError) {
    if (error.status === 401) return 'renew the token or certificate of the kubeconfig or service account';
    if (error.status === 403) return rbacAdvice(resource);
    if (error.status === 404) return 'is this the address of a Kubernetes API server?';
    return '';
  }
  const code = codeOf(error) || codeOf((error as { cause?: unknown } | undefined)?.cause);
  if (code === 'ECONNREFUSED') return 'is the address right, and the API server running?';
  if (/CERT|SELF_SIGNED|UNABLE_TO_(VERIFY|GET)/.test(code)) {
    return 'check certificate-authority and tls-server-name against the certificate of the server';
  }
  return '';
}

function rbacAdvice(resource: string): string {
  const group = API_GROUPS[resource] ?? '';
  return (
    `allow the verbs list and watch on ${resource} in API group "${group}" ` +
    '(ClusterRole system:node-proxier has them; bind it to this user)'
  );
}
