// Runs programs: to the end with what they said, or for long with their lines as they come.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/** How a program ended. `code` is undefined when a signal ended it. */
export interface Outcome {
  readonly code: number | undefined;
  readonly signal: NodeJS.Signals | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecOptions {
  /** Given to the program as standard input. */
  readonly input?: string;
  /** After it the program is killed, and the outcome says so by its signal. Default 30,000. */
  readonly timeoutMs?: number;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs a program to its end. @throws Error only when it cannot be started. */
export async function exec(argv: readonly string[], options: ExecOptions = {}): Promise<Outcome> {
  const child = spawn(argv[0]!, argv.slice(1), {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: options.env,
    timeout: options.timeoutMs ?? 30_000,
    killSignal: 'SIGKILL',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // A program that ends without reading its input is no error of ours.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code: code ?? undefined, signal: signal ?? undefined, stdout, stderr };
}

/** Runs a program that must succeed. @throws Error with its words when it does not. */
export async function must(argv: readonly string[], options: ExecOptions = {}): Promise<string> {
  const outcome = await exec(argv, options);
  if (outcome.code === 0) return outcome.stdout;
  const words = outcome.stderr.trim() || outcome.stdout.trim();
  throw new Error(`${argv.join(' ')}: ${words || `ended with ${outcome.signal ?? outcome.code}`}`);
}

/** A program that runs on. */
export interface Running {
  readonly pid: number;
  /** Everything that it has said so far on both outputs, line by line. */
  readonly lines: readonly string[];
  /** Only what it wrote to standard output. */
  readonly output: readonly string[];
  /** Resolves with its end. */
  readonly exited: Promise<Outcome>;
  kill(signal?: NodeJS.Signals): void;
  /** Hears every line from now on. */
  onLine(listener: (line: string) => void): void;
  /**
   * The first line that matches, of those already said or still to come.
   * @param from skips that many lines
   * @throws Error when the program ends or the time (default 10,000 ms) is up before
   */
  waitFor(pattern: RegExp, timeoutMs?: number, from?: number): Promise<string>;
}

type LineListener = (line: string) => void;

/** Starts a program and returns once it has a process id. @throws Error when it cannot be started. */
export async function start(argv: readonly string[], env?: NodeJS.ProcessEnv): Promise<Running> {
  const child = spawn(argv[0]!, argv.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env });
  await once(child, 'spawn');
  const lines: string[] = [];
  const output: string[] = [];
  const listeners = new Set<LineListener>();
  const hear = (line: string, isOutput: boolean): void => {
    lines.push(line);
    if (isOutput) output.push(line);
    for (const listener of listeners) listener(line);
  };
  createInterface({ input: child.stdout! }).on('line', (line) => hear(line, true));
  createInterface({ input: child.stderr! }).on('line', (line) => hear(line, false));
  const exited = ended(child, lines, output);
  return {
    pid: child.pid!,
    lines,
    output,
    exited,
    kill: (signal = 'SIGTERM') => {
      child.kill(signal);
    },
    onLine: (listener) => {
      listeners.add(listener);
    },
    waitFor: (pattern, timeoutMs = 10_000, from = 0) =>
      waitForLine(argv, { lines, listeners, exited }, pattern, timeoutMs, from),
  };
}

async function ended(
  child: ChildProcess,
  lines: readonly string[],
  output: readonly string[],
): Promise<Outcome> {
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return {
    code: code ?? undefined,
    signal: signal ?? undefined,
    stdout: output.join('\n'),
    stderr: lines.join('\n'),
  };
}

interface Heard {
  readonly lines: readonly string[];
  readonly listeners: Set<LineListener>;
  readonly exited: Promise<Outcome>;
}

function waitForLine(
  argv: readonly string[],
  heard: Heard,
  pattern: RegExp,
  timeoutMs: number,
  from: number,
): Promise<string> {
  const said = heard.lines.slice(from).find((line) => pattern.test(line));
  if (said !== undefined) return Promise.resolve(said);
  return new Promise((resolve, reject) => {
    const finish = (): void => {
      clearTimeout(timer);
      heard.listeners.delete(listener);
    };
    const fail = (why: string): void => {
      finish();
      const last = heard.lines.slice(-15).join('\n  ');
      reject(new Error(`${argv.join(' ')}: ${why} without a line like ${pattern}; it said:\n  ${last}`));
    };
    const listener: LineListener = (line) => {
      if (!pattern.test(line)) return;
      finish();
      resolve(line);
    };
    const timer = setTimeout(() => fail(`${timeoutMs} ms passed`), timeoutMs);
    heard.listeners.add(listener);
    void heard.exited.then((outcome) => fail(`ended with ${outcome.signal ?? outcome.code}`));
  });
}
