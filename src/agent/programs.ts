// The loaded programs: loaded with settings, loaded anew when the settings change, and pinned, so that the next agent has
// programs for new devices before its sources have answered.

import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { LAYOUT_VERSION, type Settings } from '../abi/layout.gen.js';
import {
  SOCKET_PROGRAMS,
  type SocketPrograms,
  TC_PROGRAMS,
  type TcPrograms,
} from '../dataplane/bpf/attach.js';
import { closePrograms, type LoadedPrograms, loadPrograms, makeMaps } from '../dataplane/bpf/load.js';
import { versionFolder } from '../dataplane/bpf/pins.js';
import type { Native } from '../native/api.js';
import { sameSettings } from './settings.js';

export interface ProgramSet {
  readonly tc: TcPrograms;
  readonly sock: SocketPrograms;
}

export interface ProgramsOptions {
  readonly native: Native;
  readonly pinFolder: string;
  readonly mapSizes: Readonly<Record<string, number>>;
  /** For notes such as a pinned map that keeps another size. */
  readonly note: (message: string) => void;
}

const NAMES = [...TC_PROGRAMS, ...SOCKET_PROGRAMS];

export class Programs {
  readonly #options: ProgramsOptions;
  readonly #folder: string;
  #settings: Settings | undefined;
  #loaded: LoadedPrograms | undefined;
  /** Descriptors of an earlier run's programs, until this run's are attached. */
  #previous: readonly number[] = [];

  constructor(options: ProgramsOptions) {
    this.#options = options;
    this.#folder = `${versionFolder(options.pinFolder, LAYOUT_VERSION)}/programs`;
  }

  /** @throws Error when nothing has been loaded yet */
  get current(): ProgramSet {
    if (this.#loaded === undefined) throw new Error('programs are used before they are loaded');
    return this.#loaded;
  }

  /** What an earlier run has pinned; undefined where any is missing. */
  pinned(): ProgramSet | undefined {
    const { native } = this.#options;
    const fds: Record<string, number> = {};
    for (const name of NAMES) {
      const fd = native.getPinned(`${this.#folder}/${name}`);
      if (fd >= 0) fds[name] = fd;
    }
    this.#previous = Object.values(fds);
    if (this.#previous.length === NAMES.length) return { tc: fds as never, sock: fds as never };
    this.#closePrevious();
    return undefined;
  }

  /** Makes the maps that are missing; no program yet. */
  async makeMaps(): Promise<void> {
    const { native, pinFolder, mapSizes, note } = this.#options;
    await makeMaps(native, { pinFolder, mapSizes, note });
  }

  /** Loads with these settings, unless that is what is loaded. @returns whether the programs are new */
  async load(settings: Settings): Promise<boolean> {
    if (this.#settings !== undefined && sameSettings(this.#settings, settings)) return false;
    const { native, pinFolder } = this.#options;
    const loaded = await loadPrograms(native, { pinFolder, settings });
    this.#close();
    this.#loaded = loaded;
    this.#settings = settings;
    return true;
  }

  /** Once attached: pins what is loaded over what is pinned; each by one rename, so there is never none. */
  pin(): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const { tc, sock } = this.current;
    for (const [name, fd] of Object.entries({ ...tc, ...sock })) {
      const next = `${this.#folder}/${name}-next`;
      if (existsSync(next)) rmSync(next);
      this.#options.native.pin(fd, next);
      renameSync(next, `${this.#folder}/${name}`);
    }
    this.#closePrevious();
  }

  #closePrevious(): void {
    for (const fd of this.#previous) this.#options.native.closeFd(fd);
    this.#previous = [];
  }

  #close(): void {
    if (this.#loaded === undefined) return;
    closePrograms(this.#options.native, this.#loaded.tc);
    closePrograms(this.#options.native, this.#loaded.sock);
  }
}
