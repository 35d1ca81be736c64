// Objects as JSON text, made once an object: a big list is sent to many watches.

import type { Kind } from './kinds.js';
import type { KubeObject } from './storage.js';

const whole = new WeakMap<KubeObject, string>();
const asItem = new WeakMap<KubeObject, string>();

export function serialize(object: KubeObject): string {
  return remembered(whole, object, () => JSON.stringify(object));
}

/** Items of a list come without kind and apiVersion, as the real server sends them. */
export function serializeItem(object: KubeObject): string {
  return remembered(asItem, object, () => {
    const { kind: _kind, apiVersion: _apiVersion, ...rest } = object;
    return JSON.stringify(rest);
  });
}

function remembered(cache: WeakMap<KubeObject, string>, object: KubeObject, make: () => string): string {
  const known = cache.get(object);
  if (known !== undefined) return known;
  const text = make();
  cache.set(object, text);
  return text;
}

/** One line of a watch. */
export function eventLine(type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject): string {
  return `{"type":"${type}","object":${serialize(object)}}\n`;
}

export function bookmarkLine(kind: Kind, version: number, initialEventsEnd: boolean): string {
  const metadata = {
    resourceVersion: String(version),
    creationTimestamp: null,
    ...(initialEventsEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {}),
  };
  return `${JSON.stringify({ type: 'BOOKMARK', object: { kind: kind.kind, apiVersion: kind.apiVersion, metadata } })}\n`;
}
