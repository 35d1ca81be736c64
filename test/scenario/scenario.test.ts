// Runs every scenario file of this folder; UPDATE=1 rewrites what they expect: read the diff.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseScenario, rewrite, runScenario } from './runner.js';

const folder = import.meta.dirname;
const files = readdirSync(folder).filter((file) => file.endsWith('.txt'));

describe.each(files)('%s', (file) => {
  const path = join(folder, file);
  if (process.env.UPDATE === '1') {
    const { preamble, sections } = parseScenario(readFileSync(path, 'utf8'));
    writeFileSync(path, rewrite(preamble, sections));
  }
  const text = readFileSync(path, 'utf8');
  const { preamble, sections } = parseScenario(text);

  test.each(runScenario(sections))('$title', ({ expected, actual }) => {
    expect(expected, 'every step has an expect section').toBeDefined();
    expect(actual).toEqual(expected);
  });

  test('is written as UPDATE=1 would write it', () => {
    expect(rewrite(preamble, sections)).toBe(text);
  });
});

describe('the runner', () => {
  test('sees a difference', () => {
    const { sections } = parseScenario(
      [
        '--- step: a Service',
        'kind: Service',
        'metadata: {name: a}',
        'spec: {clusterIP: 10.96.0.1, ports: [{port: 1}]}',
        '--- expect',
        'nothing',
      ].join('\n'),
    );
    const [step] = runScenario(sections);
    expect(step!.expected).toEqual(['nothing']);
    expect(step!.actual[0]).toBe('service default/a:/TCP/IPv4');
  });

  test('refuses what it does not know', () => {
    expect(() => parseScenario('--- stepp: x')).toThrow('unknown section');
    expect(() => runScenario(parseScenario('--- step: x\nkind: Pod').sections)).toThrow(
      'a scenario has no Pod',
    );
  });
});
