// What the bench has found: medians with their spread, and what they are held against.

import { formatTable } from '../../src/observe/table.js';

export type Unit = 'ratio' | 'ns' | 'µs' | 'ms' | 'MiB' | 'entries';

export interface Figure {
  readonly name: string;
  readonly unit: Unit;
  readonly median: number;
  /** Quartiles: half of the samples lie between them. */
  readonly low: number;
  readonly high: number;
  readonly samples: number;
  /** The median may not be above it; undefined: it is only reported. */
  readonly target: number | undefined;
}

export interface Section {
  readonly title: string;
  /** How it was measured, a line each. */
  readonly how: readonly string[];
  readonly figures: readonly Figure[];
}

/** The sample below which the share `part` of all lies; the samples need no order. */
export function quantile(samples: readonly number[], part: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const at = (sorted.length - 1) * part;
  const below = sorted[Math.floor(at)]!;
  return below + (sorted[Math.ceil(at)]! - below) * (at - Math.floor(at));
}

export function median(samples: readonly number[]): number {
  return quantile(samples, 0.5);
}

export function figure(name: string, unit: Unit, samples: readonly number[], target?: number): Figure {
  const [low, middle, high] = [0.25, 0.5, 0.75].map((part) => quantile(samples, part));
  return { name, unit, median: middle!, low: low!, high: high!, samples: samples.length, target };
}

export function verdict(figure: Figure): 'ok' | 'over' | '' {
  if (figure.target === undefined) return '';
  return figure.median <= figure.target ? 'ok' : 'over';
}

const DIGITS: Readonly<Record<Unit, number>> = { ratio: 3, ns: 0, µs: 1, ms: 2, MiB: 0, entries: 0 };

const COLUMNS = [
  { title: '' },
  { title: 'MEDIAN', align: 'right' },
  { title: 'HALF BETWEEN', align: 'right' },
  { title: 'OF', align: 'right' },
  { title: 'TARGET', align: 'right' },
  { title: '' },
] as const;

export function formatSection(section: Section): string[] {
  const number = (value: number, unit: Unit): string =>
    value.toFixed(unit === 'ms' && value >= 20 ? 0 : DIGITS[unit]);
  const rows = section.figures.map((f) => [
    f.name,
    `${number(f.median, f.unit)}${f.unit === 'ratio' ? '' : ` ${f.unit}`}`,
    f.samples > 1 ? `${number(f.low, f.unit)} - ${number(f.high, f.unit)}` : '',
    String(f.samples),
    f.target === undefined ? '' : `<= ${f.target}`,
    verdict(f),
  ]);
  return [section.title, ...section.how.map((line) => `  ${line}`), '', ...formatTable(COLUMNS, rows), ''];
}
