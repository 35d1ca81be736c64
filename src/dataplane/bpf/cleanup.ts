// Removes every trace of the dataplane: links, filters, pins. Traffic is served by nobody of ours from then on.

import { existsSync, readdirSync, readFileSync, rmdirSync, unlinkSync } from 'node:fs';
import { type Native, NativeError } from '../../native/api.js';
import { linkFolder, mapFolder } from './pins.js';

export interface CleanupResult {
  readonly links: number;
  /** Filters at clsact, of all devices of this network namespace. */
  readonly filters: number;
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
  const filters = detachFilters(native);
  let pins = 0;
  // Links first: nothing may look at maps that are gone.
  for (const version of versions) pins += removeTree(mapFolder(pinFolder, Number(version)));
  pins += removeTree(pinFolder);
  return { links, filters, pins };
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

/** Ours are known by handle, priority and name, so looking at every device removes nobody else's. */
function detachFilters(native: Native): number {
  let count = 0;
  for (const device of entriesOf('/sys/class/net')) {
    const ifindex = ifindexOf(device);
    if (ifindex === 0) continue;
    for (const direction of ['ingress', 'egress'] as const) {
      try {
        if (native.tcDetach(ifindex, direction)) count++;
      } catch (error) {
        if (!(error instanceof NativeError) || existsSync(`/sys/class/net/${device}`)) throw error;
      }
    }
  }
  return count;
}

/** @returns 0 for what is no device (bonding_masters), or has gone */
function ifindexOf(device: string): number {
  try {
    return Number(readFileSync(`/sys/class/net/${device}/ifindex`, 'utf8'));
  } catch {
    return 0;
  }
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
