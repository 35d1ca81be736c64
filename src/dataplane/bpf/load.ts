// Loads both objects over the pinned maps.

import { readFileSync } from 'node:fs';
import { assertLayout } from '../../abi/check.js';
import { LAYOUT_VERSION, MAPS, type MapName, type Settings, settingsCodec } from '../../abi/layout.gen.js';
import type { BpfObject, Bytes, Native } from '../../native/api.js';
import { type Artifact, artifactPath } from '../../native/artifacts.js';
import { SOCKET_PROGRAMS, type SocketPrograms, TC_PROGRAMS, type TcPrograms } from './attach.js';
import { makePinFolder, mapFolder } from './pins.js';

export interface LoadOptions {
  readonly pinFolder: string;
  readonly settings: Settings;
  /** Entries of each map, by its name; a missing or undefined one has its default. */
  readonly mapSizes?: Readonly<Partial<Record<string, number>>>;
  /** For people: a map that keeps another size than wanted. */
  readonly note?: (message: string) => void;
}

/** File descriptors of the programs, the caller's to close. */
export interface LoadedPrograms {
  readonly tc: TcPrograms;
  readonly sock: SocketPrograms;
}

/**
 * Makes the maps that are missing, under `<pinFolder>/v<layout>/maps`, and loads all programs with these settings. Maps
 * that are there are taken over as they are, whatever their size: only another layout makes new ones.
 *
 * @throws Error when an object is missing or has another layout, NativeError with the verifier's log when it is refused
 */
export async function loadPrograms(native: Native, options: LoadOptions): Promise<LoadedPrograms> {
  const folder = mapFolder(options.pinFolder, LAYOUT_VERSION);
  makePinFolder(folder);
  const sizes = sizesOf(native, folder, options);
  const settings = writeSettings(options.settings);
  const tc = await loadObject(native, 'tc.bpf.o', folder, sizes, settings, TC_PROGRAMS);
  try {
    const sock = await loadObject(native, 'sock.bpf.o', folder, sizes, settings, SOCKET_PROGRAMS);
    return { tc, sock };
  } catch (error) {
    closePrograms(native, tc);
    throw error;
  }
}

/** The bytes of struct pl_settings. @throws RangeError naming the field that does not fit */
export function writeSettings(settings: Settings): Bytes {
  const bytes = new Uint8Array(settingsCodec.size);
  settingsCodec.write(new DataView(bytes.buffer), 0, settings);
  return bytes;
}

export function closePrograms(native: Native, programs: Readonly<Record<string, number>>): void {
  for (const fd of Object.values(programs)) native.closeFd(fd);
}

/** The size of every map: the pinned one's, else what is wanted. */
function sizesOf(
  native: Native,
  folder: string,
  { mapSizes = {}, note }: Pick<LoadOptions, 'mapSizes' | 'note'>,
): Map<MapName, number> {
  const sizes = new Map<MapName, number>();
  for (const name of Object.keys(MAPS) as MapName[]) {
    const wanted = mapSizes[name] ?? MAPS[name].maxEntries;
    const fd = native.getPinned(`${folder}/${name}`);
    const is = fd < 0 ? wanted : native.mapInfo(fd).maxEntries;
    if (fd >= 0) native.closeFd(fd);
    if (is !== wanted)
      note?.(
        `the map ${name} stays at ${is} entries, not ${wanted}: a size counts when the map is made ` +
          '(portolan cleanup removes the maps)',
      );
    sizes.set(name, is);
  }
  return sizes;
}

/**
 * Makes the maps that are missing, and loads no program: what is needed to take over before the settings are known.
 *
 * @throws Error when the object is missing or has another layout, NativeError when the kernel refuses a map
 */
export async function makeMaps(native: Native, options: Omit<LoadOptions, 'settings'>): Promise<void> {
  const folder = mapFolder(options.pinFolder, LAYOUT_VERSION);
  makePinFolder(folder);
  // Both objects have all maps: one is enough.
  const object = openObject(native, 'sock.bpf.o', folder, sizesOf(native, folder, options));
  try {
    for (const program of SOCKET_PROGRAMS) object.setAutoload(program, false);
    await object.load();
  } finally {
    object.close();
  }
}

function openObject(
  native: Native,
  artifact: Artifact,
  folder: string,
  sizes: ReadonlyMap<MapName, number>,
): BpfObject {
  const elf = new Uint8Array(readFileSync(artifactPath(artifact)));
  assertLayout(elf, artifact);
  const object = native.openObject(elf, artifact);
  for (const [map, size] of sizes) {
    object.setMapMaxEntries(map, size);
    object.setMapPin(map, `${folder}/${map}`);
  }
  return object;
}

async function loadObject<P extends string>(
  native: Native,
  artifact: Artifact,
  folder: string,
  sizes: ReadonlyMap<MapName, number>,
  settings: Bytes,
  programs: readonly P[],
): Promise<Record<P, number>> {
  const object = openObject(native, artifact, folder, sizes);
  try {
    object.setVariable('settings', settings);
    await object.load();
    return programFds(native, object, programs);
  } finally {
    object.close();
  }
}

function programFds<P extends string>(
  native: Native,
  object: BpfObject,
  programs: readonly P[],
): Record<P, number> {
  const fds: Partial<Record<P, number>> = {};
  try {
    for (const program of programs) fds[program] = object.programFd(program);
    return fds as Record<P, number>;
  } catch (error) {
    closePrograms(native, fds as Record<string, number>);
    throw error;
  }
}
