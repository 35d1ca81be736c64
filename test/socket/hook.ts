// The socket hook's object: its settings, and where its programs are attached.

import { closeSync, openSync, readFileSync } from 'node:fs';
import { SETTINGS_SIZE, SettingFlags, settingsCodec } from '../../src/abi/layout.gen.js';
import type { BpfObject, Native } from '../../src/native/api.js';
import { artifactPath } from '../../src/native/artifacts.js';

/** Programs, and where they are attached: enum bpf_attach_type. */
export const PROGRAMS = {
  pl_connect4: 10,
  pl_connect6: 11,
  pl_sendmsg4: 14,
  pl_sendmsg6: 15,
  pl_recvmsg4: 19,
  pl_recvmsg6: 20,
  pl_peername4: 29,
  pl_peername6: 30,
  pl_release: 34,
} as const;

export interface HookOptions {
  /** PL_SET_UDP_CONNECT; on unless said. */
  readonly udpConnect?: boolean;
  readonly maxSockets?: number;
}

/** Opens build/sock.bpf.o with settings, not yet loaded. */
export function openSockObject(native: Native, hostNetns: bigint, options: HookOptions = {}): BpfObject {
  const object = native.openObject(new Uint8Array(readFileSync(artifactPath('sock.bpf.o'))), 'sock.bpf.o');
  const settings = new Uint8Array(SETTINGS_SIZE);
  settingsCodec.write(new DataView(settings.buffer), 0, {
    hostNetns,
    flags: (options.udpConnect ?? true) ? SettingFlags.UDP_CONNECT : 0,
    masqueradeMark: 0x4000,
    rejectPerSecond: 0,
    serviceRangeCount: 0,
    podRangeCount: 0,
    serviceRanges: [],
    podRanges: [],
  });
  object.setVariable('settings', settings);
  if (options.maxSockets !== undefined) object.setMapMaxEntries('sockets', options.maxSockets);
  return object;
}

/** Attaches every program of a loaded object to a cgroup. @returns the links. */
export function attachHook(native: Native, object: BpfObject, cgroupPath: string): number[] {
  const cgroup = openSync(cgroupPath, 'r');
  try {
    return Object.entries(PROGRAMS).map(([program, attachType]) => {
      const fd = object.programFd(program);
      try {
        return native.linkCreate(fd, cgroup, attachType);
      } finally {
        native.closeFd(fd);
      }
    });
  } finally {
    closeSync(cgroup);
  }
}
