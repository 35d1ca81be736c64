// Opens what is pinned, for commands that look while an agent runs, or none does.

import { type BpfMaps, openMaps } from '../dataplane/bpf/maps.js';
import type { Native } from '../native/api.js';
import { openNative } from '../native/binding.js';
import { checkRoot } from './preflight.js';
import { Refusal } from './refusal.js';

export interface PinnedKernel {
  readonly native: Native;
  readonly maps: BpfMaps;
}

/** @throws Refusal where this is not root, or nothing is pinned there. */
export function openPinned(pinFolder: string, command: string): PinnedKernel {
  checkRoot(command);
  const native = openNative();
  try {
    return { native, maps: openMaps(native, pinFolder) };
  } catch (error) {
    throw new Refusal((error as Error).message);
  }
}
