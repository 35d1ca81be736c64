import type { BpfObject, Bytes } from './api.js';
import { bytes, cString, inRange } from './checks.js';
import { checked, type Hints, nativeError } from './errors.js';
import type { Library } from './library.js';

/** Room for libbpf's messages and the end of a verifier log. */
const LOG_SIZE = 64 << 10;

const EBADF = 9;

const CLOSED: Hints = {
  EBADF: 'the object is closed, or being loaded',
  EBUSY: 'the object has been loaded, or failed to: open it anew',
};

const LOAD: Hints = {
  ...CLOSED,
  EEXIST: 'remove the pin or give the map the same parameters',
  EINVAL: 'see the log',
};

/** @throws NativeError when it is not a BPF object. */
export function openObject(
  library: Library,
  own: (fd: number) => number,
  elf: Bytes,
  name: string,
): BpfObject {
  cString(name, 'name');
  const log = new Uint8Array(LOG_SIZE);
  const result = library.call('pl_object_open', bytes(elf, 'elf'), elf.byteLength, name, log, log.length);
  return new ElfObject(library, own, checked(result, `open ${name}`, {}, logText(log)), name);
}

/** The text in a log buffer, up to its NUL. */
export function logText(log: Uint8Array): string {
  return Buffer.from(log.buffer, log.byteOffset, log.indexOf(0)).toString('utf8').trimEnd();
}

class ElfObject implements BpfObject {
  readonly name: string;
  readonly #library: Library;
  readonly #own: (fd: number) => number;
  readonly #handle: number;
  #loading = false;

  constructor(library: Library, own: (fd: number) => number, handle: number, name: string) {
    this.#library = library;
    this.#own = own;
    this.#handle = handle;
    this.name = name;
  }

  setVariable(name: string, value: Bytes): void {
    cString(name, 'variable');
    const data = bytes(value, `variable ${name}`);
    this.#set('pl_object_set_variable', `variable ${name}`, name, data, data.byteLength);
  }

  setMapPin(map: string, path: string): void {
    this.#set('pl_object_set_map_pin', `pin of map ${map}`, cString(map, 'map'), cString(path, 'path'));
  }

  setMapMaxEntries(map: string, maxEntries: number): void {
    const max = inRange(maxEntries, 1, 0xffffffff, 'maxEntries');
    this.#set('pl_object_set_map_max', `max_entries of map ${map}`, cString(map, 'map'), max);
  }

  setAutoload(program: string, on: boolean): void {
    const what = `autoload of program ${program}`;
    this.#set('pl_object_set_autoload', what, cString(program, 'program'), on ? 1 : 0);
  }

  async load(): Promise<void> {
    this.#refuseWhileLoading('load');
    const log = new Uint8Array(LOG_SIZE);
    this.#loading = true;
    try {
      const result = await this.#library.callAsync('pl_object_load', this.#handle, log, log.length);
      checked(result, `load ${this.name}`, LOAD, logText(log));
    } finally {
      this.#loading = false;
    }
  }

  programFd(name: string): number {
    const result = this.#library.call('pl_object_program_fd', this.#handle, cString(name, 'program'));
    return this.#own(this.#found(result, `program ${name} of ${this.name}`));
  }

  mapFd(name: string): number {
    const result = this.#library.call('pl_object_map_fd', this.#handle, cString(name, 'map'));
    return this.#own(this.#found(result, `map ${name} of ${this.name}`));
  }

  verifiedInstructions(name: string): number {
    const result = this.#library.call('pl_object_verified', this.#handle, cString(name, 'program'));
    return this.#found(result, `program ${name} of ${this.name}`);
  }

  close(): void {
    this.#refuseWhileLoading('close');
    checked(this.#library.call('pl_object_close', this.#handle), `close ${this.name}`, CLOSED);
  }

  /** The library refuses it, too, but only once the pool has begun with it. */
  #refuseWhileLoading(what: string): void {
    if (this.#loading) throw nativeError(`${what} ${this.name}`, EBADF, CLOSED);
  }

  #set(
    name:
      | 'pl_object_set_variable'
      | 'pl_object_set_map_pin'
      | 'pl_object_set_map_max'
      | 'pl_object_set_autoload',
    what: string,
    ...args: readonly (string | number | Uint8Array)[]
  ): void {
    const log = new Uint8Array(1024);
    const result = this.#library.call(name, this.#handle, ...args, log, log.length);
    checked(result, `set ${what} in ${this.name}`, CLOSED, logText(log));
  }

  #found(result: number, what: string): number {
    return checked(result, what, {
      ...CLOSED,
      ENOENT: 'there is none of that name',
      ENODATA: 'it is not loaded',
    });
  }
}
