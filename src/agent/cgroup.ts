// Finds the cgroup v2 hierarchy, also where it is mounted beside v1.

import { readFileSync } from 'node:fs';
import type { Native } from '../native/api.js';
import { Refusal } from './refusal.js';

const CGROUP2_SUPER_MAGIC = 0x63677270;

/**
 * @param configured the configured folder; "" finds the root of the first cgroup v2 mount
 * @throws Refusal when there is none, or the configured folder is not in one
 */
export function findCgroup(native: Native, configured: string): string {
  if (configured !== '') {
    if (isCgroup2(native, configured)) return configured;
    throw new Refusal(
      `cgroup ${configured} is not a cgroup v2 folder; leave it out to find the root, or mount cgroup2`,
    );
  }
  for (const line of readFileSync('/proc/mounts', 'utf8').split('\n')) {
    const [, path, type] = line.split(' ');
    if (type === 'cgroup2' && path !== undefined) return path.replace(/\\040/g, ' ');
  }
  throw new Refusal(
    'the socket hook needs cgroup v2, and none is mounted: mount -t cgroup2 none /sys/fs/cgroup (or set hooks.socket: false)',
  );
}

/** Is there a folder of a cgroup v2 hierarchy at `path`? */
export function isCgroup2(native: Native, path: string): boolean {
  try {
    return native.filesystemType(path) === CGROUP2_SUPER_MAGIC;
  } catch {
    return false;
  }
}
