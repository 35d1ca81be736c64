// How the demo speaks: chapters, checks that count, bars.

import { stripVTControlCharacters } from 'node:util';
import pc from 'picocolors';

/** Prints, and remembers whether everything was as it should be. */
export interface Voice {
  /** A new chapter. */
  chapter(title: string): void;
  say(text: string): void;
  /** A line in grey. */
  aside(text: string): void;
  /** One expectation: a tick or a cross in front of `text`. `why` is shown when it failed. */
  check(ok: boolean, text: string, why?: string): void;
  /** Shown while something takes its time, and taken away after it; only on a terminal. */
  progress<T>(text: string, work: Promise<T>): Promise<T>;
  readonly failures: readonly string[];
}

const FRAMES = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏';

export function createVoice(out: NodeJS.WriteStream = process.stdout): Voice {
  const failures: string[] = [];
  const say = (text: string): void => {
    out.write(`${text}\n`);
  };
  let chapters = 0;
  return {
    failures,
    say,
    chapter: (title) => say(`\n${pc.bold(pc.cyan(`${++chapters}. ${title}`))}`),
    aside: (text) => say(pc.dim(text)),
    check: (ok, text, why = '') => {
      if (!ok) failures.push(`${stripVTControlCharacters(text)} ${why}`.trim());
      say(`  ${ok ? pc.green('✓') : pc.red('✗')} ${text}${ok || why === '' ? '' : pc.red(`  ${why}`)}`);
    },
    progress: async (text, work) => {
      if (!out.isTTY) return work;
      let frame = 0;
      const timer = setInterval(() => {
        out.write(`\r  ${pc.cyan(FRAMES[frame++ % FRAMES.length]!)} ${pc.dim(text)}`);
      }, 80);
      try {
        return await work;
      } finally {
        clearInterval(timer);
        out.write('\r\x1b[K');
      }
    },
  };
}

const COLOURS = [pc.green, pc.blue, pc.magenta, pc.yellow, pc.cyan];

/** `web-1 ████████ 29  web-2 ███████▌ 31`: shares of `width` characters. */
export function bars(counts: ReadonlyMap<string, number>, width = 30): string {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count], i) => {
      const length = Math.max(1, Math.round((count / total) * width));
      return `${name} ${COLOURS[i % COLOURS.length]!('█'.repeat(length))} ${count}`;
    })
    .join('  ');
}

/**
 * Whether `counts` can be a fair draw among exactly `names`: every count within five standard deviations of its mean, so
 * that a fair choice fails less than once in a million times.
 */
export function isEven(counts: ReadonlyMap<string, number>, names: readonly string[]): boolean {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  const share = 1 / names.length;
  const margin = 5 * Math.sqrt(total * share * (1 - share)) + 1e-9;
  return (
    counts.size === names.length &&
    names.every((name) => Math.abs((counts.get(name) ?? 0) - total * share) <= margin)
  );
}

/** `10.96.0.10:80`, `[fd00:10:96::10]:80`. */
export const endpoint = (address: string, port: number): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
