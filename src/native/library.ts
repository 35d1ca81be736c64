import type { FunctionName } from './prototypes.js';

/** What may cross the border; checks.ts makes sure of it, since the FFI itself truncates and dereferences anything. */
export type Argument = number | string | Uint8Array | Uint32Array | null;

/** The loaded library. binding.ts makes it from koffi; nothing else knows koffi. */
export interface Library {
  /** @returns a value >= 0 or a negative errno. */
  call(name: FunctionName, ...args: readonly Argument[]): number;
  /** The same in a thread of libuv's pool. Buffers must not be changed until it has settled. */
  callAsync(name: FunctionName, ...args: readonly Argument[]): Promise<number>;
  /** Calls back whenever `fd` can be read. @returns what ends it. */
  watch(fd: number, onReadable: () => void): () => void;
}
