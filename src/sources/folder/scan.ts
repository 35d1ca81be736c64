// Which manifest files a directory holds now: paths, and a signature that changes with the content.

import { type BigIntStats, readdirSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';

const MANIFEST = /\.(ya?ml|json)$/i;

export interface ScannedFile {
  /** Relative to the directory, with `/`. */
  readonly name: string;
  readonly path: string;
  /** Changes with the content: device, inode, size, times. Undefined where the file cannot be used: see `problem`. */
  readonly signature: string | undefined;
  readonly problem?: string;
  readonly size: number;
  /** Last change, milliseconds since the epoch. */
  readonly changedAt: number;
}

/** A directory that must be watched to notice changes of the files found. */
export interface ScannedDirectory {
  readonly path: string;
  /** Device and inode: another directory at the same path needs a new watch. */
  readonly id: string;
}

export interface Scan {
  /** Sorted by name. */
  readonly files: readonly ScannedFile[];
  readonly directories: readonly ScannedDirectory[];
  /** Directories that could not be listed, relative to the directory. */
  readonly problems: readonly { readonly name: string; readonly message: string }[];
}

/**
 * Walks the directory and those below it; symbolic links are followed, names that begin with a dot are passed over.
 *
 * @param exclude a path that is no manifest (the state file).
 * @returns undefined when there is no such directory.
 */
export function scanDirectory(root: string, exclude: string | undefined): Scan | undefined {
  const found = tryStat(root);
  if ('problem' in found || !found.stats.isDirectory()) return undefined;
  const files: ScannedFile[] = [];
  const directories = new Map<string, ScannedDirectory>();
  const problems: { name: string; message: string }[] = [];
  const seen = new Set<string>();
  const walk = (path: string, prefix: string, stats: BigIntStats): void => {
    const id = `${stats.dev}:${stats.ino}`;
    // A link back up, or a second way to the same place.
    if (seen.has(id)) return;
    seen.add(id);
    directories.set(path, { path, id });
    for (const entry of list(path, prefix, problems)) {
      const name = prefix + entry.name;
      const full = join(path, entry.name);
      const isManifest = MANIFEST.test(entry.name);
      if (entry.name.startsWith('.') || full === exclude) continue;
      if (!isManifest && !entry.isDirectory() && !entry.isSymbolicLink()) continue;
      const target = tryStat(full);
      if (!('problem' in target) && target.stats.isDirectory()) walk(full, `${name}/`, target.stats);
      else if (isManifest) files.push(describe(name, full, target));
      if (isManifest && entry.isSymbolicLink()) watchTarget(full, directories);
    }
  };
  walk(root, '', found.stats);
  files.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { files, directories: [...directories.values()], problems };
}

type Stat = { readonly stats: BigIntStats } | { readonly problem: string };

function tryStat(path: string): Stat {
  try {
    return { stats: statSync(path, { bigint: true }) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { problem: code === 'ENOENT' ? 'a symbolic link to nothing' : message };
  }
}

function list(path: string, prefix: string, problems: { name: string; message: string }[]) {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    // Gone between two steps: the next scan sees that; anything else is for people.
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT') problems.push({ name: prefix || '.', message });
    return [];
  }
}

function describe(name: string, path: string, stat: Stat): ScannedFile {
  if ('problem' in stat)
    return { name, path, signature: undefined, problem: stat.problem, size: 0, changedAt: 0 };
  const { stats } = stat;
  const base = { name, path, size: Number(stats.size), changedAt: Number(stats.mtimeMs) };
  // Opening a pipe or a device could wait for ever.
  if (!stats.isFile()) return { ...base, signature: undefined, problem: 'not a regular file' };
  return { ...base, signature: signatureOf(stats) };
}

/** @returns what changes when the content does. */
export function signatureOf(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
}

/** A linked file may be edited where it really is. */
function watchTarget(path: string, directories: Map<string, ScannedDirectory>): void {
  try {
    const real = dirname(realpathSync(path));
    if (directories.has(real)) return;
    const stats = statSync(real, { bigint: true });
    directories.set(real, { path: real, id: `${stats.dev}:${stats.ino}` });
  } catch {
    // A link to nothing is reported as such; the slow rescan finds it when it comes.
  }
}
