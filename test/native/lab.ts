// What these tests stand on: compiled fixtures, network namespaces, a bpffs and child processes, all their own.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export type Elf = Uint8Array<ArrayBuffer>;

const here = fileURLToPath(new URL('.', import.meta.url));
/** With all else that is built, so that nothing stays in /tmp. */
const work = fileURLToPath(new URL('../../build/fixtures', import.meta.url));

/** Compiles fixtures/NAME.bpf.c as the Makefile compiles ours. */
export function fixture(name: 'maps' | 'refused'): Elf {
  return new Uint8Array(readFileSync(fixturePath(name)));
}

export function fixturePath(name: 'maps' | 'refused'): string {
  mkdirSync(work, { recursive: true });
  const output = join(work, `${name}.bpf.o`);
  const arch = execFileSync('uname', ['-m'], { encoding: 'utf8' }).trim();
  const flags = ['-g', '-O2', '-target', 'bpf', '-mcpu=v3', `-I/usr/include/${arch}-linux-gnu`];
  execFileSync('clang', [...flags, '-c', join(here, 'fixtures', `${name}.bpf.c`), '-o', output]);
  return output;
}

export function run(command: string, ...args: readonly string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** What undoes what a test has made, latest first; to be run in afterAll, whatever happened. */
export class Cleanup {
  readonly #steps: (() => void)[] = [];

  add(step: () => void): void {
    this.#steps.push(step);
  }

  run(): void {
    for (const step of this.#steps.splice(0).reverse()) step();
  }
}

/** A network namespace with lo up. @returns its path. */
export function makeNetns(cleanup: Cleanup, name: string): string {
  const netns = `plt-native-${process.pid}-${name}`;
  run('ip', 'netns', 'add', netns);
  cleanup.add(() => run('ip', 'netns', 'del', netns));
  run('ip', '-n', netns, 'link', 'set', 'lo', 'up');
  return `/run/netns/${netns}`;
}

/** @returns a folder two levels deep in a bpffs of its own. */
export function makeBpffs(cleanup: Cleanup, mount: (path: string) => void): string {
  const root = `/run/plt-native-${process.pid}/bpf`;
  mkdirSync(root, { recursive: true });
  cleanup.add(() => rmSync(`/run/plt-native-${process.pid}`, { recursive: true, force: true }));
  mount(root);
  cleanup.add(() => run('umount', root));
  mkdirSync(`${root}/a/maps`, { recursive: true });
  return `${root}/a/maps`;
}

export interface ChildResult {
  readonly status: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs children/NAME.ts with Node, in a network namespace if one is given. */
export function runChild(
  name: string,
  args: readonly string[],
  options: { netns?: string; nodeFlags?: readonly string[] } = {},
): ChildResult {
  const enter = options.netns ? ['nsenter', `--net=${options.netns}`] : ['env'];
  const node = [process.execPath, ...(options.nodeFlags ?? []), '--import', 'tsx'];
  const [command, ...rest] = [...enter, ...node, join(here, 'children', `${name}.ts`), ...args];
  const result = spawnSync(command!, rest, { encoding: 'utf8', timeout: 50_000, cwd: join(here, '../..') });
  return result;
}

/** The same for a child that prints JSON and must end well. */
export function childJson<T>(
  name: string,
  args: readonly string[],
  options: Parameters<typeof runChild>[2] = {},
): T {
  const { status, signal, stdout, stderr } = runChild(name, args, options);
  if (status !== 0) throw new Error(`child ${name} ended with ${status ?? signal}: ${stderr}\n${stdout}`);
  return JSON.parse(stdout) as T;
}
