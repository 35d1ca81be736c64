// GET of a collection: all of it, or pages of one consistent snapshot.

import { type Exchange, sendJson } from './exchange.js';
import { createMatcher } from './selectors.js';
import { serializeItem } from './serialize.js';
import { badRequest, StatusError, status } from './status.js';
import type { KubeObject, Snapshot, Storage } from './storage.js';

/** What is left of a list after a page, kept with the snapshot. */
const rests = new WeakMap<Snapshot, readonly KubeObject[]>();

export function serveList({ response, query, target, storage }: Exchange): void {
  const { kind, namespace } = target;
  const limit = Number(query.get('limit') ?? 0);
  if (!Number.isInteger(limit) || limit < 0) throw badRequest(`invalid limit: ${query.get('limit')}`);
  checkVersion(query.get('resourceVersion') ?? '', storage);
  const snapshot = storage.snapshot(kind, query.get('continue') ?? '');
  const matches = createMatcher(query.get('labelSelector') ?? '', query.get('fieldSelector') ?? '');
  const matching =
    rests.get(snapshot) ??
    snapshot.objects.filter(
      (object) => (namespace === '' || object.metadata.namespace === namespace) && matches(object),
    );
  const page = limit === 0 ? matching : matching.slice(0, limit);
  const rest = matching.slice(page.length);
  const metadata: Record<string, unknown> = { resourceVersion: String(snapshot.version) };
  if (rest.length > 0) {
    const next: Snapshot = { ...snapshot };
    rests.set(next, rest);
    metadata.continue = storage.keep(next);
    metadata.remainingItemCount = rest.length;
  }
  const head = JSON.stringify({ kind: `${kind.kind}List`, apiVersion: kind.apiVersion, metadata });
  sendJson(response, `${head.slice(0, -1)},"items":[${page.map(serializeItem).join(',')}]}`);
}

function checkVersion(version: string, storage: Storage): void {
  if (version === '' || version === '0') return;
  if (!/^\d+$/.test(version)) throw badRequest(`resourceVersion: Invalid value: "${version}"`);
  if (Number(version) > storage.version) {
    throw new StatusError(
      status(504, `Too large resource version: ${version}, current: ${storage.version}`, {
        retryAfterSeconds: 1,
      }),
    );
  }
}
