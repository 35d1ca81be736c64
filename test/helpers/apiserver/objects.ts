// GET, POST, PUT, PATCH and DELETE of objects.

import { type Exchange, readObject, sendJson } from './exchange.js';
import { badRequest, notFound, StatusError, status } from './status.js';
import type { KubeObject } from './storage.js';

export function serveGet({ response, target, storage }: Exchange): void {
  sendJson(response, existing(target, storage));
}

export async function serveCreate({ request, response, target, storage }: Exchange): Promise<void> {
  const object = await readObject(request);
  const metadata = { ...object.metadata, ...(target.kind.namespaced ? { namespace: target.namespace } : {}) };
  if (!metadata.name) {
    throw new StatusError(status(422, `${target.kind.kind} "" is invalid: metadata.name: Required value`));
  }
  if (storage.get(target.kind, target.namespace, metadata.name)) {
    const message = `${target.kind.plural} "${metadata.name}" already exists`;
    throw new StatusError(status(409, message, { name: metadata.name }, 'AlreadyExists'));
  }
  sendJson(response, storage.put(target.kind, { ...object, metadata }), 201);
}

export async function serveReplace({ request, response, target, storage }: Exchange): Promise<void> {
  const object = await readObject(request);
  const old = storage.get(target.kind, target.namespace, target.name);
  if (object.metadata?.name !== undefined && object.metadata.name !== target.name) {
    throw badRequest('the name of the object does not match the name on the URL');
  }
  if (!old) throw notFound(target.kind.plural, target.name);
  const next = target.subresource === 'status' ? { ...old, status: object.status } : object;
  sendJson(response, storage.put(target.kind, identified(next, target), object.metadata?.resourceVersion));
}

/** All patch types but JSON patch are taken for merge patches (RFC 7396). */
export async function servePatch({ request, response, target, storage }: Exchange): Promise<void> {
  if (request.headers['content-type']?.includes('json-patch')) {
    throw new StatusError(status(415, 'this server takes merge patches: application/merge-patch+json'));
  }
  const patch = await readObject(request);
  const old = existing(target, storage);
  const merged = mergePatch(
    old,
    target.subresource === 'status' ? { status: patch.status } : patch,
  ) as KubeObject;
  sendJson(response, storage.put(target.kind, identified(merged, target), patch.metadata?.resourceVersion));
}

export function serveDelete({ response, target, storage }: Exchange): void {
  sendJson(response, storage.delete(target.kind, target.namespace, target.name));
}

function existing(target: Exchange['target'], storage: Exchange['storage']): KubeObject {
  const object = storage.get(target.kind, target.namespace, target.name);
  if (!object) throw notFound(target.kind.plural, target.name);
  return object;
}

/** Name and namespace are the URL's. */
function identified(object: KubeObject, target: Exchange['target']): KubeObject {
  const namespace = target.kind.namespaced ? { namespace: target.namespace } : {};
  return { ...object, metadata: { ...object.metadata, ...namespace, name: target.name } };
}

function mergePatch(old: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const base = typeof old === 'object' && old !== null && !Array.isArray(old) ? old : {};
  const result: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(patch)) {
    if (value === undefined) continue;
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}
