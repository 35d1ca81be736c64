import type { Bytes, Features, Native, SocketToDestroy } from './api.js';
import { bytes, cString, descriptor, inRange } from './checks.js';
import { checked, nativeError } from './errors.js';
import type { Library } from './library.js';
import { createMaps } from './maps.js';
import { openObject } from './object.js';
import { createPrograms } from './programs.js';
import { openRoute } from './route.js';

const ENOENT = 2;
const EBADF = 9;
const EAGAIN = 11;

/** PL_FEATURE_* of native/portolan.h. */
const FEATURE = { tcx: 1, sockDestroy: 2, netnsCookie: 4, btf: 8 } as const;

/** A record of pl_destroy_sockets: family, protocol, six bytes of zero, cookie. */
const SOCKET_RECORD = 16;

export function createNative(library: Library): Native {
  // Only what was handed out is ever closed: the number of a descriptor that was closed twice may be another's by now.
  const owned = new Set<number>();
  const own = (fd: number): number => {
    owned.add(fd);
    return fd;
  };
  return {
    possibleCpus: checked(library.call('pl_possible_cpus'), 'count CPUs'),
    features: probeOnce(library),
    openObject: (elf, name) => openObject(library, own, elf, name),
    ...createMaps(library),
    ...createPrograms(library, own),
    ...createFiles(library, own),
    closeFd(fd) {
      if (!owned.delete(fd))
        throw nativeError(`close descriptor ${fd}`, EBADF, { EBADF: 'it is not open here' });
      checked(library.call('pl_close', fd), `close descriptor ${fd}`);
    },
    netnsCookie: (path) => netnsCookie(library, path),
    destroySockets: (path, sockets) => destroySockets(library, path, sockets),
    openRoute: (onMessages) => openRoute(library, onMessages),
  };
}

function createFiles(
  library: Library,
  own: (fd: number) => number,
): Pick<Native, 'pin' | 'getPinned' | 'lock' | 'mountBpffs' | 'filesystemType'> {
  return {
    pin(fd, path) {
      const result = library.call('pl_pin', descriptor(fd, 'fd'), cString(path, 'path'));
      checked(result, `pin at ${path}`, {
        EPERM: 'the folder must be on a bpffs, and this needs root',
        EEXIST: 'something is pinned there already',
        ENOENT: 'its folder does not exist',
      });
    },
    getPinned(path) {
      const result = library.call('pl_get_pinned', cString(path, 'path'));
      return result === -ENOENT ? -1 : own(checked(result, `open what is pinned at ${path}`));
    },
    lock(path) {
      const result = library.call('pl_lock', cString(path, 'path'));
      return result === -EAGAIN ? -1 : own(checked(result, `lock ${path}`));
    },
    mountBpffs(path) {
      checked(library.call('pl_mount_bpffs', cString(path, 'path')), `mount a bpffs at ${path}`);
    },
    filesystemType(path) {
      const out = new Uint32Array(1);
      checked(library.call('pl_filesystem_type', cString(path, 'path'), out, 4), `file system of ${path}`);
      return out[0]!;
    },
  };
}

/** Kernels do not change under a process; a probe that failed is tried again. */
function probeOnce(library: Library): () => Features {
  let known: Features | undefined;
  return () => {
    if (known) return known;
    const bits = checked(library.call('pl_features'), 'probe the kernel');
    known = {
      tcx: (bits & FEATURE.tcx) !== 0,
      sockDestroy: (bits & FEATURE.sockDestroy) !== 0,
      netnsCookie: (bits & FEATURE.netnsCookie) !== 0,
      btf: (bits & FEATURE.btf) !== 0,
    };
    return known;
  };
}

function netnsCookie(library: Library, path?: string): bigint {
  const out = new Uint32Array(2);
  const at = path === undefined ? null : cString(path, 'path');
  const result = library.call('pl_netns_cookie', at, out, out.byteLength);
  checked(result, `cookie of network namespace ${path ?? '(own)'}`, {
    EINVAL: 'it is not a network namespace',
  });
  return (BigInt(out[1]!) << 32n) | BigInt(out[0]!);
}

async function destroySockets(
  library: Library,
  path: string,
  sockets: readonly SocketToDestroy[],
): Promise<number> {
  cString(path, 'netnsPath');
  if (sockets.length === 0) return 0;
  const records = socketRecords(sockets);
  const result = await library.callAsync('pl_destroy_sockets', path, records, records.length);
  return checked(result, `destroy sockets in ${path}`, {
    EOPNOTSUPP: 'this kernel has no CONFIG_INET_DIAG_DESTROY',
    EINVAL: 'it is not a network namespace',
    ENOENT: 'it does not exist, or this kernel has no CONFIG_INET_DIAG',
  });
}

function socketRecords(sockets: readonly SocketToDestroy[]): Bytes {
  const records = bytes(new Uint8Array(sockets.length * SOCKET_RECORD), 'sockets');
  const view = new DataView(records.buffer);
  sockets.forEach(({ family, protocol, cookie }, i) => {
    if (family !== 4 && family !== 6) throw new RangeError(`family must be 4 or 6, not ${String(family)}`);
    records[i * SOCKET_RECORD] = family;
    records[i * SOCKET_RECORD + 1] = inRange(protocol, 1, 255, 'protocol');
    if (typeof cookie !== 'bigint' || cookie < 0n || cookie >= 1n << 64n) {
      throw new RangeError(`cookie must be a bigint of 64 bits, not ${String(cookie)}`);
    }
    view.setBigUint64(i * SOCKET_RECORD + 8, cookie, true);
  });
  return records;
}
