// Turns scans of a folder into calls of a sink: files, allocations, what has changed.

import type { SourceProblem, SourceSink } from '../source.js';
import { type ClusterMemo, type ClusterOptions, EMPTY_MEMO, viewCluster } from './cluster.js';
import { type FileTable, updateFiles } from './files.js';
import { mergeObjects } from './merge.js';
import type { Scan } from './scan.js';
import { EMPTY_STATE, type FolderState, formatState, readState, writeState } from './state-file.js';
import { type Told, tellChanges, tellProblems } from './tell.js';

export interface FollowerOptions {
  readonly directory: string;
  /** undefined: nothing is remembered. */
  readonly stateFile: string | undefined;
  /** Only read the state file: another process keeps it. */
  readonly readOnly: boolean;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly cluster: ClusterOptions;
}

/** Holds what one run of the source knows. */
export class Follower {
  readonly #options: FollowerOptions;
  readonly #sink: SourceSink;
  #state: FolderState;
  /** The state file's content. */
  #written: string;
  #writeProblem: SourceProblem | undefined;
  #table: FileTable = { files: new Map(), changed: true, again: undefined };
  #memo: ClusterMemo = EMPTY_MEMO;
  #told: Told | undefined;
  /** Problems of the files and objects as they are now. */
  #standing: readonly SourceProblem[] = [];
  #toldProblems: ReadonlySet<string> = new Set();
  readonly #toldKinds = new Set<string>();

  constructor(options: FollowerOptions, sink: SourceSink) {
    this.#options = options;
    this.#sink = sink;
    const { stateFile } = options;
    const read = stateFile === undefined ? { state: EMPTY_STATE } : readState(stateFile);
    this.#state = read.state;
    this.#written = formatState(read.state);
    if (read.problem !== undefined)
      sink.problem({ where: stateFile!, message: read.problem, severity: 'warning' });
  }

  /**
   * Brings the sink up to date with a scan.
   *
   * @param scan undefined: the folder is not there.
   * @param watchProblems what the watcher complains of.
   * @returns after how many milliseconds to look again although nothing may happen; undefined: no need.
   */
  round(scan: Scan | undefined, watchProblems: readonly SourceProblem[]): number | undefined {
    if (scan) {
      const kept = this.#told ? new Map() : this.#state.kept;
      this.#table = updateFiles(this.#table.files, scan, kept, this.#options.now());
    }
    if (!this.#told || (scan && this.#table.changed)) this.#apply();
    else if (this.#writeProblem) this.#save();
    const problems = [...this.#standing, ...watchProblems, ...this.#scanProblems(scan)];
    if (this.#writeProblem) problems.push(this.#writeProblem);
    this.#toldProblems = tellProblems(this.#sink, this.#toldProblems, problems);
    return this.#table.again;
  }

  #apply(): void {
    const files = [...this.#table.files.values()];
    const brokenFiles = new Set(
      [...this.#table.files].filter(([, file]) => file.broken).map(([name]) => name),
    );
    const objects = mergeObjects(files);
    const input = { objects, saved: this.#state.services, brokenFiles, now: this.#options.now() };
    const { view, memo } = viewCluster(input, this.#options.cluster, this.#memo);
    this.#memo = memo;
    const kept = keptObjects(this.#table);
    const same = view.saved === this.#state.services && kept.size + this.#state.kept.size === 0;
    this.#state = { services: view.saved, kept };
    if (!same) this.#save();
    tellChanges(this.#sink, this.#told, view);
    this.#told = view;
    const unused = unusedKinds(this.#table, this.#toldKinds);
    this.#standing = [...files.flatMap((file) => file.problems), ...view.problems, ...unused];
  }

  /**
   * Before anybody hears of it: after a crash at any point the same Services have the same addresses. What could not be
   * written is tried again in each round.
   */
  #save(): void {
    const { stateFile, readOnly } = this.#options;
    if (stateFile === undefined || readOnly) return;
    const text = formatState(this.#state);
    if (text === this.#written) return;
    try {
      writeState(stateFile, this.#state);
      this.#written = text;
      this.#writeProblem = undefined;
    } catch (error) {
      const why = (error as Error).message;
      const message = `cannot be written (${why}); after a restart cluster IPs and node ports may differ`;
      this.#writeProblem = { where: stateFile, message, severity: 'warning' };
    }
  }

  #scanProblems(scan: Scan | undefined): readonly SourceProblem[] {
    if (scan) {
      return scan.problems.map(({ name, message }) => ({
        where: name,
        message: `cannot be listed: ${message}; what was in it stays in force`,
        severity: 'warning',
      }));
    }
    const message = 'the folder is gone; everything stays as it was until it is back';
    return [{ where: this.#options.directory, message, severity: 'warning' }];
  }
}

function keptObjects({ files }: FileTable): FolderState['kept'] {
  const broken = [...files].filter(([, { kept }]) => kept.length > 0);
  return new Map(broken.map(([name, { kept }]) => [name, kept]));
}

/** Each kind that is not used is named once in a run. */
function unusedKinds({ files }: FileTable, told: Set<string>): readonly SourceProblem[] {
  const problems: SourceProblem[] = [];
  for (const [file, { unused }] of files) {
    for (const { kind, name, at } of unused) {
      if (told.has(kind)) continue;
      told.add(kind);
      const message = `${kind} ${name} is not used, nor are others of its kind: a folder is served from Service, EndpointSlice, Endpoints, Pod and Node. Harmless`;
      problems.push({ where: `${file}:${at.line}:${at.column}`, message, severity: 'info' });
    }
  }
  return problems;
}
