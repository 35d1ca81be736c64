// `peer`, typed: what each of its modes prints.

/** One answered or failed question of `peer ask --json`. */
export interface Answer {
  /** Who answered; undefined when nobody did. */
  readonly name?: string;
  /** The client's address and port as the server saw them. */
  readonly client?: string;
  readonly clientPort?: number;
  /** The address that the server was asked on. */
  readonly server?: string;
  /** An errno's name, or wrong-source, wrong-answer, closed-early. */
  readonly error?: string;
  /** When it was asked, ms since 1970, and how long the answer took. */
  readonly atMs: number;
  readonly us: number;
  /** getpeername() told another address than the one that was asked. */
  readonly otherPeer: boolean;
}

/** What one server answered. Times: when its first and last questions were asked, ms since 1970. */
export interface AnswererTally {
  readonly count: number;
  readonly firstMs: number;
  readonly lastMs: number;
}

/** What `peer load` and `peer hold` print at their end. */
export interface Tally {
  readonly mode: 'load' | 'hold';
  readonly startedMs: number;
  readonly endedMs: number;
  /** Connections that were tried. */
  readonly started: number;
  /** Questions that were answered. */
  readonly ok: number;
  /** Questions that were not, and why. */
  readonly failed: number;
  readonly refused: number;
  readonly reset: number;
  readonly timeout: number;
  readonly wrongSource: number;
  readonly other: number;
  readonly errors: Readonly<Record<string, number>>;
  readonly firstFailureMs?: number;
  readonly lastFailureMs?: number;
  readonly otherPeer: number;
  readonly answerers: Readonly<Record<string, AnswererTally>>;
  readonly latencyUs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** hold: connections still open at the end, and answers that came from another server than the one before. */
  readonly alive?: number;
  readonly moved?: number;
  /** hold with `reconnect`: UDP sockets that the kernel aborted and that were made anew. */
  readonly reconnected?: number;
}

/** What `peer big --json` prints. */
export interface BigResult {
  readonly ok: boolean;
  readonly bytes: number;
  readonly us: number;
  readonly error: string;
  readonly answer: string;
}

export type Protocol = 'tcp' | 'udp';

/** Flags that every asking mode takes. Times in milliseconds. */
export interface AskOptions {
  readonly count?: number;
  readonly timeout?: number;
  readonly interval?: number;
  readonly connected?: boolean;
  readonly keep?: boolean;
  readonly bindPort?: number;
  readonly bindAddress?: string;
}

export interface LoadOptions extends Omit<AskOptions, 'count' | 'interval' | 'keep'> {
  /** New connections a second. */
  readonly rate: number;
  readonly seconds: number;
  readonly progress?: number;
}

export interface HoldOptions extends Omit<AskOptions, 'count' | 'keep'> {
  readonly reconnect?: boolean;
  readonly connections: number;
  readonly seconds: number;
  readonly progress?: number;
}

/** `{bindPort: 7}` as `--bind-port 7`; true as a bare flag, false and undefined as nothing. */
export function flags(options: object): string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    if (value === undefined || value === false) return [];
    return value === true ? [flag] : [flag, String(value)];
  });
}

/** The lines of `peer ask --json`. */
export function parseAnswers(stdout: string): Answer[] {
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Answer);
}

/** The last line of `peer load`, `hold` or `big`. @throws Error when there is none. */
export function parseLast<T>(stdout: string, stderr: string): T {
  const line = stdout.trimEnd().split('\n').at(-1) ?? '';
  if (!line.startsWith('{')) throw new Error(`peer said nothing that can be read: ${stderr || line}`);
  return JSON.parse(line) as T;
}
