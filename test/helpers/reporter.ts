// Writes build/test-summary.json: what scripts/test.sh counts and prints at the end. A file that cannot be imported, a
// failed beforeAll and an error outside of tests count as failures too.

import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, relative } from 'node:path';
import type {
  Reporter,
  SerializedError,
  TestCase,
  TestModule,
  TestRunEndReason,
  TestSuite,
} from 'vitest/node';

const SUMMARY = 'build/test-summary.json';

interface Named {
  readonly name: string;
  readonly reason: string;
}

/** The file's content. */
interface Summary {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  readonly failures: readonly Named[];
  readonly skips: readonly Named[];
  /** Failed, and passed when tried again: they count as passed, and are to be looked at. */
  readonly flaky: readonly Named[];
  /** The ten slowest tests and files. Milliseconds. */
  readonly slowest: readonly { readonly name: string; readonly ms: number }[];
}

export default class SummaryReporter implements Reporter {
  onTestRunEnd(
    modules: readonly TestModule[],
    unhandled: readonly SerializedError[],
    reason: TestRunEndReason,
  ): void {
    mkdirSync(dirname(SUMMARY), { recursive: true });
    writeFileSync(SUMMARY, `${JSON.stringify(summarize(modules, unhandled, reason), undefined, 2)}\n`);
  }
}

function summarize(
  modules: readonly TestModule[],
  unhandled: readonly SerializedError[],
  reason: TestRunEndReason,
): Summary {
  const tests = modules.flatMap((module) => [...module.children.allTests()]);
  const failures = [
    ...modules.flatMap(brokenContainers),
    ...tests.filter((test) => ['failed', 'pending'].includes(test.result().state)).map(failure),
    ...unhandled.map((error) => ({ name: 'outside of any test', reason: firstLine(error) })),
    ...(reason === 'interrupted' ? [{ name: 'the run', reason: 'interrupted before its end' }] : []),
  ];
  const skips = tests.filter((test) => test.result().state === 'skipped').map(skip);
  return {
    passed: tests.filter((test) => test.result().state === 'passed').length,
    failed: failures.length,
    skipped: skips.length,
    failures,
    skips,
    flaky: tests.filter((test) => test.diagnostic()?.flaky).map(flake),
    slowest: slowest(modules, tests),
  };
}

const where = (module: TestModule): string => relative(process.cwd(), module.moduleId);
const title = (test: TestCase): string => `${where(test.module)}: ${test.fullName}`;
const firstLine = (error: SerializedError | undefined): string => error?.message?.split('\n')[0] ?? '';

/** Files and suites that failed outside of their tests: imports, beforeAll, afterAll. */
function brokenContainers(module: TestModule): Named[] {
  const suites: (TestModule | TestSuite)[] = [module, ...module.children.allSuites()];
  return suites.flatMap((suite) =>
    suite.errors().map((error) => ({
      name: suite.type === 'module' ? where(module) : `${where(module)}: ${suite.fullName}`,
      reason: firstLine(error),
    })),
  );
}

function failure(test: TestCase): Named {
  const result = test.result();
  const reason = result.state === 'failed' ? firstLine(result.errors[0]) : 'did not run to its end';
  return { name: title(test), reason };
}

function flake(test: TestCase): Named {
  const result = test.result();
  return { name: title(test), reason: firstLine(result.errors?.[0]) };
}

function skip(test: TestCase): Named {
  const result = test.result();
  const note = result.state === 'skipped' ? result.note : undefined;
  return {
    name: title(test),
    reason: note ?? (test.options.mode === 'todo' ? 'not written yet' : 'no reason given'),
  };
}

function slowest(modules: readonly TestModule[], tests: readonly TestCase[]): { name: string; ms: number }[] {
  const all = [
    ...tests.map((test) => ({ name: title(test), ms: Math.round(test.diagnostic()?.duration ?? 0) })),
    ...modules.map((module) => ({ name: where(module), ms: Math.round(module.diagnostic().duration) })),
  ];
  return all.sort((a, b) => b.ms - a.ms).slice(0, 10);
}
