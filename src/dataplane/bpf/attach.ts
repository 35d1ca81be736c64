// The hooks: programs at devices (tcx, else clsact) and at a cgroup. Links are pinned, so they outlive the agent; a new
// agent puts its programs into the links that are there, without a packet or a connect() in between going unserved.

import { closeSync, openSync, readFileSync, statSync } from 'node:fs';
import { LAYOUT_VERSION } from '../../abi/layout.gen.js';
import { type Native, NativeError } from '../../native/api.js';
import { type AttachedLink, PinnedLinks } from './links.js';
import { cgroupLinkName, type Direction, deviceLinkName, linkFolder, parseDeviceLinkName } from './pins.js';

export type { AttachedLink } from './links.js';

/** enum bpf_attach_type of uapi/linux/bpf.h. */
const TCX: Readonly<Record<Direction, number>> = { ingress: 46, egress: 47 };
const CGROUP = {
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

export type TcProgram = 'pl_ingress_eth' | 'pl_ingress_ip' | 'pl_egress_eth' | 'pl_egress_ip';
export type SocketProgram = keyof typeof CGROUP;
export const TC_PROGRAMS = [
  'pl_ingress_eth',
  'pl_ingress_ip',
  'pl_egress_eth',
  'pl_egress_ip',
] as const satisfies readonly TcProgram[];
export const SOCKET_PROGRAMS = Object.keys(CGROUP) as readonly SocketProgram[];

/** File descriptors of loaded programs. */
export type TcPrograms = Readonly<Record<TcProgram, number>>;
export type SocketPrograms = Readonly<Record<SocketProgram, number>>;

export interface Device {
  readonly ifindex: number;
  readonly name: string;
  /** Do its packets begin with an Ethernet header? */
  readonly ethernet: boolean;
}

/** How a device was attached; `note` is for people. */
export interface Attachment {
  readonly how: 'tcx' | 'clsact';
  readonly note?: string;
}

export interface HooksOptions {
  readonly native: Native;
  readonly pinFolder: string;
  /** auto: tcx where the kernel has it. */
  readonly tcAttach?: 'auto' | 'tcx' | 'clsact';
}

const DIRECTIONS: readonly Direction[] = ['ingress', 'egress'];
const ENODEV = 19;

/** Attaches programs. Every method throws NativeError with what was tried. */
export class Hooks {
  readonly #native: Native;
  readonly #links: PinnedLinks;
  readonly #tcx: boolean;
  readonly #note: string | undefined;

  constructor({ native, pinFolder, tcAttach = 'auto' }: HooksOptions) {
    this.#native = native;
    this.#links = new PinnedLinks(native, linkFolder(pinFolder, LAYOUT_VERSION));
    const able = native.features().tcx;
    this.#tcx = tcAttach === 'tcx' || (tcAttach === 'auto' && able);
    this.#note = !this.#tcx && !able ? 'tcx needs Linux 6.6; using clsact' : undefined;
  }

  /** Both directions. Attached already: its programs are replaced in place. */
  attachDevice(device: Device, programs: TcPrograms): Attachment {
    const l2 = device.ethernet ? 'eth' : 'ip';
    this.#dropRenamed(device);
    // Egress first: no flow is translated whose replies would go untranslated.
    for (const direction of ['egress', 'ingress'] as const) {
      const program = programs[`pl_${direction}_${l2}`];
      if (this.#tcx) this.#attachTcx(device, direction, program);
      else this.#native.tcAttach(device.ifindex, direction, program);
    }
    this.#dropOtherWay(device);
    const how = this.#tcx ? 'tcx' : 'clsact';
    return this.#note === undefined ? { how } : { how, note: this.#note };
  }

  /** Removes our programs from a device, which may be gone already. */
  detachDevice(device: Pick<Device, 'ifindex' | 'name'>): void {
    // Ingress first, as nothing new is then translated.
    for (const direction of DIRECTIONS) this.#links.drop(deviceLinkName(device.name, direction));
    this.#detachClsact(device.ifindex);
  }

  /** All nine programs of the socket hook. */
  attachCgroup(path: string, programs: SocketPrograms): void {
    const fd = openSync(path, 'r');
    try {
      const id = statSync(path, { bigint: true }).ino;
      // Those that undo before those that translate.
      const order = [...SOCKET_PROGRAMS].reverse();
      for (const program of order) this.#attachToCgroup(fd, id, program, programs[program]);
    } finally {
      closeSync(fd);
    }
  }

  detachCgroup(): void {
    for (const program of SOCKET_PROGRAMS) this.#links.drop(cgroupLinkName(program));
  }

  /** Where the socket hook is: the cgroup's id, which is its inode number; 0n: nowhere, or its cgroup was removed. */
  attachedCgroup(): bigint {
    const fd = this.#links.descriptor(cgroupLinkName('pl_connect4'));
    return fd === undefined ? 0n : cgroupOf(fd);
  }

  /** The pinned links; filters at clsact are not among them. */
  list(): AttachedLink[] {
    return this.#links.list();
  }

  /** Devices with a link of ours: those that are gone or no longer wanted are to be detached after a restart. */
  attachedDevices(): { readonly name: string; readonly ifindex: number }[] {
    const found = new Map<string, number>();
    for (const { name, ifindex } of this.list()) {
      const link = parseDeviceLinkName(name);
      if (link) found.set(link.device, Math.max(ifindex, found.get(link.device) ?? 0));
    }
    return [...found].map(([name, ifindex]) => ({ name, ifindex }));
  }

  #attachTcx(device: Device, direction: Direction, program: number): void {
    const name = deviceLinkName(device.name, direction);
    const here = (fd: number): boolean => this.#native.linkInfo(fd).ifindex === device.ifindex;
    if (this.#links.update(name, program, here)) return;
    this.#links.create(name, program, device.ifindex, TCX[direction], device.ifindex);
  }

  #attachToCgroup(cgroupFd: number, cgroupId: bigint, program: SocketProgram, programFd: number): void {
    const name = cgroupLinkName(program);
    if (this.#links.update(name, programFd, (fd) => cgroupOf(fd) === cgroupId)) return;
    this.#links.create(name, programFd, cgroupFd, CGROUP[program], 0);
  }

  /** A renamed device has its links under its old name; two pairs on one device would translate twice. */
  #dropRenamed(device: Device): void {
    for (const name of this.#links.onDevice(device.ifindex)) {
      const link = parseDeviceLinkName(name);
      if (!link || link.device === device.name) continue;
      this.#links.rename(name, deviceLinkName(device.name, link.direction));
    }
  }

  /** What an agent with another `tcAttach` has left. */
  #dropOtherWay(device: Device): void {
    if (this.#tcx) this.#detachClsact(device.ifindex);
    else for (const direction of DIRECTIONS) this.#links.drop(deviceLinkName(device.name, direction));
  }

  #detachClsact(ifindex: number): void {
    for (const direction of DIRECTIONS) {
      try {
        this.#native.tcDetach(ifindex, direction);
      } catch (error) {
        if (!(error instanceof NativeError) || error.errno !== ENODEV) throw error;
      }
    }
  }
}

/** The id of a link's cgroup, which is its inode number; 0n: it is gone. */
function cgroupOf(linkFd: number): bigint {
  const info = readFileSync(`/proc/self/fdinfo/${linkFd}`, 'utf8');
  return BigInt(/^cgroup_id:\s*(\d+)$/m.exec(info)?.[1] ?? 0);
}
