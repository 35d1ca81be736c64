// What must be true before the agent touches the kernel: each refusal says what is missing and what to do.

import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Native } from '../native/api.js';
import { Refusal } from './refusal.js';

const BPF_FS_MAGIC = 0xcafe4a11;
const NEEDED: readonly [number, number] = [5, 10];

/** @throws Refusal where this process is not root */
export function checkRoot(command: string): void {
  if (process.geteuid?.() !== 0)
    throw new Refusal(`${command} needs root (CAP_BPF, CAP_NET_ADMIN, CAP_SYS_ADMIN): try sudo ${command} …`);
}

/** @throws Refusal when this process or this kernel cannot do it. */
export function checkMachine(native: Native): void {
  checkRoot('portolan run');
  const release = readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim();
  if (!kernelIsAtLeast(release, NEEDED))
    throw new Refusal(`Linux ${release} is too old: the BPF programs need ${NEEDED.join('.')}`);
  if (!native.features().btf)
    throw new Refusal(
      'the kernel has no BTF (/sys/kernel/btf/vmlinux): it must be built with CONFIG_DEBUG_INFO_BTF',
    );
}

/** Pure: is `release` (uname -r) at least this major.minor? */
export function kernelIsAtLeast(release: string, [major, minor]: readonly [number, number]): boolean {
  const match = /^(\d+)\.(\d+)/.exec(release);
  if (match === null) return false;
  const [have, haveMinor] = [Number(match[1]), Number(match[2])];
  return have > major || (have === major && haveMinor >= minor);
}

/**
 * Makes the pin folder, mounting bpffs where its parent is no bpffs yet.
 * @returns true where it had to mount
 * @throws Refusal when that fails
 */
export function preparePinFolder(native: Native, pinFolder: string): boolean {
  const parent = dirname(pinFolder);
  try {
    let mounted = false;
    mkdirSync(parent, { recursive: true });
    if (native.filesystemType(parent) !== BPF_FS_MAGIC) {
      const hidden = readdirSync(parent).length;
      if (hidden > 0)
        throw new Error(
          `${parent} is no bpffs, and a mount there would hide what is in it (${hidden} entries)`,
        );
      native.mountBpffs(parent);
      mounted = true;
    }
    mkdirSync(pinFolder, { recursive: true, mode: 0o700 });
    return mounted;
  } catch (error) {
    throw new Refusal(
      `cannot make the pin folder ${pinFolder}: ${(error as Error).message}; name a folder in a bpffs (pinFolder, --pin-folder), or mount one: mount -t bpf bpf DIR`,
    );
  }
}

/**
 * Takes the lock that keeps two agents off the same pins; it is held until this process ends.
 * @throws Refusal when another process has it
 */
export function lockPins(native: Native, pinFolder: string): number {
  const lock = native.lock(pinFolder);
  if (lock < 0)
    throw new Refusal(
      `another portolan runs on ${pinFolder}: stop it first, or give this one a pinFolder of its own (pinFolder in the configuration)`,
      3,
    );
  return lock;
}
