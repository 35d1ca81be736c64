// Manifests from a folder into the storage: YAML or JSON, several documents a file, List kinds.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { KINDS, type Kind } from './kinds.js';
import type { KubeObject, Storage } from './storage.js';

/** @returns how many objects were put. @throws Error for an object of a kind that the server does not have. */
export function loadManifests(folder: string, storage: Storage): number {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /\.(ya?ml|json)$/.test(file),
  );
  let count = 0;
  for (const file of files.sort()) {
    for (const document of parseAllDocuments(readFileSync(join(folder, file), 'utf8'))) {
      if ('errors' in document && document.errors.length > 0)
        throw new Error(`${file}: ${document.errors[0]!.message}`);
      const object = document.toJS() as KubeObject | null;
      if (object) count += putAll(object, file, storage);
    }
  }
  return count;
}

function putAll(object: KubeObject, file: string, storage: Storage): number {
  const items = object.kind?.endsWith('List') ? ((object.items ?? []) as KubeObject[]) : [object];
  for (const item of items) putObject(storage, item, file);
  return items.length;
}

/** Puts an object by its own kind and apiVersion; without a namespace it goes to `default`. */
export function putObject(storage: Storage, object: KubeObject, from = 'object'): KubeObject {
  const kind = kindOf(object, from);
  if (!object.metadata?.name) throw new Error(`${from}: a ${kind.kind} without metadata.name`);
  const metadata = kind.namespaced ? { namespace: 'default', ...object.metadata } : object.metadata;
  return storage.put(kind, { ...object, metadata });
}

export function kindOf(object: KubeObject, from = 'object'): Kind {
  const kind = KINDS.find(
    (candidate) =>
      candidate.kind === object.kind && (!object.apiVersion || candidate.apiVersion === object.apiVersion),
  );
  if (!kind) throw new Error(`${from}: this server has no ${object.apiVersion} ${object.kind}`);
  return kind;
}
