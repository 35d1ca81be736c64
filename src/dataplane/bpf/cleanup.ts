// Removes what is pinned of the dataplane: links, maps, programs. (Filters at clsact have no pins: see agent/cleanup.ts.) Traffic is served by nobody of ours from then on.

import { existsSync, readdirSync, rmdirSync, unlinkSync } from 'node:fs';
import { type Native, NativeError } from '../../native/api.js';
import { linkFolder, mapFolder } from './pins.js';

export interface CleanupResult {
  readonly links: number;
  readonly pins: number;
}

/**
 * Works on every layout version that is found below `pinFolder`, and is done when nothing is there. The bpffs stays
 * mounted.
 *
 * @throws NativeError or a file system error, naming what could not be removed
 */
export function cleanup(native: Native, pinFolder: string): CleanupResult {
  const versions = entriesOf(pinFolder).flatMap((name) => /^v(\d+)$/.exec(name)?.[1] ?? []);
  let links = 0;
  for (const version of versions) links += detachLinks(native, linkFolder(pinFolder, Number(version)));
  let pins = 0;
  // Links first: nothing may look at maps that are gone.
  for (const version of versions) pins += removeTree(mapFolder(pinFolder, Number(version)));
  pins += removeTree(pinFolder);
  return { links, pins };
}

function detachLinks(native: Native, folder: string): number {
  let count = 0;
  for (const name of entriesOf(folder)) {
    const path = `${folder}/${name}`;
    const fd = native.getPinned(path);
    if (fd < 0) continue;
    try {
      native.linkDetach(fd);
    } catch (error) {
      if (!(error instanceof NativeError)) throw error; // its device or cgroup is gone
    } finally {
      native.closeFd(fd);
    }
    unlinkSync(path);
    count++;
  }
  return count;
}

/** Pins are files to the file system; a recursive rm would stop at the first it cannot stat. @returns how many pins */
function removeTree(folder: string): number {
  if (!existsSync(folder)) return 0;
  let count = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) {
      count += removeTree(path);
    } else {
      unlinkSync(path);
      count++;
    }
  }
  rmdirSync(folder);
  return count;
}

function entriesOf(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}
