// What the native library offers, typed. native/portolan.h is the C side; binding.ts joins the two.

/** Bytes that a call may read or fill. Must not be changed while an asynchronous call is under way. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** A failed native call: what was tried, the errno, and the library's own words (verifier log included). */
export class NativeError extends Error {
  /** Positive errno, for example 28 for ENOSPC. */
  readonly errno: number;
  /** Symbolic name, for example ENOSPC. */
  readonly code: string;
  /** What was tried, on what: `load tc.bpf.o`. */
  readonly operation: string;
  /** libbpf's messages and the end of the verifier's log; "" where there are none. */
  readonly log: string;

  constructor(operation: string, errno: number, code: string, text: string, log: string) {
    super(`${operation}: ${text}`);
    this.name = 'NativeError';
    this.operation = operation;
    this.errno = errno;
    this.code = code;
    this.log = log;
  }
}

export interface MapInfo {
  /** enum bpf_map_type. */
  readonly type: number;
  readonly id: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
}

export interface BatchResult {
  /** Elements done before the first failure. */
  readonly done: number;
  /** Keys to delete that were not there. */
  readonly missing: number;
  /** What stopped it; 0 when everything was done. */
  readonly errno: number;
}

export interface MapDump {
  readonly count: number;
  /** count * keySize bytes. */
  readonly keys: Bytes;
  /** count * valueSize bytes (per-CPU maps: count * roundup(valueSize, 8) * possible CPUs). */
  readonly values: Bytes;
}

export interface ProgramRun {
  readonly retval: number;
  /** Average nanoseconds of a run. */
  readonly durationNs: number;
  /** The packet afterwards. */
  readonly data: Bytes;
  /** struct __sk_buff afterwards. */
  readonly context: Bytes;
}

export interface LinkInfo {
  readonly id: number;
  readonly programId: number;
  /** 0 where the device is gone. */
  readonly ifindex: number;
}

/** What this kernel can do; probed, not guessed from its version. */
export interface Features {
  /** TCX links (Linux 6.6). */
  readonly tcx: boolean;
  /** SOCK_DESTROY of INET_DIAG (CONFIG_INET_DIAG_DESTROY). */
  readonly sockDestroy: boolean;
  /** SO_NETNS_COOKIE (Linux 5.14). */
  readonly netnsCookie: boolean;
  /** /sys/kernel/btf/vmlinux. */
  readonly btf: boolean;
}

/** An ELF object between open and close. */
export interface BpfObject {
  readonly name: string;
  /** Puts `bytes` over the .rodata variable of that name, as BTF names it. Before load. */
  setVariable(name: string, bytes: Bytes): void;
  /** Reuses the map pinned at `path`, or pins the new one there. Before load. */
  setMapPin(map: string, path: string): void;
  setMapMaxEntries(map: string, maxEntries: number): void;
  /** Before load; programs are loaded unless told otherwise. */
  setAutoload(program: string, on: boolean): void;
  load(): Promise<void>;
  /** A new file descriptor, the caller's to close. */
  programFd(name: string): number;
  mapFd(name: string): number;
  /** Instructions that the verifier walked (Linux 5.16); 0 where the kernel does not tell. */
  verifiedInstructions(name: string): number;
  close(): void;
}

/** One socket to destroy, as SOCK_DESTROY names it. */
export interface SocketToDestroy {
  readonly family: 4 | 6;
  /** IPPROTO_TCP or IPPROTO_UDP. */
  readonly protocol: number;
  /** Socket cookie (SO_COOKIE): what is destroyed is certain. */
  readonly cookie: bigint;
}

/** rtnetlink: dumps and notifications, as raw messages (struct nlmsghdr ...). */
export interface RouteSocket {
  /**
   * Asks for a dump; its messages come through `onMessages`, ended by NLMSG_DONE. Several requests are done one after the
   * other; one that is still waiting is not doubled. Messages with NLM_F_DUMP_INTR (0x10): things changed meanwhile, ask again.
   */
  requestDump(messageType: 'links' | 'addresses'): void;
  close(): void;
}

/**
 * The kernel, as far as Portolan touches it from user space. Every method throws NativeError, and TypeError or RangeError
 * for an argument that is none. File descriptors are plain numbers, close-on-exec, and the caller's to close (closeFd).
 */
export interface Native {
  readonly possibleCpus: number;
  features(): Features;
  openObject(elf: Bytes, name: string): BpfObject;

  mapInfo(fd: number): MapInfo;
  /** flags: 0 any, 1 NOEXIST, 2 EXIST. */
  mapUpdate(fd: number, key: Bytes, value: Bytes, flags?: number): void;
  /** @returns false where there is no such key. */
  mapLookup(fd: number, key: Bytes, value: Bytes): boolean;
  /** @returns false where there was no such key. */
  mapDelete(fd: number, key: Bytes): boolean;
  /** `count` keys and values one after the other. Never rejects for an element: see BatchResult.errno. */
  mapUpdateBatch(fd: number, keys: Bytes, values: Bytes, count: number): Promise<BatchResult>;
  mapDeleteBatch(fd: number, keys: Bytes, count: number): Promise<BatchResult>;
  /** All elements, also of a map that changes meanwhile (then without a promise to see every one). */
  mapDump(fd: number): Promise<MapDump>;

  /** bpf(BPF_LINK_CREATE): a tcx (target: ifindex) or cgroup (target: its fd) link. attachType: enum bpf_attach_type. */
  linkCreate(programFd: number, target: number, attachType: number): number;
  linkUpdate(linkFd: number, programFd: number): void;
  linkInfo(linkFd: number): LinkInfo;
  linkDetach(linkFd: number): void;
  /** clsact: makes the qdisc where it is missing, adds or replaces our filter by fixed handle and priority. */
  tcAttach(ifindex: number, direction: 'ingress' | 'egress', programFd: number): void;
  /** Removes our filter, and the qdisc when nothing else uses it. @returns false where there was none of ours. */
  tcDetach(ifindex: number, direction: 'ingress' | 'egress'): boolean;

  pin(fd: number, path: string): void;
  /** @returns -1 where nothing is pinned there. */
  getPinned(path: string): number;
  /** Closes a descriptor that this library gave; any other is EBADF. */
  closeFd(fd: number): void;
  /** BPF_PROG_TEST_RUN. A tc program always has a context (struct __sk_buff, 192 bytes; zeros unless given). */
  programRun(programFd: number, packet: Bytes, options?: { repeat?: number; context?: Bytes }): ProgramRun;

  /** Cookie of a network namespace; without a path that of this process. 0n where the kernel has none to give. */
  netnsCookie(path?: string): bigint;
  /** Destroys sockets inside the network namespace at `path`. @returns how many were there and are gone. */
  destroySockets(netnsPath: string, sockets: readonly SocketToDestroy[]): Promise<number>;
  /**
   * rtnetlink of this process's network namespace; follows links and addresses. An empty array means that messages were
   * lost (ENOBUFS): ask for both dumps again.
   */
  openRoute(onMessages: (messages: Bytes) => void): RouteSocket;
  /** flock(LOCK_EX | LOCK_NB) on a file or directory. @returns -1 where another process has it; else the fd that holds it. */
  lock(path: string): number;
  /** Mounts bpffs there. */
  mountBpffs(path: string): void;
  /** statfs(2) f_type: 0xcafe4a11 bpffs, 0x63677270 cgroup2. */
  filesystemType(path: string): number;
}
