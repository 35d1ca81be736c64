// Which labs exist on this machine, and how one is taken away without a trace, also after its owner has died.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = '/run/portolan-lab';
const NETNS_FOLDER = '/run/netns';

/** What belongs to a lab; written down before any of it is made. */
export interface LabRecord {
  readonly id: string;
  /** The process that made it, and when that process started (clock ticks since boot), since ids are used again. */
  readonly owner: number;
  readonly ownerStarted: string;
  /** Prefix of its network namespaces. */
  readonly prefix: string;
  /** Its folder: record, configuration, state, bpffs. */
  readonly folder: string;
  readonly bpffs: string;
  readonly cgroup: string;
}

let made = 0;

/** Makes the record of a new lab, and its folder. */
export function newRecord(): LabRecord {
  const id = `${process.pid.toString(36)}${made++ === 0 ? '' : `x${made}`}`;
  const folder = join(ROOT, id);
  const record: LabRecord = {
    id,
    owner: process.pid,
    ownerStarted: startTime(process.pid) ?? '',
    prefix: `plt${id}-`,
    folder,
    bpffs: join(folder, 'bpf'),
    cgroup: join(cgroup2Root(), `portolan-lab-${id}`),
  };
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'lab.json'), JSON.stringify(record, undefined, 2));
  return record;
}

/** @returns undefined where there is no such process. */
function startTime(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The command's name may hold spaces and brackets; the fields after it do not. Field 22 is the start time.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return undefined;
  }
}

/** @throws Error where no cgroup v2 hierarchy is mounted. */
export function cgroup2Root(): string {
  for (const line of readFileSync('/proc/mounts', 'utf8').split('\n')) {
    const [, path, type] = line.split(' ');
    if (type === 'cgroup2' && path !== undefined) return path;
  }
  throw new Error('the lab needs cgroup v2, and none is mounted: mount -t cgroup2 none /sys/fs/cgroup');
}

/** Takes away labs whose owner is gone. @returns their ids. */
export function sweep(): string[] {
  if (!existsSync(ROOT)) return [];
  const swept: string[] = [];
  for (const id of readdirSync(ROOT)) {
    const record = readRecord(join(ROOT, id, 'lab.json'));
    if (record === undefined || startTime(record.owner) === record.ownerStarted) continue;
    destroy(record);
    swept.push(id);
  }
  return swept;
}

function readRecord(path: string): LabRecord | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as LabRecord;
  } catch {
    return undefined;
  }
}

/**
 * Ends the lab's processes, then removes its cgroups, pins and namespaces. Synchronous, so that it also works while the
 * process exits; does as much as it can. @returns what could not be removed, in words.
 */
export function destroy(record: LabRecord): string[] {
  const left: string[] = [];
  endProcesses(record.cgroup);
  const namespaces = namespacesOf(record.prefix).map((name) => `netns del ${name}\n`);
  if (namespaces.length > 0) quietly(['ip', '-force', '-batch', '-'], namespaces.join(''));
  left.push(...namespacesOf(record.prefix).map((name) => `network namespace ${name}`));
  if (mounted(record.bpffs) && !quietly(['umount', record.bpffs]))
    quietly(['umount', '--lazy', record.bpffs]);
  if (mounted(record.bpffs)) left.push(`bpffs ${record.bpffs}`);
  else removeFolder(record.folder);
  removeCgroups(record.cgroup);
  if (existsSync(record.cgroup)) left.push(`cgroup ${record.cgroup}`);
  return left;
}

function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  try {
    rmdirSync(ROOT);
  } catch {
    // Other labs are there.
  }
}

function namespacesOf(prefix: string): string[] {
  return existsSync(NETNS_FOLDER) ? readdirSync(NETNS_FOLDER).filter((name) => name.startsWith(prefix)) : [];
}

function quietly(argv: readonly string[], input = ''): boolean {
  return spawnSync(argv[0]!, argv.slice(1), { input, stdio: ['pipe', 'ignore', 'ignore'] }).status === 0;
}

function mounted(path: string): boolean {
  return readFileSync('/proc/mounts', 'utf8').includes(` ${path} `);
}

function cgroupsBelow(path: string): string[] {
  if (!existsSync(path)) return [];
  const below = readdirSync(path, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return [...below.flatMap((entry) => cgroupsBelow(join(path, entry.name))), path];
}

function processesBelow(path: string): number[] {
  return cgroupsBelow(path).flatMap((cgroup) =>
    readFileSync(join(cgroup, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number),
  );
}

/** Every process of a lab is in its cgroups; the owner never is. */
function endProcesses(cgroup: string): void {
  const deadline = Date.now() + 5000;
  for (let pids = processesBelow(cgroup); pids.length > 0; pids = processesBelow(cgroup)) {
    for (const pid of pids) {
      try {
        if (pid !== process.pid) process.kill(pid, 'SIGKILL');
      } catch {
        // Ended by itself meanwhile.
      }
    }
    if (Date.now() > deadline) return;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
  }
}

function removeCgroups(cgroup: string): void {
  for (let attempt = 0; attempt < 50; attempt++) {
    try {
      for (const path of cgroupsBelow(cgroup)) rmdirSync(path);
      return;
    } catch {
      // EBUSY until the kernel has buried the last process.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}
