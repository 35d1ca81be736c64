// A full listing in pages: for servers that cannot begin a watch with everything that exists.

import { asFields, FieldError, type Fields, objectAt, show, stringAt } from '../fields.js';
import { ApiError } from './api-error.js';
import type { Mirror } from './mirror.js';
import type { Resource } from './resource.js';
import { readBody, type Transport } from './transport.js';

/** Objects a page; more would only cost memory, as a page is parsed whole. */
export const PAGE_LIMIT = 100;

/**
 * Tells the mirror everything that exists.
 * @returns the resourceVersion to watch from.
 */
export async function listAll(
  resource: Resource,
  transport: Transport,
  mirror: Mirror,
  signal: AbortSignal,
): Promise<string> {
  try {
    return await listPages(resource, transport, mirror, signal, PAGE_LIMIT);
  } catch (error) {
    // The continue token outlived the server's history: on a busy server only one big page is sure to come through.
    if (!(error instanceof ApiError) || !error.expired) throw error;
    return await listPages(resource, transport, mirror, signal, 0);
  }
}

async function listPages(
  resource: Resource,
  transport: Transport,
  mirror: Mirror,
  signal: AbortSignal,
  limit: number,
): Promise<string> {
  mirror.begin();
  for (let next = ''; ; ) {
    const query = new URLSearchParams(resource.query);
    if (limit > 0) query.set('limit', String(limit));
    if (next !== '') query.set('continue', next);
    const page = await readPage(await transport.get(`${resource.path}?${query}`, signal));
    for (const item of page.items) mirror.put(item);
    next = page.next;
    if (next !== '') continue;
    mirror.complete();
    return page.version;
  }
}

interface Page {
  readonly items: readonly unknown[];
  readonly next: string;
  readonly version: string;
}

async function readPage(answer: Awaited<ReturnType<Transport['get']>>): Promise<Page> {
  const list: Fields = asFields(JSON.parse(await readBody(answer)), 'list');
  const metadata = objectAt(list, 'metadata');
  const items = list.items ?? [];
  if (!Array.isArray(items)) throw new FieldError('items', `${show(items)} is not a list`);
  return { items, next: stringAt(metadata, 'continue'), version: stringAt(metadata, 'resourceVersion') };
}
