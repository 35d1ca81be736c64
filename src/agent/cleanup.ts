// `portolan cleanup`: takes every trace away.

import { existsSync } from 'node:fs';
import { cleanup as cleanUpDataplane } from '../dataplane/bpf/cleanup.js';
import { type Native, NativeError } from '../native/api.js';
import { openNative } from '../native/binding.js';
import type { Configuration } from './config.js';
import { Interfaces } from './interfaces.js';
import { removeNetfilter } from './netfilter.js';
import { checkRoot, lockPins } from './preflight.js';

/** @returns what was removed, a line each. @throws Refusal while an agent runs on these pins. */
export async function cleanup(config: Configuration): Promise<string[]> {
  const native = openNative();
  checkRoot('portolan cleanup');
  const removed: string[] = [];
  if (existsSync(config.pinFolder)) {
    const lock = lockPins(native, config.pinFolder);
    const { links, pins } = cleanUpDataplane(native, config.pinFolder);
    if (links > 0) removed.push(`${links} links: programs at devices and at the cgroup`);
    if (pins > 0) removed.push(`${pins} pins under ${config.pinFolder}`);
    native.closeFd(lock);
  }
  removed.push(...(await detachFilters(native)));
  removed.push(...(await removeNetfilter()));
  return removed;
}

/** Filters of ours at clsact, which no pin names. */
async function detachFilters(native: Native): Promise<string[]> {
  const interfaces = new Interfaces(native, { link() {}, linkGone() {}, addresses() {} });
  await interfaces.synced;
  const removed: string[] = [];
  for (const { index, name } of interfaces.links())
    for (const direction of ['ingress', 'egress'] as const)
      try {
        if (native.tcDetach(index, direction)) removed.push(`clsact filter on ${name} ${direction}`);
      } catch (error) {
        if (!(error instanceof NativeError)) throw error; // the device has gone meanwhile
      }
  interfaces.close();
  return removed;
}
