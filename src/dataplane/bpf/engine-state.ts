// What the engine keeps between commits, and what a commit works with.

import type { ServiceName } from '../../model/service.js';
import type { FrontendTable } from './addresses.js';
import type { EntryWriter } from './batch.js';
import type { EntryMap } from './entries.js';
import type { Ids, NextIds } from './ids.js';
import type { RetireQueue } from './retire.js';
import type { ProgrammedPort } from './state.js';

/** What the engine knows of the kernel; a commit changes it as the kernel acknowledges. */
export interface EngineState {
  readonly ports: Map<ServiceName, readonly ProgrammedPort[]>;
  readonly table: FrontendTable;
  readonly ids: Ids;
  readonly retired: RetireQueue;
  /** Addresses whose flag in the kernel may not be as their frontends have it. */
  readonly unflagged: Set<string>;
}

export interface CommitOptions {
  readonly writer: EntryWriter;
  readonly preserveClientAddress: boolean;
  readonly graceMs: number;
  /** Puts reserved ids into `meta`. */
  readonly writeMeta: (ids: NextIds) => void;
  readonly maxEntries: (map: EntryMap) => number;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
}
