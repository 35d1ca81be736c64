// Text of a manifest file → its YAML documents as plain values, each with its place. JSON is YAML and goes the same way.
//
// Two parsers on purpose: js-yaml is ten times faster and needs a tenth of the memory (a Service with 100,000 endpoints
// is 8 MB of text), `yaml` knows the place of every node and says best what is wrong. The first reads; the second is
// asked only about what is wrong.

import { CORE_SCHEMA, type EventType, loadAll, type State, Type, YAMLException } from 'js-yaml';
import { isNode, LineCounter, parseDocument } from 'yaml';

/** Where something is in a file. Both count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A part of a file that holds one document, with its `---` line. */
export interface Chunk {
  readonly text: string;
  /** Line of the file with which it begins, from 1. */
  readonly line: number;
}

export interface Document {
  readonly value: unknown;
  readonly at: Position;
  /** @returns where a mapping near the document's top begins (the items of a List); undefined for other values. */
  readonly place: (value: object) => Position | undefined;
}

export interface SyntaxFault {
  readonly reason: string;
  readonly at: Position;
}

/** Merge keys (`<<`) are YAML 1.1, but kubectl knows them. Times stay strings. */
const MERGE = new Type('tag:yaml.org,2002:merge', { kind: 'scalar', resolve: (key) => key === '<<' });
const SCHEMA = CORE_SCHEMA.extend({ implicit: [MERGE] });

/** A chunk longer than this (in characters) is not read again by the slow parser only for a better message. */
const EXPLAIN_LIMIT = 1_000_000;
/** Nesting down to which places are kept: enough for the items of a List. */
const PLACE_DEPTH = 6;
/** Values a document may have with its aliases written out: far beyond 100,000 endpoints, far below a memory bomb. */
const VALUE_LIMIT = 5_000_000;

/**
 * Splits a file at its document markers, which YAML allows nowhere else (c-forbidden), so that a broken document leaves
 * the others whole.
 */
export function splitDocuments(text: string): readonly Chunk[] {
  const chunks: Chunk[] = [];
  const marker = /^(?:---|\.\.\.)(?=[ \t\r\n]|$)[^\n]*\n?/gm;
  let start = 0;
  let line = 1;
  const cut = (end: number) => {
    const part = text.slice(start, end);
    // Comments and directives before the first marker belong to the document after it.
    if (/^[ \t]*[^\s#%]/m.test(part)) chunks.push({ text: part, line });
    else if (end < text.length && /^%/m.test(part)) return;
    line += part.split('\n').length - 1;
    start = end;
  };
  for (const match of text.matchAll(marker)) {
    cut(match[0].startsWith('.') ? match.index + match[0].length : match.index);
  }
  cut(text.length);
  return chunks;
}

/** @returns the documents of a chunk (one, as a rule; none when it is empty), or what is wrong with it. */
export function readChunk(chunk: Chunk): readonly Document[] | SyntaxFault {
  const places = new WeakMap<object, Position>();
  try {
    const values = loadAll(chunk.text, null, { schema: SCHEMA, listener: placeListener(chunk, places) });
    const aliases = /(^|[\s,[{:-])\*[^\s]/m.test(chunk.text);
    if (aliases && values.some((value) => countValues(value, new Map()) > VALUE_LIMIT)) {
      return { reason: 'its aliases refer to themselves, or expand to far too much', at: start(chunk) };
    }
    const present = values.filter((value) => value !== null && value !== undefined);
    const place = (value: object) => places.get(value);
    return present.map((value) => {
      const at = typeof value === 'object' ? place(value as object) : undefined;
      return { value, at: at ?? start(chunk), place };
    });
  } catch (error) {
    return explain(chunk, error);
  }
}

/**
 * @returns where a field is, given its path as messages write it (`spec.ports[1].port`); where the field is missing, the
 * nearest object around it. `root` is the path of the object in its document (the item of a List).
 */
export function positionOf(
  chunk: Chunk,
  root: readonly (string | number)[],
  path: string,
): Position | undefined {
  if (chunk.text.length > EXPLAIN_LIMIT) return undefined;
  const lines = new LineCounter();
  const document = parseDocument(chunk.text, { lineCounter: lines, merge: true });
  const steps = [...root, ...parsePath(path)];
  for (let length = steps.length; length >= root.length; length--) {
    const node = length === 0 ? document.contents : document.getIn(steps.slice(0, length), true);
    if (isNode(node) && node.range) return moved(chunk, lines.linePos(node.range[0]));
  }
  return undefined;
}

function parsePath(path: string): readonly (string | number)[] {
  const steps: (string | number)[] = [];
  for (const [, name, index, quoted] of path.matchAll(/([^.[\]"]+)|\[(\d+)\]|\["([^"]*)"\]/g)) {
    steps.push(index !== undefined ? Number(index) : (quoted ?? name)!);
  }
  return steps;
}

function placeListener({ line }: Chunk, places: WeakMap<object, Position>) {
  const open: Position[] = [];
  let depth = 0;
  return (event: EventType, state: State): void => {
    if (event === 'open') {
      if (depth++ < PLACE_DEPTH) {
        open.push({ line: line + state.line, column: state.position - state.lineStart + 1 });
      }
      return;
    }
    if (--depth >= PLACE_DEPTH) return;
    const at = open.pop()!;
    const result: unknown = state.result;
    // An alias closes with the anchor's value, whose place is where it is written first.
    if (typeof result === 'object' && result !== null && !places.has(result)) places.set(result, at);
  };
}

/** What is wrong, from the parser that says it better; from the other where the first finds nothing wrong. */
function explain(chunk: Chunk, error: unknown): SyntaxFault {
  if (!(error instanceof YAMLException)) {
    // Only a stack overflow gets here.
    return { reason: 'it is nested too deeply', at: start(chunk) };
  }
  const [first] = chunk.text.length <= EXPLAIN_LIMIT ? slowErrors(chunk) : [];
  if (first?.linePos) {
    const reason = first.message.split('\n')[0]!.replace(/ at line \d+, column \d+:?$/, '');
    return { reason, at: moved(chunk, first.linePos[0]) };
  }
  const { mark } = error as unknown as { mark?: { line: number; column: number } };
  const at = { line: chunk.line + (mark?.line ?? 0), column: (mark?.column ?? 0) + 1 };
  return { reason: error.reason, at };
}

function slowErrors(chunk: Chunk) {
  try {
    return parseDocument(chunk.text, { prettyErrors: true }).errors;
  } catch {
    return [];
  }
}

/** How many values there are with every alias written out; without end for one that holds itself. */
function countValues(value: unknown, known: Map<object, number>): number {
  if (typeof value !== 'object' || value === null) return 1;
  const counted = known.get(value);
  if (counted !== undefined) return counted;
  known.set(value, Number.POSITIVE_INFINITY);
  let sum = 1;
  for (const item of Object.values(value)) sum += countValues(item, known);
  known.set(value, sum);
  return sum;
}

function start({ text, line }: Chunk): Position {
  const before = /^(?:---[ \t]*(?:#[^\n]*)?\r?\n)?(?:[ \t]*(?:#[^\n]*)?\r?\n)*/.exec(text)?.[0] ?? '';
  return { line: line + before.split('\n').length - 1, column: 1 };
}

function moved(chunk: Chunk, { line, col }: { readonly line: number; readonly col: number }): Position {
  return { line: chunk.line + line - 1, column: col };
}
