// A child process that one talks with in lines.

import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface, type Interface } from 'node:readline';
import { REPOSITORY } from '../../lab/lab.js';

/** A child that takes lines and answers with lines. */
export class Dialogue {
  readonly process: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #reader: Interface;

  constructor(argv: readonly string[]) {
    this.process = spawn(argv[0]!, argv.slice(1), { stdio: ['pipe', 'pipe', 'inherit'], cwd: REPOSITORY });
    this.#reader = createInterface({ input: this.process.stdout! });
    this.#lines = this.#reader[Symbol.asyncIterator]();
  }

  tell(line: string): void {
    this.process.stdin!.write(`${line}\n`);
  }

  /** @returns the next line; "" when the process has ended. */
  async hear(): Promise<string> {
    const { value } = (await this.#lines.next()) as { value?: string };
    return value ?? '';
  }

  /** @throws Error when the next line is another one, or there is none. */
  async expect(expected: string, doing: string): Promise<void> {
    const line = await this.hear();
    if (line !== expected) throw new Error(`${doing}: ${line || 'the process ended'}`);
  }

  async ask(line: string, expected: string, doing: string): Promise<void> {
    this.tell(line);
    await this.expect(expected, doing);
  }

  end(): void {
    this.#reader.close();
    this.process.kill('SIGKILL');
  }
}
