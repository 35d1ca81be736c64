// Text of a manifest file → objects of the kinds that the folder source knows, and what is wrong with the rest. Pure.

import { convertEndpointSlice, convertNode } from '../convert.js';
import { FieldError, type Fields, inside, objectAt, stringAt } from '../fields.js';
import { type Chunk, type Position, positionOf, readChunk, splitDocuments } from './documents.js';
import { type FolderObject, objectKey } from './objects.js';
import { readEndpoints } from './read-endpoints.js';
import { readPod } from './read-pod.js';
import { complaint, readService } from './read-service.js';

export interface LoadedObject {
  readonly object: FolderObject;
  readonly at: Position;
}

/** Something about a file, for people. */
export interface Fault {
  readonly at: Position;
  readonly message: string;
  readonly severity: 'info' | 'warning';
}

export interface LoadedFile {
  readonly objects: readonly LoadedObject[];
  readonly faults: readonly Fault[];
  /** Keys of objects that are in the file but cannot be used as they are written. */
  readonly broken: readonly string[];
  /** Some document is broken so that nobody can tell what it was. */
  readonly unreadable: boolean;
  /** Objects of kinds that are not used. */
  readonly unused: readonly { readonly kind: string; readonly name: string; readonly at: Position }[];
}

interface Draft {
  objects: LoadedObject[];
  faults: Fault[];
  broken: string[];
  unreadable: boolean;
  unused: { kind: string; name: string; at: Position }[];
}

/** A manifest on its way into an object. */
interface Manifest {
  readonly fields: Fields;
  readonly at: Position;
  readonly chunk: Chunk;
  /** Its path in its document. */
  readonly root: readonly (string | number)[];
}

/** Readers by kind; the group tells a core Service from, say, Knative's. */
const KINDS: Readonly<
  Record<string, { group: string; read: (manifest: Manifest, draft: Draft) => FolderObject | undefined }>
> = {
  Service: { group: '', read: useService },
  Pod: { group: '', read: ({ fields }) => readPod(fields) },
  Endpoints: { group: '', read: ({ fields }) => readEndpoints(fields) },
  EndpointSlice: { group: 'discovery.k8s.io', read: useSlice },
  Node: { group: '', read: useNode },
};

const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by';
const SLICE_CONTROLLER = 'endpointslice-controller.k8s.io';

/** @returns everything that the text holds. Never throws: what is wrong is in `faults`. */
export function loadManifests(text: string): LoadedFile {
  const draft: Draft = { objects: [], faults: [], broken: [], unreadable: false, unused: [] };
  for (const chunk of splitDocuments(text)) {
    const documents = readChunk(chunk);
    if ('reason' in documents) {
      draft.unreadable = true;
      draft.faults.push({ at: documents.at, message: documents.reason, severity: 'warning' });
      continue;
    }
    for (const { value, at, place } of documents) loadValue(draft, { value, at, chunk, root: [] }, place);
  }
  return draft;
}

interface Value {
  readonly value: unknown;
  readonly at: Position;
  readonly chunk: Chunk;
  readonly root: readonly (string | number)[];
}

/** A single object, or a list of them: `kind: List`, `kind: PodList` and so on. */
function loadValue(
  draft: Draft,
  { value, at, chunk, root }: Value,
  place: (value: object) => Position | undefined,
): void {
  const manifest = asManifest(draft, { value, at, chunk, root });
  if (!manifest) return;
  const { fields } = manifest;
  const kind = fields.kind as string;
  const item = kind.endsWith('List') ? kind.slice(0, -'List'.length) : undefined;
  const items = item === '' ? (fields.items ?? []) : fields.items;
  // A kind of somebody's own may end in List, too; only one with items is a list.
  if (item === undefined || (item !== '' && !Array.isArray(items))) {
    loadObject(draft, manifest);
    return;
  }
  if (!Array.isArray(items)) {
    fail(draft, manifest, new FieldError('items', 'is not a list'));
    return;
  }
  items.forEach((entry: unknown, i) => {
    // Items of a typed list may leave out what the list says for all of them.
    const typed = item !== '' && isObject(entry) && entry.kind === undefined;
    const full = typed ? { apiVersion: fields.apiVersion, kind: item, ...entry } : entry;
    const itemAt = (isObject(entry) && place(entry)) || at;
    loadValue(draft, { value: full, at: itemAt, chunk, root: [...root, 'items', i] }, place);
  });
}

function asManifest(draft: Draft, { value, at, chunk, root }: Value): Manifest | undefined {
  const fields = isObject(value) ? value : {};
  const manifest = { fields, at, chunk, root };
  if (!isObject(value)) {
    fail(
      draft,
      manifest,
      new FieldError('', 'this is not a Kubernetes object: a mapping with kind and metadata is needed'),
    );
    return undefined;
  }
  try {
    if (stringAt(fields, 'kind') === '') throw new FieldError('kind', 'is missing');
    stringAt(fields, 'apiVersion');
    return manifest;
  } catch (error) {
    fail(draft, manifest, error);
    return undefined;
  }
}

/** EndpointSlice, namespace and name at their longest, with what stands between them. */
const LONGEST_KEY = 340;

function loadObject(draft: Draft, manifest: Manifest): void {
  const { fields, at } = manifest;
  const kind = fields.kind as string;
  const reader = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
  if (!reader || !sameGroup(fields, reader.group)) {
    const { namespace, name } = looseIdentity(fields);
    draft.unused.push({
      kind: brief(kindLabel(fields)),
      name: brief(namespace ? `${namespace}/${name}` : name),
      at,
    });
    return;
  }
  try {
    const object = reader.read(manifest, draft);
    if (object) draft.objects.push({ object, at });
  } catch (error) {
    fail(draft, manifest, error);
  }
}

/** Takes note of an object that cannot be used, with the exact place of the field that is wrong. */
function fail(draft: Draft, manifest: Manifest, error: unknown): void {
  if (!(error instanceof FieldError)) throw error;
  const identity = looseIdentity(manifest.fields);
  const known = identity.kind !== '' && identity.name !== '';
  if (known) draft.broken.push(objectKey(identity));
  else draft.unreadable = true;
  const message = error.path === '' ? error.complaint : error.message;
  note(draft, manifest, known ? `${brief(objectKey(identity))}: ${message}` : message, error.path);
}

function note(
  draft: Draft,
  manifest: Manifest,
  message: string,
  path: string,
  severity: Fault['severity'] = 'warning',
): void {
  const at = positionOf(manifest.chunk, manifest.root, path) ?? manifest.at;
  draft.faults.push({ at, message, severity });
}

function useService(manifest: Manifest, draft: Draft): FolderObject | undefined {
  const reading = readService(manifest.fields);
  if ('ignored' in reading) return ignore(manifest, draft, reading.ignored);
  for (const problem of reading.problems) notePart(manifest, draft, problem);
  return reading.object;
}

function useSlice(manifest: Manifest, draft: Draft): FolderObject | undefined {
  const converted = convertEndpointSlice(manifest.fields, '');
  if ('problem' in converted) throw complaint(converted.problem);
  if ('ignored' in converted) return ignore(manifest, draft, converted.ignored);
  for (const problem of converted.problems) notePart(manifest, draft, problem);
  const { slice } = converted;
  const labels = objectAt(objectAt(manifest.fields, 'metadata'), 'labels');
  const managed = labels[MANAGED_BY] === SLICE_CONTROLLER;
  return { kind: 'EndpointSlice', namespace: slice.namespace, name: slice.name, slice, managed };
}

function useNode({ fields }: Manifest): FolderObject {
  const converted = convertNode(fields, '');
  if ('problem' in converted) throw complaint(converted.problem);
  if ('ignored' in converted) throw new FieldError('', converted.ignored);
  return { kind: 'Node', namespace: '', name: converted.node.name, node: converted.node };
}

function ignore(manifest: Manifest, draft: Draft, why: string): undefined {
  const key = objectKey(looseIdentity(manifest.fields));
  note(draft, manifest, `${key} is not used: ${why}`, '', 'info');
  return undefined;
}

/** A part of an object was left out of it; the rest is used. */
function notePart(manifest: Manifest, draft: Draft, problem: string): void {
  note(
    draft,
    manifest,
    `${brief(objectKey(looseIdentity(manifest.fields)))}: ${problem}`,
    complaint(problem).path,
  );
}

/** What is longer than any valid name, for messages: a log line must not grow with the garbage that it is about. */
function brief(text: string): string {
  return text.length > LONGEST_KEY ? `${text.slice(0, 57)}...` : text;
}

/** What an object calls itself, as far as that can be read. */
function looseIdentity(fields: Fields): { kind: string; namespace: string; name: string } {
  const text = (read: () => string): string => {
    try {
      return read();
    } catch {
      return '';
    }
  };
  const metadata = (key: string) =>
    text(() => inside('metadata', stringAt, objectAt(fields, 'metadata'), key));
  return {
    kind: text(() => stringAt(fields, 'kind')),
    namespace: metadata('namespace') || 'default',
    name: metadata('name'),
  };
}

function sameGroup(fields: Fields, group: string): boolean {
  const version = stringAt(fields, 'apiVersion');
  if (version === '') return true;
  const slash = version.indexOf('/');
  return (slash < 0 ? '' : version.slice(0, slash)) === group;
}

/** `Deployment`, or `Service (serving.knative.dev/v1)` where the kind alone would mislead. */
function kindLabel(fields: Fields): string {
  const kind = fields.kind as string;
  return Object.hasOwn(KINDS, kind) ? `${kind} (${stringAt(fields, 'apiVersion')})` : kind;
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
