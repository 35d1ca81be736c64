// The tc programs, loaded with private maps that the test fills by hand, as if it were the agent. Nothing is attached or
// pinned: packets go through BPF_PROG_TEST_RUN.

import { readFileSync } from 'node:fs';
import { parseAddr } from '../../src/abi/addr.js';
import type { Codec } from '../../src/abi/codec.js';
import {
  MAPS,
  type MapName,
  type Maps,
  REASON_NAMES,
  SettingFlags,
  settingsCodec,
} from '../../src/abi/layout.gen.js';
import type { BpfObject, Bytes, Native } from '../../src/native/api.js';
import { openNative } from '../../src/native/binding.js';

export const MASQUERADE_MARK = 0x4000;
export const PROTOCOLS = { tcp: 6, udp: 17, sctp: 132 } as const;
export const SERVICE_RANGES = ['10.96.0.0/16', 'fd00:96::/64'];
export const POD_RANGES = ['10.244.1.0/24', 'fd00:244:1::/64'];

const VERDICTS: ReadonlyMap<number, Verdict> = new Map([
  [0xffffffff, 'next'],
  [2, 'drop'],
  [7, 'answer'],
]);

/** struct __sk_buff: what a test gives and looks at. */
const CONTEXT_SIZE = 192;
const CONTEXT_MARK = 8;
const CONTEXT_IFINDEX = 40;
const CONTEXT_GSO_SIZE = 176;

/** "next" goes on to the stack, "answer" goes back out of the same device. */
export type Verdict = 'next' | 'drop' | 'answer';

export type Program = 'pl_ingress_eth' | 'pl_egress_eth' | 'pl_ingress_ip' | 'pl_egress_ip';

export interface Outcome {
  readonly verdict: Verdict;
  readonly bytes: Bytes;
  readonly mark: number;
}

export interface Options {
  /** enum pl_setting_flags; without takeover, with everything refused, unless said. */
  readonly flags?: number;
  readonly rejectPerSecond?: number;
  readonly maxEntries?: Partial<Record<MapName, number>>;
  readonly object?: string;
  readonly variables?: Readonly<Record<string, Bytes>>;
}

export const STRICT = SettingFlags.REJECT_UNKNOWN_PORTS | SettingFlags.DROP_UNALLOCATED;

function encodeWith<T>(codec: Codec<T>, value: T): Bytes {
  const bytes = new Uint8Array(codec.size);
  codec.write(new DataView(bytes.buffer), 0, value);
  return bytes;
}

export function range(cidr: string): { addr: Bytes; mask: Bytes; prefix: number } {
  const [address, length] = cidr.split('/') as [string, string];
  const prefix = Number(length) + (address.includes(':') ? 0 : 96);
  const mask = Uint8Array.from(
    { length: 16 },
    (_, i) => (0xff00 >> Math.min(8, Math.max(0, prefix - i * 8))) & 0xff,
  );
  return { addr: parseAddr(address), mask, prefix };
}

export class Dataplane {
  readonly #native: Native;
  readonly #object: BpfObject;
  readonly #fds = new Map<string, number>();
  #nextId = 1;

  private constructor(native: Native, object: BpfObject) {
    this.#native = native;
    this.#object = object;
  }

  static async load(options: Options = {}): Promise<Dataplane> {
    const native = openNative();
    const path = options.object ?? 'build/tc.bpf.o';
    const object = native.openObject(new Uint8Array(readFileSync(path)), path);
    object.setVariable('settings', encodeSettings(options));
    for (const [name, value] of Object.entries(options.variables ?? {})) object.setVariable(name, value);
    for (const [map, size] of Object.entries(options.maxEntries ?? {})) object.setMapMaxEntries(map, size);
    await object.load();
    return new Dataplane(native, object);
  }

  close(): void {
    for (const fd of this.#fds.values()) this.#native.closeFd(fd);
    this.#object.close();
  }

  get native(): Native {
    return this.#native;
  }

  verifiedInstructions(program: Program): number {
    return this.#object.verifiedInstructions(program);
  }

  programFd(name: string): number {
    return this.#fd(`program ${name}`, () => this.#object.programFd(name));
  }

  mapFd(name: string): number {
    return this.#fd(`map ${name}`, () => this.#object.mapFd(name));
  }

  set<M extends MapName>(map: M, key: KeyOf<M>, value: ValueOf<M>): void {
    const { key: keys, value: values } = MAPS[map] as unknown as Layouts<M>;
    this.#native.mapUpdate(this.mapFd(map), encodeWith(keys, key), encodeWith(values, value));
  }

  delete<M extends MapName>(map: M, key: KeyOf<M>): boolean {
    const { key: keys } = MAPS[map] as unknown as Layouts<M>;
    return this.#native.mapDelete(this.mapFd(map), encodeWith(keys, key));
  }

  get<M extends MapName>(map: M, key: KeyOf<M>): ValueOf<M> | undefined {
    const { key: keys, value: values } = MAPS[map] as unknown as Layouts<M>;
    const bytes = new Uint8Array(values.size);
    return this.#native.mapLookup(this.mapFd(map), encodeWith(keys, key), bytes)
      ? values.read(new DataView(bytes.buffer), 0)
      : undefined;
  }

  async entries<M extends MapName>(map: M): Promise<[KeyOf<M>, ValueOf<M>][]> {
    const { key, value } = MAPS[map] as unknown as Layouts<M>;
    const dump = await this.#native.mapDump(this.mapFd(map));
    const keys = new DataView(dump.keys.buffer, dump.keys.byteOffset);
    const values = new DataView(dump.values.buffer, dump.values.byteOffset);
    return Array.from({ length: dump.count }, (_, i) => [
      key.read(keys, i * key.size),
      value.read(values, i * value.size),
    ]);
  }

  run(
    program: string,
    packet: Bytes,
    context: { mark?: number; ifindex?: number; gsoSize?: number } = {},
  ): Outcome {
    const given = new DataView(new ArrayBuffer(CONTEXT_SIZE));
    given.setUint32(CONTEXT_MARK, context.mark ?? 0, true);
    given.setUint32(CONTEXT_IFINDEX, context.ifindex ?? 1, true);
    given.setUint32(CONTEXT_GSO_SIZE, context.gsoSize ?? 0, true);
    const out = this.#native.programRun(this.programFd(program), packet, {
      context: new Uint8Array(given.buffer),
    });
    const verdict = VERDICTS.get(out.retval >>> 0);
    if (!verdict) throw new Error(`${program} returned ${out.retval}`);
    const mark = new DataView(out.context.buffer).getUint32(CONTEXT_MARK, true);
    return { verdict, bytes: out.data, mark };
  }

  /** Reasons counted so far, by their words; those of 0 are left out. */
  reasons(): Record<string, number> {
    const counts: Record<string, number> = {};
    const cpus = new Uint8Array(8 * this.#native.possibleCpus);
    for (const [reason, word] of REASON_NAMES) {
      this.#native.mapLookup(this.mapFd('reasons'), encodeWith(MAPS.reasons.key, reason), cpus);
      const sum = new BigUint64Array(cpus.buffer).reduce((all, one) => all + one, 0n);
      if (sum > 0n) counts[word] = Number(sum);
    }
    return counts;
  }

  newId(): number {
    return this.#nextId++;
  }

  #fd(key: string, open: () => number): number {
    const fd = this.#fds.get(key) ?? open();
    this.#fds.set(key, fd);
    return fd;
  }
}

type KeyOf<M extends MapName> = Maps[M] extends { key: Codec<infer K> } ? K : never;
type ValueOf<M extends MapName> = Maps[M] extends { value: Codec<infer V> } ? V : never;
interface Layouts<M extends MapName> {
  readonly key: Codec<KeyOf<M>>;
  readonly value: Codec<ValueOf<M>>;
}

function encodeSettings(options: Options): Bytes {
  const services = SERVICE_RANGES.map(range);
  const pods = POD_RANGES.map(range);
  return encodeWith(settingsCodec, {
    hostNetns: 0n,
    flags: options.flags ?? STRICT,
    masqueradeMark: MASQUERADE_MARK,
    rejectPerSecond: options.rejectPerSecond ?? 1_000_000,
    serviceRangeCount: services.length,
    podRangeCount: pods.length,
    serviceRanges: services,
    podRanges: pods,
  });
}
