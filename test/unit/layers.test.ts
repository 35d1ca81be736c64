// docs/architecture.md says who may import what; here it is held.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../..');
const src = join(root, 'src');

interface SourceFile {
  /** Under src: `model/store.ts`. */
  readonly path: string;
  readonly layer: string;
  /** Without comments. */
  readonly text: string;
  readonly imports: readonly string[];
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map(readSource);

const PURE_LAYERS = ['lib', 'model', 'compile', 'reconcile', 'abi'];
const IMPURE: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.|\bhrtime\b/, 'reads a clock'],
  [/\bMath\.random\b|\bcrypto\.|\brandomUUID\b/, 'draws random numbers'],
  [/\bprocess\b\s*[.[?]/, 'looks at the process'],
  [/\bconsole\b\s*\./, 'writes a log'],
  [/\bset(Timeout|Interval|Immediate)\s*\(|\bfetch\s*\(/, 'starts timers or requests'],
];

function readSource(path: string): SourceFile {
  const text = withoutComments(readFileSync(join(src, path), 'utf8'));
  const layer = path.includes('/') ? path.split('/')[0]! : '';
  return { path, layer, text, imports: importsOf(text) };
}

function importsOf(text: string): string[] {
  return [...text.matchAll(/\b(?:from|import)\s*\(?\s*['"]([^'"]+)['"]/g)].map((match) => match[1]!);
}

/** Comments may name what code may not use; strings stay, imports are strings. */
function withoutComments(text: string): string {
  return text.replace(
    /('(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`)|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g,
    '$1',
  );
}

/** The rows of the table: folder → the folders that it may import, itself not named. */
function readTable(): ReadonlyMap<string, readonly string[]> {
  const rows = readFileSync(join(root, 'docs/architecture.md'), 'utf8').matchAll(
    /^\| `src\/([a-z]+)(?:\/\*)?` \|.*\| ([^|]+) \|$/gm,
  );
  const cells = [...rows].map((row) => [row[1]!, row[2]!.trim()] as const);
  const all = cells.map(([layer]) => layer);
  return new Map(
    cells.map(([layer, allowed]) => {
      if (allowed === 'nothing') return [layer, []];
      const except = /^all(?: but (.+))?$/.exec(allowed);
      if (except === null) return [layer, allowed.split(', ')];
      return [layer, all.filter((other) => other !== except[1])];
    }),
  );
}

function target(file: SourceFile, specifier: string): string | undefined {
  if (!specifier.startsWith('.')) return undefined;
  return relative(src, resolve(src, dirname(file.path), specifier));
}

/** Pure layers, and each engine's planner. */
function isPure({ path, layer }: SourceFile): boolean {
  return PURE_LAYERS.includes(layer) || path.endsWith('/plan.ts');
}

const table = readTable();

describe('who may import what', () => {
  test('the table names every folder under src', () => {
    const layers = new Set(files.map(({ layer }) => layer).filter((layer) => layer !== ''));
    expect([...table.keys()]).toEqual(expect.arrayContaining([...layers]));
    expect(table.size).toBe(11);
    expect(table.get('compile')).toEqual(['lib', 'model']);
  });

  test('no file imports from a folder that its own may not see', () => {
    const wrong = files.flatMap((file) =>
      file.imports.flatMap((specifier) => {
        const to = target(file, specifier);
        if (to === undefined || file.layer === '') return [];
        const layer = to.split('/')[0]!;
        if (layer === file.layer || table.get(file.layer)?.includes(layer)) return [];
        return [
          `src/${file.path} may not import ${to}; ${file.layer} may import: ${table.get(file.layer)?.join(', ')}`,
        ];
      }),
    );
    expect(wrong).toEqual([]);
  });

  test('engines share nothing but the plan', () => {
    const engineOf = (path: string) => /^dataplane\/([^/]+)\//.exec(path)?.[1];
    const wrong = files.flatMap((file) =>
      file.imports
        .map((specifier) => target(file, specifier))
        .filter((to) => to !== undefined && engineOf(file.path) !== undefined && engineOf(to) !== undefined)
        .filter((to) => engineOf(to!) !== engineOf(file.path))
        .map((to) => `src/${file.path} imports ${to}`),
    );
    expect(wrong).toEqual([]);
  });

  test('koffi is imported by one file, of src/native', () => {
    const users = files.filter(({ imports }) => imports.some((name) => name === 'koffi'));
    expect(users.filter(({ layer }) => layer !== 'native')).toEqual([]);
    expect(users.length).toBeLessThanOrEqual(1);
  });
});

describe('pure layers', () => {
  const pure = files.filter(isPure);

  test('there are some', () => {
    expect(pure.length).toBeGreaterThan(15);
  });

  test('import nothing of Node.js', () => {
    const wrong = pure.flatMap(({ path, imports }) =>
      imports.filter((i) => i.startsWith('node:')).map((i) => `${path}: ${i}`),
    );
    expect(wrong).toEqual([]);
  });

  test('have no clock, chance, environment or log', () => {
    const wrong = pure.flatMap(({ path, text }) =>
      IMPURE.filter(([pattern]) => pattern.test(text)).map(([, what]) => `src/${path} ${what}`),
    );
    expect(wrong).toEqual([]);
  });
});

describe('the check itself', () => {
  test('sees imports of every form', () => {
    const text = `import type { A } from '../a.js';
export { b } from "../b.js";
import '../c.js';
const d = await import('../d.js');
import {
  e,
} from '../e.js';`;
    expect(importsOf(text)).toEqual(['../a.js', '../b.js', '../c.js', '../d.js', '../e.js']);
  });

  test('does not see comments', () => {
    const text = withoutComments(
      "import { x } from '../a.js'; // from '../b.js'\n/* Date.now() */ const u = 'http://c';",
    );
    expect(importsOf(text)).toEqual(['../a.js']);
    expect(text).not.toContain('Date.now');
    expect(text).toContain('http://c');
  });

  test.each([
    'const t = Date.now();',
    'new Date()',
    'performance.now()',
    'Math.random()',
    'process.env.X',
    'console.log(1)',
    'setTimeout(f, 1)',
  ])('knows that %j is not pure', (text) => {
    expect(IMPURE.some(([pattern]) => pattern.test(text))).toBe(true);
  });

  test.each(['Date.parse(text)', 'new Date(ms)', 'processed.length', 'options.now()'])(
    'lets %j pass',
    (text) => {
      expect(IMPURE.some(([pattern]) => pattern.test(text))).toBe(false);
    },
  );
});
