import type { Bytes, LinkInfo, ProgramRun } from './api.js';
import { bytes, descriptor, inRange, u32 } from './checks.js';
import { checked, type Hints } from './errors.js';
import type { Library } from './library.js';
import { logText } from './object.js';

/** sizeof(struct __sk_buff) and BPF_PROG_TYPE_SCHED_CLS. */
const SKB_CONTEXT = 192;
const SCHED_CLS = 3;
/** How much a program may make a packet grow in a test run. */
const GROWTH = 4096;

const BPF_TCX_INGRESS = 46;
const BPF_TCX_EGRESS = 47;

export interface Programs {
  linkCreate(programFd: number, target: number, attachType: number): number;
  linkUpdate(linkFd: number, programFd: number): void;
  linkInfo(linkFd: number): LinkInfo;
  linkDetach(linkFd: number): void;
  tcAttach(ifindex: number, direction: 'ingress' | 'egress', programFd: number): void;
  tcDetach(ifindex: number, direction: 'ingress' | 'egress'): boolean;
  programRun(programFd: number, packet: Bytes, options?: { repeat?: number; context?: Bytes }): ProgramRun;
}

export function createPrograms(library: Library, own: (fd: number) => number): Programs {
  return {
    linkCreate: (programFd, target, attachType) => own(linkCreate(library, programFd, target, attachType)),
    linkUpdate(linkFd, programFd) {
      const result = library.call(
        'pl_link_update',
        descriptor(linkFd, 'linkFd'),
        descriptor(programFd, 'programFd'),
      );
      checked(result, 'update a link', {
        ENOLINK: 'its device or cgroup is gone',
        EINVAL: 'not a link or program',
      });
    },
    linkInfo(linkFd) {
      const out = new Uint32Array(3);
      const result = library.call('pl_link_info', descriptor(linkFd, 'linkFd'), out, out.byteLength);
      checked(result, `link of descriptor ${linkFd}`, { EINVAL: 'it is not a link', EBADF: 'it is closed' });
      return { id: out[0]!, programId: out[1]!, ifindex: out[2]! };
    },
    linkDetach(linkFd) {
      checked(library.call('pl_link_detach', descriptor(linkFd, 'linkFd')), 'detach a link');
    },
    tcAttach(ifindex, direction, programFd) {
      const log = new Uint8Array(1024);
      const args = [
        inRange(ifindex, 1, 0x7fffffff, 'ifindex'),
        isEgress(direction),
        descriptor(programFd, 'programFd'),
      ];
      const result = library.call('pl_tc_attach', ...args, log, log.length);
      checked(result, `attach a filter to device ${ifindex} (${direction})`, TC_HINTS, logText(log));
    },
    tcDetach(ifindex, direction) {
      const log = new Uint8Array(1024);
      const args = [inRange(ifindex, 1, 0x7fffffff, 'ifindex'), isEgress(direction)];
      const result = library.call('pl_tc_detach', ...args, log, log.length);
      return (
        checked(result, `detach our filter from device ${ifindex} (${direction})`, TC_HINTS, logText(log)) ===
        1
      );
    },
    programRun: (programFd, packet, options = {}) => programRun(library, programFd, packet, options),
  };
}

const TC_HINTS: Hints = {
  ENODEV: 'there is no such device',
  EEXIST: 'a filter of another program is in our place',
};

function isEgress(direction: 'ingress' | 'egress'): number {
  if (direction !== 'ingress' && direction !== 'egress') {
    throw new TypeError(`direction must be ingress or egress, not ${String(direction)}`);
  }
  return direction === 'egress' ? 1 : 0;
}

function linkCreate(library: Library, programFd: number, target: number, attachType: number): number {
  const tcx = attachType === BPF_TCX_INGRESS || attachType === BPF_TCX_EGRESS;
  const operation = tcx ? `make a tcx link on device ${target}` : `make a link of attach type ${attachType}`;
  const args = [
    descriptor(programFd, 'programFd'),
    descriptor(target, 'target'),
    u32(attachType, 'attachType'),
  ];
  return checked(library.call('pl_link_create', ...args), operation, {
    EINVAL: tcx
      ? 'tcx needs Linux 6.6, and a program of type tc'
      : 'the program is of another type, or the kernel too old',
    EEXIST: 'this program is attached there already',
    ENODEV: 'there is no such device',
    EBADF: 'a descriptor is closed, or the target is not a cgroup v2 folder',
  });
}

function programRun(
  library: Library,
  programFd: number,
  packet: Bytes,
  options: { repeat?: number; context?: Bytes },
): ProgramRun {
  const type = checked(library.call('pl_program_type', descriptor(programFd, 'programFd')), 'run a program');
  const given = options.context && bytes(options.context, 'context');
  const context = given ? given.slice() : new Uint8Array(type === SCHED_CLS ? SKB_CONTEXT : 0);
  const data = new Uint8Array(bytes(packet, 'packet').length + GROWTH);
  const out = new Uint32Array(4);
  const repeat = inRange(options.repeat ?? 1, 1, 0xffffffff, 'repeat');
  const buffers = [packet, packet.length, data, data.length, context, context.length] as const;
  const result = library.call('pl_program_run', programFd, ...buffers, repeat, out, out.byteLength);
  checked(result, `run a program over ${packet.length} bytes`, {
    EINVAL: 'a packet has 14 bytes or more, a context only fields that may be set',
    ENOTSUPP: 'programs of this type cannot be run this way',
  });
  return {
    retval: out[0]!,
    durationNs: out[1]!,
    data: data.slice(0, out[2]!),
    context: context.slice(0, out[3]!),
  };
}
