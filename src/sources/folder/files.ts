// The manifest files of a folder and what each of them says, with the last good version of what is broken now.

import { createHash } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import type { SourceProblem } from '../source.js';
import type { Position } from './documents.js';
import { type Fault, type LoadedFile, loadManifests } from './load.js';
import { type FolderObject, objectKey } from './objects.js';
import { type Scan, type ScannedFile, signatureOf } from './scan.js';

/** An object and where it is. */
export interface PlacedObject {
  readonly object: FolderObject;
  readonly key: string;
  readonly file: string;
  readonly at: Position;
}

/** What is known of one file. */
interface KnownFile {
  readonly signature: string | undefined;
  /** It was read so soon after its last change that another one could hide behind the same times. */
  readonly hot: boolean;
  /** Of the text: a file that is only touched, or written anew as it was, need not be read again. */
  readonly digest: string;
  readonly objects: readonly PlacedObject[];
  /** Of these objects: those that only an earlier version has. */
  readonly kept: readonly FolderObject[];
  readonly problems: readonly SourceProblem[];
  readonly unused: LoadedFile['unused'];
  readonly broken: boolean;
}

export interface FileTable {
  /** By file name, in order. */
  readonly files: ReadonlyMap<string, KnownFile>;
  /** Did anything change? */
  readonly changed: boolean;
  /** Look again after so many milliseconds, although nothing may happen until then. */
  readonly again: number | undefined;
}

/** File times are as exact as the kernel's tick (10 ms at most); a change within it after a read leaves no trace. */
const HOT_MS = 40;
/** A file that is empty all of a sudden is being written (`command > file`); that long its objects stay. */
const EMPTY_GRACE_MS = 2_000;
const EMPTY_POLL_MS = 100;

/**
 * Brings the table up to date: only files whose signature has changed are read.
 *
 * @param kept objects of broken files from before a restart.
 * @param now milliseconds since the epoch.
 */
export function updateFiles(
  before: ReadonlyMap<string, KnownFile>,
  scan: Scan,
  kept: ReadonlyMap<string, readonly FolderObject[]>,
  now: number,
): FileTable {
  const files = new Map<string, KnownFile>();
  let changed = scan.files.length !== before.size;
  let again = Number.POSITIVE_INFINITY;
  for (const scanned of scan.files) {
    const known = before.get(scanned.name) ?? fromBefore(scanned, kept.get(scanned.name));
    if (beingWritten(scanned, known, now)) {
      files.set(scanned.name, known!);
      again = Math.min(again, EMPTY_POLL_MS);
      continue;
    }
    const unchanged = known?.signature !== undefined && known.signature === scanned.signature && !known.hot;
    const next = unchanged ? known : readKnown(scanned, known, now);
    if (next.hot) again = Math.min(again, HOT_MS);
    if (!known || !same(known, next)) changed = true;
    files.set(scanned.name, next);
  }
  for (const [name, known] of before) {
    const hidden = !files.has(name) && scan.problems.some((problem) => name.startsWith(problem.name));
    if (hidden) files.set(name, { ...known, signature: undefined, broken: true });
  }
  return { files, changed, again: again === Number.POSITIVE_INFINITY ? undefined : again };
}

/** Are the two the same for everybody but this file? */
function same(a: KnownFile, b: KnownFile): boolean {
  const content = (file: KnownFile) => ({ ...file, signature: '', digest: '', hot: false });
  return a === b || isDeepStrictEqual(content(a), content(b));
}

function beingWritten(scanned: ScannedFile, known: KnownFile | undefined, now: number): boolean {
  const emptied = scanned.signature !== undefined && scanned.size === 0 && known !== undefined;
  return emptied && known.objects.length > 0 && Math.abs(now - scanned.changedAt) < EMPTY_GRACE_MS;
}

/** What the state file has of a file that was broken before the restart. */
function fromBefore({ name }: ScannedFile, kept: readonly FolderObject[] | undefined): KnownFile | undefined {
  if (!kept) return undefined;
  const objects = kept.map((object) => place(name, object, { line: 1, column: 1 }));
  return {
    signature: undefined,
    hot: false,
    digest: '',
    objects,
    kept,
    problems: [],
    unused: [],
    broken: true,
  };
}

function place(file: string, object: FolderObject, at: Position): PlacedObject {
  return { object, key: objectKey(object), file, at };
}

function readKnown(scanned: ScannedFile, before: KnownFile | undefined, now: number): KnownFile {
  const { name } = scanned;
  if (scanned.signature === undefined) return unreadable(scanned, before, scanned.problem ?? 'not readable');
  const content = readWhole(scanned.path);
  if ('problem' in content) return unreadable(scanned, before, content.problem);
  const { signature, text } = content;
  // Files may be dated into the future; those are not hot for ever.
  const hot = Math.abs(now - scanned.changedAt) < HOT_MS || signature !== scanned.signature;
  const digest = createHash('sha256').update(text).digest('base64');
  // Changed while it was read: half of it may be new.
  if (before && signature === undefined) return { ...before, signature, hot: true };
  if (before?.digest === digest) return { ...before, signature, hot };
  return { ...understand(name, text, before), signature, hot, digest };
}

function understand(
  name: string,
  text: string,
  before: KnownFile | undefined,
): Omit<KnownFile, 'signature' | 'hot' | 'digest'> {
  const loaded = loadManifests(text);
  const known = new Map(before?.objects.map((placed) => [placed.key, placed]));
  const objects = loaded.objects.map(({ object, at }) => {
    // An object that says the same stays the same one, so that nothing downstream is worked out again.
    const old = known.get(objectKey(object))?.object;
    return place(name, old && isDeepStrictEqual(old, object) ? old : object, at);
  });
  const rest = keptObjects(loaded, objects, before);
  return {
    objects: [...objects, ...rest],
    kept: rest.map(({ object }) => object),
    problems: loaded.faults.map((fault) => asProblem(name, fault)),
    unused: loaded.unused,
    broken: loaded.unreadable || loaded.broken.length > 0,
  };
}

/**
 * The last good version of what is broken now. Where nobody can tell what a broken document was, it may have been any of
 * the objects that are missing.
 */
function keptObjects(
  loaded: LoadedFile,
  objects: readonly PlacedObject[],
  before: KnownFile | undefined,
): readonly PlacedObject[] {
  if (!before || (!loaded.unreadable && loaded.broken.length === 0)) return [];
  const present = new Set(objects.map(({ key }) => key));
  const broken = new Set(loaded.broken);
  return before.objects.filter(({ key }) => !present.has(key) && (loaded.unreadable || broken.has(key)));
}

function asProblem(file: string, { at, message, severity }: Fault): SourceProblem {
  return { where: `${file}:${at.line}:${at.column}`, message, severity };
}

/** Everything that it had stays. */
function unreadable({ name, signature }: ScannedFile, before: KnownFile | undefined, why: string): KnownFile {
  const objects = before?.objects ?? [];
  const problems: SourceProblem[] = [{ where: name, message: `cannot be read: ${why}`, severity: 'warning' }];
  const kept = objects.map(({ object }) => object);
  return { signature, hot: false, digest: '', objects, kept, problems, unused: [], broken: true };
}

/** The text and the signature of exactly that text; no signature where it changed meanwhile. */
function readWhole(path: string): { text: string; signature: string | undefined } | { problem: string } {
  let file: number | undefined;
  try {
    file = openSync(path, 'r');
    const signature = signatureOf(fstatSync(file, { bigint: true }));
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false }).decode(readFileSync(file));
    const after = signatureOf(fstatSync(file, { bigint: true }));
    return { text, signature: signature === after ? signature : undefined };
  } catch (error) {
    const encoding = (error as NodeJS.ErrnoException).code === 'ERR_ENCODING_INVALID_ENCODED_DATA';
    return { problem: encoding ? 'it is not UTF-8 text' : (error as Error).message };
  } finally {
    if (file !== undefined) closeSync(file);
  }
}
