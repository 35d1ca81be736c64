// The pinned maps, typed: for the engine, the agent, and commands that look while no agent runs.

import type { Codec } from '../../abi/codec.js';
import { LAYOUT_HASH, LAYOUT_VERSION, MAPS, type MapName, type Maps } from '../../abi/layout.gen.js';
import type { MapInfo, Native } from '../../native/api.js';
import type { MapFds } from './batch.js';
import { type CodecValue, perCpuSize } from './encode.js';
import { pace } from './pace.js';
import { makePinFolder, mapFolder } from './pins.js';

export type MapKey<M extends MapName> = CodecValue<Maps[M]['key']>;
export type MapValue<M extends MapName> = CodecValue<Maps[M]['value']>;

/** BPF_MAP_TYPE_PERCPU_HASH, _PERCPU_ARRAY, _LRU_PERCPU_HASH. */
const PER_CPU: ReadonlySet<number> = new Set([5, 6, 10]);

/** An open map. Every method throws NativeError, and RangeError for values that do not fit. */
export interface BpfMap<K, V> {
  readonly name: MapName;
  readonly fd: number;
  readonly info: MapInfo;
  get(key: K): V | undefined;
  set(key: K, value: V): void;
  /** @returns false where there was no such key. */
  delete(key: K): boolean;
  /** All elements; of a map that changes meanwhile, most. */
  dump(): Promise<[K, V][]>;
}

/** A map with a value for each CPU. */
export interface PerCpuMap<K, V> {
  readonly name: MapName;
  readonly fd: number;
  readonly info: MapInfo;
  /** The values of all possible CPUs. */
  get(key: K): V[] | undefined;
  dump(): Promise<[K, V[]][]>;
}

type OpenMap<M extends MapName> = M extends 'service_stats' | 'reasons'
  ? PerCpuMap<MapKey<M>, MapValue<M>>
  : BpfMap<MapKey<M>, MapValue<M>>;

export type BpfMaps = { readonly [M in MapName]: OpenMap<M> } & {
  /** As struct pl_meta keeps it. */
  readonly layoutHash: bigint;
  close(): void;
};

/**
 * Opens the maps pinned below `pinFolder`.
 *
 * @throws Error that says what is missing: no agent has run with this folder, or one with another layout
 */
export function openMaps(native: Native, pinFolder: string): BpfMaps {
  const folder = mapFolder(pinFolder, LAYOUT_VERSION);
  const opened: Record<string, BpfMap<unknown, unknown> | PerCpuMap<unknown, unknown>> = {};
  const close = (): void => {
    for (const { fd } of Object.values(opened)) native.closeFd(fd);
  };
  try {
    for (const name of Object.keys(MAPS) as MapName[]) opened[name] = openMap(native, folder, name);
  } catch (error) {
    close();
    throw error;
  }
  return { ...opened, layoutHash: BigInt(`0x${LAYOUT_HASH}`), close } as unknown as BpfMaps;
}

/** Pins open maps where they are not pinned (any more): a bpffs that was unmounted takes its pins with it. */
export function pinMaps(native: Native, maps: BpfMaps, pinFolder: string): void {
  const folder = mapFolder(pinFolder, LAYOUT_VERSION);
  makePinFolder(folder);
  for (const name of Object.keys(MAPS) as MapName[]) {
    const path = `${folder}/${name}`;
    const pinned = native.getPinned(path);
    if (pinned >= 0) native.closeFd(pinned);
    else native.pin(maps[name].fd, path);
  }
}

/** The descriptors that the engine writes to. */
export function mapFds(maps: BpfMaps): MapFds {
  const { frontends, slots, members, backends, addresses, services, service_stats, source_ranges } = maps;
  return {
    frontends: frontends.fd,
    slots: slots.fd,
    members: members.fd,
    backends: backends.fd,
    addresses: addresses.fd,
    services: services.fd,
    service_stats: service_stats.fd,
    source_ranges: source_ranges.fd,
  };
}

function openMap(
  native: Native,
  folder: string,
  name: MapName,
): BpfMap<unknown, unknown> | PerCpuMap<unknown, unknown> {
  const definition = MAPS[name];
  const path = `${folder}/${name}`;
  const fd = native.getPinned(path);
  if (fd < 0) throw new Error(`no map is pinned at ${path}: has the agent run here, with this pinFolder?`);
  const info = native.mapInfo(fd);
  if (
    info.keySize !== definition.keySize ||
    info.valueSize !== definition.valueSize ||
    info.type !== definition.type
  ) {
    native.closeFd(fd);
    throw new Error(`the map pinned at ${path} has another layout: use the version of portolan that made it`);
  }
  const key = definition.key as Codec<unknown>;
  const value = definition.value as Codec<unknown>;
  const handle = { native, name, fd, info, key, value };
  return PER_CPU.has(info.type) ? perCpuMap(handle) : plainMap(handle);
}

interface Handle {
  readonly native: Native;
  readonly name: MapName;
  readonly fd: number;
  readonly info: MapInfo;
  readonly key: Codec<unknown>;
  readonly value: Codec<unknown>;
}

function plainMap({ native, name, fd, info, key, value }: Handle): BpfMap<unknown, unknown> {
  return {
    name,
    fd,
    info,
    get(k) {
      const bytes = new Uint8Array(info.valueSize);
      if (!native.mapLookup(fd, encode(key, k), bytes)) return undefined;
      return value.read(new DataView(bytes.buffer), 0);
    },
    set: (k, v) => native.mapUpdate(fd, encode(key, k), encode(value, v)),
    delete: (k) => native.mapDelete(fd, encode(key, k)),
    dump: () =>
      decodeDump(native, fd, (k, v, i) => [key.read(k, i * info.keySize), value.read(v, i * info.valueSize)]),
  };
}

function perCpuMap({ native, name, fd, info, key, value }: Handle): PerCpuMap<unknown, unknown> {
  const stride = perCpuSize(info.valueSize);
  const size = stride * native.possibleCpus;
  const readAll = (view: DataView, at: number): unknown[] =>
    Array.from({ length: native.possibleCpus }, (_, cpu) => value.read(view, at + cpu * stride));
  return {
    name,
    fd,
    info,
    get(k) {
      const bytes = new Uint8Array(size);
      return native.mapLookup(fd, encode(key, k), bytes) ? readAll(new DataView(bytes.buffer), 0) : undefined;
    },
    dump: () => decodeDump(native, fd, (k, v, i) => [key.read(k, i * info.keySize), readAll(v, i * size)]),
  };
}

/** In turns: a hundred thousand elements would hold everything else up. */
async function decodeDump<T>(
  native: Native,
  fd: number,
  decode: (keys: DataView, values: DataView, index: number) => T,
): Promise<T[]> {
  const { count, keys, values } = await native.mapDump(fd);
  const [k, v] = [new DataView(keys.buffer), new DataView(values.buffer)];
  const turn = pace();
  const elements: T[] = [];
  for (let i = 0; i < count; i++) {
    elements.push(decode(k, v, i));
    if (turn.isOver()) await turn.next();
  }
  return elements;
}

function encode(codec: Codec<unknown>, value: unknown): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(codec.size);
  codec.write(new DataView(bytes.buffer), 0, value);
  return bytes;
}
