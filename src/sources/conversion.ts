// What a conversion gives, and what all kinds of objects share: metadata and labels.

import { FieldError, type Fields, objectAt, show, stringAt } from './fields.js';

export interface Problem {
  readonly problem: string;
}

export interface Ignored {
  readonly ignored: string;
}

/** The model object under its own name, with what was left out of it; or why there is none. */
export type Conversion<Name extends string, T> =
  | ({ readonly [K in Name]: T } & { readonly problems: readonly string[] })
  | Problem
  | Ignored;

/** A networking.k8s.io/v1 ServiceCIDR: ranges from which cluster IPs are taken. */
export interface ServiceCIDR {
  readonly name: string;
  /** spec.cidrs, as written; one of each family at most. */
  readonly cidrs: readonly string[];
}

/** An empty list of problems, shared. */
export const NO_PROBLEMS: readonly string[] = Object.freeze([]);

/** Runs a conversion and turns its complaint into a problem. */
export function guarded<T>(where: string, convert: () => T): T | Problem {
  try {
    return convert();
  } catch (error) {
    if (!(error instanceof FieldError)) throw error;
    return { problem: at(where, error.message) };
  }
}

/** @returns the message with its place in front. */
export function at(where: string, message: string): string {
  return where === '' ? message : `${where}: ${message}`;
}

export interface Metadata {
  readonly namespace: string;
  readonly name: string;
  /** Milliseconds since the epoch; 0 where it is missing. */
  readonly createdAt: number;
  readonly labels: Fields;
  readonly annotations: Fields;
}

/** RFC 1123: what Kubernetes asks of names of most kinds. */
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;

/** @returns metadata of an object; where it has no namespace: `default`, as kubectl does. */
export function readMetadata(metadata: Fields): Metadata {
  const name = stringAt(metadata, 'name');
  const namespace = stringAt(metadata, 'namespace', 'default') || 'default';
  if (name === '') throw new FieldError('name', 'is missing');
  if (name.length > 253 || !SUBDOMAIN.test(name)) {
    throw new FieldError(
      'name',
      `${show(name)} is not a name (a-z, 0-9, "-" and ".", at most 253 characters)`,
    );
  }
  if (namespace.length > 63 || !LABEL.test(namespace)) {
    throw new FieldError(
      'namespace',
      `${show(namespace)} is not a namespace (a-z, 0-9 and "-", at most 63 characters)`,
    );
  }
  return {
    namespace,
    name,
    createdAt: readTime(stringAt(metadata, 'creationTimestamp')),
    labels: objectAt(metadata, 'labels'),
    annotations: objectAt(metadata, 'annotations'),
  };
}

function readTime(text: string): number {
  if (text === '') return 0;
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new FieldError('creationTimestamp', `${show(text)} is not a time (RFC 3339)`);
  return time;
}
