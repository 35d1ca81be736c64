// The resources that the test API server has.

export interface Kind {
  /** Plural, as in URLs. */
  readonly plural: string;
  readonly kind: string;
  /** v1, discovery.k8s.io/v1, ... */
  readonly apiVersion: string;
  readonly namespaced: boolean;
  readonly shortNames: readonly string[];
}

const kind = (
  apiVersion: string,
  plural: string,
  name: string,
  namespaced: boolean,
  ...shortNames: string[]
): Kind => ({
  plural,
  kind: name,
  apiVersion,
  namespaced,
  shortNames,
});

export const KINDS: readonly Kind[] = [
  kind('v1', 'services', 'Service', true, 'svc'),
  kind('v1', 'nodes', 'Node', false, 'no'),
  kind('v1', 'pods', 'Pod', true, 'po'),
  kind('v1', 'endpoints', 'Endpoints', true, 'ep'),
  kind('v1', 'namespaces', 'Namespace', false, 'ns'),
  kind('discovery.k8s.io/v1', 'endpointslices', 'EndpointSlice', true),
  kind('networking.k8s.io/v1', 'servicecidrs', 'ServiceCIDR', false),
];

/** "" for the core group. */
export function groupOf(kind: Kind): string {
  const slash = kind.apiVersion.indexOf('/');
  return slash < 0 ? '' : kind.apiVersion.slice(0, slash);
}

/** What a URL path addresses. */
export interface Target {
  readonly kind: Kind;
  /** "" for all namespaces. */
  readonly namespace: string;
  /** "" for the collection. */
  readonly name: string;
  readonly subresource: string;
}

/** @returns undefined for paths that are not a resource. */
export function parseTarget(path: string, kinds: readonly Kind[] = KINDS): Target | undefined {
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent);
  const prefix = parts[0] === 'api' ? 2 : parts[0] === 'apis' ? 3 : 0;
  if (prefix === 0) return undefined;
  const apiVersion = parts.slice(1, prefix).join('/');
  const rest = parts.slice(prefix);
  const inNamespace = rest[0] === 'namespaces' && rest.length >= 3;
  const [plural, name = '', subresource = ''] = inNamespace ? rest.slice(2) : rest;
  const found = kinds.find((candidate) => candidate.plural === plural && candidate.apiVersion === apiVersion);
  if (!found || (inNamespace && !found.namespaced)) return undefined;
  if (!inNamespace && found.namespaced && name !== '') return undefined;
  return { kind: found, namespace: inNamespace ? rest[1]! : '', name, subresource };
}
