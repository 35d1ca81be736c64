// The only file that knows koffi. Everything that is dangerous about it ends here: see docs of Library.
import koffi, { type LibraryHandle } from 'koffi';
import type { Native } from './api.js';
import { artifactPath } from './artifacts.js';
import type { Argument, Library } from './library.js';
import { createNative } from './native.js';
import { type FunctionName, PROTOTYPES } from './prototypes.js';

/** PL_ABI_VERSION of native/portolan.h that this code was written for. */
const ABI_VERSION = 1;

/** Calls in libuv's pool at a time: it has four threads, which dns, fs, crypto and zlib share. */
const MAX_ASYNC = 2;

type NativeFunction = ReturnType<LibraryHandle['func']>;

/**
 * Loads the native library.
 *
 * @param libraryPath where libportolan.so is; by default beside the package, see artifacts.ts.
 * @throws Error when it is missing, does not fit this machine, or is of another version.
 */
export function openNative(libraryPath: string = artifactPath('libportolan.so')): Native {
  return createNative(loadLibrary(libraryPath));
}

function loadLibrary(path: string): Library {
  const functions = declareAll(path);
  const run = createQueue(MAX_ASYNC);
  // koffi does not keep the buffers of a call under way alive: without this, the garbage collector frees them.
  const underWay = new Set<readonly Argument[]>();
  const start = (name: FunctionName, args: readonly Argument[]) =>
    new Promise<number>((resolve, reject) => {
      underWay.add(args);
      functions[name].async(...args, (error: unknown, result: number) => {
        underWay.delete(args);
        if (error) reject(error as Error);
        else resolve(result);
      });
    });
  return {
    call: (name, ...args) => functions[name](...args) as number,
    callAsync: (name, ...args) => run(() => start(name, args)),
    watch,
  };
}

function watch(fd: number, onReadable: () => void): () => void {
  let open = true;
  // koffi passes libuv's status first, unlike its types say. It is negative after POLLERR (a netlink socket that lost
  // messages), and libuv has stopped then. Its callback is no turn of the event loop: promises would not go on after it.
  const onPoll = (status: unknown): void => {
    setImmediate(() => {
      if (open) onReadable();
      if (open && Number(status) < 0) handle.start({ readable: true }, onPoll);
    });
  };
  const handle = koffi.node.poll(fd, { readable: true }, onPoll);
  return () => {
    open = false;
    handle.close();
  };
}

function declareAll(path: string): Record<FunctionName, NativeFunction> {
  const handle = open(path);
  const version = handle.func('int pl_abi_version(void)')() as number;
  if (version !== ABI_VERSION) {
    throw new Error(
      `${path} is of version ${version}, this program needs ${ABI_VERSION}: run \`make native\``,
    );
  }
  const functions = Object.entries(PROTOTYPES).map(([name, prototype]) => [name, handle.func(prototype)]);
  return Object.fromEntries(functions) as Record<FunctionName, NativeFunction>;
}

function open(path: string): LibraryHandle {
  try {
    const handle = koffi.load(path);
    handle.symbol('pl_abi_version');
    return handle;
  } catch (error) {
    throw new Error(`cannot load ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/** Runs what it is given, `limit` at a time, in order. */
function createQueue(limit: number): <T>(start: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (start) => {
    if (running >= limit) await new Promise<void>((go) => waiting.push(go));
    else running++;
    try {
      return await start();
    } finally {
      // A place that is free passes straight to the next one.
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  };
}
