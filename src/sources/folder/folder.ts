// The folder source: a directory of ordinary manifests is the cluster. What an API server and controllers would do with
// them (allocate addresses and ports, match selectors) is done here.

import { statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import type { Source, SourceProblem } from '../source.js';
import { Follower, type FollowerOptions } from './follower.js';
import { createPools, type PortRange } from './ledger.js';
import { type Scan, scanDirectory } from './scan.js';
import { Watcher, type WatchTarget } from './watch.js';

export interface FolderSourceOptions {
  readonly directory: string;
  /** Whose Node object is told. */
  readonly nodeName: string;
  /** Where allocations are kept; undefined: nowhere, each start works them out anew (`portolan compile`). */
  readonly stateFile?: string | undefined;
  /** CIDRs from which cluster IPs are taken; the first one's family is that of Services that ask for none. */
  readonly serviceRanges?: readonly string[];
  /** Read the state file and leave it as it is: an agent that runs may be writing it. */
  readonly readOnly?: boolean;
  readonly nodePortRange?: PortRange;
  /** Quiet time after a change before it is read, in milliseconds. */
  readonly debounceMs?: number;
  /** Milliseconds since the epoch; for tests and reproducible output. */
  readonly now?: () => number;
}

export const DEFAULT_SERVICE_RANGES: readonly string[] = ['10.96.0.0/16', 'fd00:10:96::/112'];
export const DEFAULT_NODE_PORT_RANGE: PortRange = { from: 30000, to: 32767 };

const DEFAULT_DEBOUNCE_MS = 20;
/** Changes are read at the latest so long after the first, however many follow. */
const LONGEST_DEBOUNCE_MS = 60;
/** Everything is looked at so often even without a notice: network file systems give none. */
const RESCAN_MS = 3_000;

/** @throws RangeError when a range cannot be used. */
export function createFolderSource(options: FolderSourceOptions): Source {
  const ranges = options.serviceRanges ?? DEFAULT_SERVICE_RANGES;
  const pools = createPools(ranges, options.nodePortRange ?? DEFAULT_NODE_PORT_RANGE);
  const settings: Settings = {
    directory: resolve(options.directory),
    stateFile: options.stateFile === undefined ? undefined : resolve(options.stateFile),
    readOnly: options.readOnly ?? false,
    debounceMs: options.debounceMs ?? DEFAULT_DEBOUNCE_MS,
    now: options.now ?? Date.now,
    cluster: { pools, nodeName: options.nodeName },
  };
  return {
    description: `folder ${options.directory}`,
    async run(sink, signal) {
      checkDirectory(settings.directory);
      const first = scanFolder(settings);
      if (!first) throw new Error(`folder ${settings.directory} has just gone`);
      if (signal.aborted) return;
      sink.serviceRanges(ranges);
      const follower = new Follower(settings, sink);
      follower.round(first, []);
      sink.synced();
      if (!signal.aborted) await follow(settings, follower, signal);
    },
  };
}

interface Settings extends FollowerOptions {
  readonly debounceMs: number;
}

function checkDirectory(directory: string): void {
  const stats = statSync(directory, { throwIfNoEntry: false });
  if (!stats) throw new Error(`folder ${directory} does not exist; create it, or name another with --folder`);
  if (!stats.isDirectory())
    throw new Error(`${directory} is not a directory; --folder takes a directory of manifests`);
}

/** Runs a round after each change until the signal. */
async function follow(settings: Settings, follower: Follower, signal: AbortSignal): Promise<void> {
  const onChange = (): void => {
    let scan = scanFolder(settings);
    // What happened in a new directory before it was watched is seen by one more scan.
    if (watcher.watch(watchTargets(settings, scan))) scan = scanFolder(settings);
    const again = follower.round(scan, watchProblems(watcher));
    watcher.wake(Math.min(again ?? RESCAN_MS, RESCAN_MS));
  };
  const watcher = new Watcher({
    debounceMs: settings.debounceMs,
    longestMs: LONGEST_DEBOUNCE_MS,
    onChange,
  });
  try {
    onChange();
    await aborted(signal);
  } finally {
    watcher.close();
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((done) => {
    if (signal.aborted) done();
    else signal.addEventListener('abort', () => done(), { once: true });
  });
}

function scanFolder({ directory, stateFile }: Settings): Scan | undefined {
  return scanDirectory(directory, stateFile);
}

/** The parent is watched for the folder itself: it may be replaced as a whole, or go and come back. */
function watchTargets({ directory }: Settings, scan: Scan | undefined): readonly WatchTarget[] {
  const parent = dirname(directory);
  const stats = statSync(parent, { bigint: true, throwIfNoEntry: false });
  const above = stats ? [{ path: parent, id: `${stats.dev}:${stats.ino}`, only: basename(directory) }] : [];
  return [...above, ...(scan?.directories ?? [])];
}

function watchProblems(watcher: Watcher): readonly SourceProblem[] {
  return watcher.problems().map(({ path, message }) => ({
    where: path,
    message: `cannot be watched (${message}); changes are seen within ${RESCAN_MS / 1000} s. Raise fs.inotify.max_user_watches`,
    severity: 'warning',
  }));
}
