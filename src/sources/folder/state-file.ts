// What the folder source must remember over a restart: who has which cluster IP and node port, since when each Service is
// known, and the last good version of objects whose files are broken.

import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import * as v from 'valibot';
import type { ServiceName } from '../../model/service.js';
import type { Holding } from './ledger.js';
import type { FolderObject } from './objects.js';

export interface SavedService extends Holding {
  /** Milliseconds since the epoch: when the Service was first seen. */
  readonly firstSeen: number;
  /** File that it came from, relative to the folder: while that one cannot be read, the Service keeps what it has. */
  readonly file: string;
}

export interface FolderState {
  readonly services: ReadonlyMap<ServiceName, SavedService>;
  /** By file: objects that only the last good version of a broken file has. */
  readonly kept: ReadonlyMap<string, readonly FolderObject[]>;
}

export const EMPTY_STATE: FolderState = { services: new Map(), kept: new Map() };

/** Raised when the layout changes so that an older agent would misread it. */
const VERSION = 1;

const Port = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65535));
const Saved = v.object({
  firstSeen: v.number(),
  file: v.string(),
  clusterIPs: v.array(v.pipe(v.string(), v.ip())),
  nodePorts: v.record(v.string(), Port),
  healthCheckNodePort: Port,
});
const Kept = v.looseObject({
  kind: v.picklist(['Service', 'Pod', 'Endpoints', 'EndpointSlice', 'Node']),
  namespace: v.string(),
  name: v.string(),
});
const State = v.object({
  version: v.literal(VERSION),
  services: v.record(v.string(), Saved),
  kept: v.record(v.string(), v.array(Kept)),
});

export interface ReadState {
  readonly state: FolderState;
  /** What was wrong with the file, and what was done about it. */
  readonly problem?: string;
}

/**
 * Reads the state; a missing file is an empty state. A file that cannot be understood is moved aside, and of it those
 * Services are taken over whose lines are whole.
 */
export function readState(path: string): ReadState {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { state: EMPTY_STATE };
    const problem = `cannot be read (${(error as Error).message}); cluster IPs and node ports are worked out anew`;
    return { state: EMPTY_STATE, problem };
  }
  try {
    const { services, kept } = v.parse(State, JSON.parse(text));
    return { state: { services: asMap(services), kept: asMap(kept as Record<string, never[]>) } };
  } catch {
    const services = salvage(text);
    const count =
      services.size === 0 ? 'nothing' : `${services.size} Service${services.size === 1 ? '' : 's'}`;
    const aside = moveAside(path);
    const problem = `is damaged; ${count} of it could be taken over, other cluster IPs and node ports are worked out anew${aside}`;
    return { state: { services, kept: new Map() }, problem };
  }
}

/**
 * Replaces the file in one step: after a crash there is the old state or the new one.
 *
 * @throws the error of the file system.
 */
export function writeState(path: string, state: FolderState): void {
  const temporary = `${path}.tmp`;
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(temporary, 'w', 0o600);
  try {
    writeSync(file, formatState(state));
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(temporary, path);
  syncDirectory(dirname(path));
}

/** One line for each Service, so that a damaged file can be read in part, and people can compare two. */
export function formatState({ services, kept }: FolderState): string {
  const lines = (entries: ReadonlyMap<string, unknown>) =>
    [...entries]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => `  ${JSON.stringify(name)}: ${JSON.stringify(value)}`)
      .join(',\n');
  const block = (entries: ReadonlyMap<string, unknown>) =>
    entries.size === 0 ? '{}' : `{\n${lines(entries)}\n}`;
  return `{\n"version": ${VERSION},\n"services": ${block(services)},\n"kept": ${block(kept)}\n}\n`;
}

/** The rename itself must be on disk, too. File systems that cannot sync a directory do so anyway. */
function syncDirectory(path: string): void {
  const directory = openSync(path, 'r');
  try {
    fsyncSync(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EINVAL') throw error;
  } finally {
    closeSync(directory);
  }
}

function salvage(text: string): ReadonlyMap<ServiceName, SavedService> {
  const services = new Map<ServiceName, SavedService>();
  for (const [, line] of text.matchAll(/^ {2}("[^"]+": \{.*\}),?$/gm)) {
    try {
      const [entry] = Object.entries(JSON.parse(`{${line}}`) as object);
      const saved = v.safeParse(Saved, entry![1]);
      if (saved.success) services.set(entry![0], saved.output);
    } catch {
      // A line that is not whole: its Service gets new values.
    }
  }
  return services;
}

function moveAside(path: string): string {
  const aside = `${path}.damaged`;
  try {
    renameSync(path, aside);
    return ` (the old file is now ${aside})`;
  } catch (error) {
    return ` (the old file could not be moved: ${(error as Error).message})`;
  }
}

function asMap<T>(record: Readonly<Record<string, T>>): ReadonlyMap<string, T> {
  return new Map(Object.entries(record));
}
