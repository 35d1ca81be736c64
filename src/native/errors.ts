import { getSystemErrorMap } from 'node:util';
import { NativeError } from './api.js';

/** What errno.h does not name, or names in words that mislead here. */
const EXTRA: ReadonlyMap<number, readonly [code: string, words: string]> = new Map([
  [61, ['ENODATA', 'nothing there']],
  [67, ['ENOLINK', 'what it was linked to is gone']],
  [77, ['EBADFD', 'file descriptor in bad state']],
  [90, ['EMSGSIZE', 'a buffer has the wrong length']],
  [116, ['ESTALE', 'it has been replaced meanwhile']],
  [524, ['ENOTSUPP', 'operation is not supported by this kernel']],
  [4000, ['LIBBPF_ELIBELF', 'libelf failed']],
  [4001, ['LIBBPF_EFORMAT', 'not a BPF object (bad ELF)']],
  [4002, ['LIBBPF_EKVERSION', 'bad or missing kernel version']],
  [4003, ['LIBBPF_EENDIAN', 'compiled for another byte order']],
  [4004, ['LIBBPF_EINTERNAL', 'internal error of libbpf']],
  [4005, ['LIBBPF_ERELOC', 'relocation failed']],
  [4006, ['LIBBPF_ELOAD', 'the kernel refused the program']],
  [4007, ['LIBBPF_EVERIFY', 'the verifier refused the program']],
  [4008, ['LIBBPF_EPROG2BIG', 'program is too big']],
  [4009, ['LIBBPF_EKVER', 'wrong kernel version']],
  [4010, ['LIBBPF_EPROGTYPE', 'kernel does not support this program type']],
]);

/** Longer logs are for NativeError.log; of those only the line that tells most goes into the message. */
const LOG_IN_MESSAGE = 400;

const ROOT_HINT = 'this needs root (CAP_BPF, CAP_NET_ADMIN, CAP_SYS_ADMIN)';

/** What an errno means in a certain call, by symbolic name. */
export type Hints = Readonly<Record<string, string>>;

function describe(errno: number): readonly [code: string, words: string] {
  return (
    EXTRA.get(errno) ?? getSystemErrorMap().get(-errno) ?? [`errno ${errno}`, 'unknown error of the system']
  );
}

/** @param errno positive. */
export function nativeError(operation: string, errno: number, hints: Hints = {}, log = ''): NativeError {
  const [code, words] = describe(errno);
  const hint = hints[code] ?? (code === 'EPERM' ? ROOT_HINT : undefined);
  const said = tellingLines(log);
  const text = `${words} (${code})${hint ? `; ${hint}` : ''}${said ? `: ${said}` : ''}`;
  return new NativeError(operation, errno, code, text, log);
}

/** @returns a result >= 0 as it is. @throws NativeError for a negative one. */
export function checked(result: number, operation: string, hints?: Hints, log?: string): number {
  if (result < 0) throw nativeError(operation, -result, hints, log);
  return result;
}

/** A short log as it is; of a long one the last line before the statistics, where the verifier says why. */
function tellingLines(log: string): string {
  const lines = log
    .split('\n')
    .map((line) => line.replace(/^libbpf: /, '').trim())
    .filter((line) => line !== '');
  if (log.length <= LOG_IN_MESSAGE) return lines.join('; ');
  const end = lines.findIndex((line) => line.startsWith('processed ') || line.includes('END PROG LOAD LOG'));
  return (end > 0 ? lines[end - 1] : lines.at(-1)) ?? '';
}
