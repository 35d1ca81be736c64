// What clients ask before anything else: version, health, and which resources there are.

import { groupOf, KINDS, type Kind } from './kinds.js';

const VERBS = ['create', 'delete', 'get', 'list', 'patch', 'update', 'watch'];

/** @returns the answer to a path that is not a resource; undefined: there is none. */
export function discover(path: string, kinds: readonly Kind[] = KINDS): unknown {
  const trimmed = path.replace(/\/+$/, '') || '/';
  switch (trimmed) {
    case '/version':
      return { major: '1', minor: '36', gitVersion: 'v1.36.2-test', platform: 'linux/amd64' };
    case '/healthz':
    case '/livez':
    case '/readyz':
      return 'ok';
    case '/api':
      return { kind: 'APIVersions', versions: ['v1'] };
    case '/apis':
      return { kind: 'APIGroupList', apiVersion: 'v1', groups: groups(kinds) };
    default:
      return resourceList(trimmed, kinds);
  }
}

function groups(kinds: readonly Kind[]) {
  const versions = new Set(kinds.filter((kind) => groupOf(kind) !== '').map((kind) => kind.apiVersion));
  return [...versions].map((groupVersion) => {
    const [name, version] = groupVersion.split('/');
    return { name, versions: [{ groupVersion, version }], preferredVersion: { groupVersion, version } };
  });
}

function resourceList(path: string, kinds: readonly Kind[]): unknown {
  const groupVersion = path === '/api/v1' ? 'v1' : path.replace(/^\/apis\//, '');
  const found = kinds.filter((kind) => kind.apiVersion === groupVersion);
  if (found.length === 0) return undefined;
  const resources = found.map(({ plural, kind, namespaced, shortNames }) => ({
    name: plural,
    singularName: kind.toLowerCase(),
    namespaced,
    kind,
    verbs: VERBS,
    shortNames,
  }));
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources };
}
