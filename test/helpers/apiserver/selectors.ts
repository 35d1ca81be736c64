// Label and field selectors, as the API server reads them.

import { badRequest } from './status.js';
import type { KubeObject } from './storage.js';

export type Matcher = (object: KubeObject) => boolean;

/** @throws StatusError 400 for a selector that cannot be parsed. */
export function createMatcher(labelSelector: string, fieldSelector: string): Matcher {
  const all = [...splitTop(labelSelector).map(labelMatcher), ...splitTop(fieldSelector).map(fieldMatcher)];
  return (object) => all.every((matches) => matches(object));
}

/** Splits at commas that are not inside parentheses. */
function splitTop(selector: string): string[] {
  return selector
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

function labelMatcher(requirement: string): Matcher {
  const label = (name: string) => (object: KubeObject) => object.metadata.labels?.[name];
  const set = /^([^\s!=]+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(requirement);
  if (set) {
    const values = set[3]!.split(',').map((value) => value.trim());
    const read = label(set[1]!);
    return (object) => values.includes(read(object) ?? '\0') === (set[2] === 'in');
  }
  const equal = /^([^\s!=]+)\s*(==|=|!=)\s*([^\s!=]*)$/.exec(requirement);
  if (equal) {
    const read = label(equal[1]!);
    return (object) => (read(object) === equal[3]) === (equal[2] !== '!=');
  }
  const exists = /^(!?)\s*([^\s!=()]+)$/.exec(requirement);
  if (!exists) throw badRequest(`unable to parse requirement: ${requirement}`);
  const read = label(exists[2]!);
  return (object) => (read(object) !== undefined) === (exists[1] === '');
}

function fieldMatcher(requirement: string): Matcher {
  const parsed = /^([\w.]+)(==|=|!=)(.*)$/.exec(requirement);
  if (!parsed) throw badRequest(`invalid field selector: ${requirement}`);
  const [, path, operator, value] = parsed;
  const read = FIELDS[path!];
  if (!read) throw badRequest(`field label not supported: ${path}`);
  return (object) => (read(object) === value) === (operator !== '!=');
}

const FIELDS: Readonly<Record<string, (object: KubeObject) => unknown>> = {
  'metadata.name': (object) => object.metadata.name,
  'metadata.namespace': (object) => object.metadata.namespace ?? '',
  'spec.clusterIP': (object) => object.spec?.clusterIP ?? '',
  'spec.type': (object) => object.spec?.type ?? '',
  'spec.nodeName': (object) => object.spec?.nodeName ?? '',
};
