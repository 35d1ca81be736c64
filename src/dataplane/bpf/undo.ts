// Takes a failed change back, as far as it has come.

import type { EntryWriter } from './batch.js';
import type { CommitOptions, EngineState } from './engine-state.js';
import type { ServiceMapEntry } from './entries.js';
import { ADD_ORDER, Batches, type Work, wasSure } from './work.js';

type Means = Pick<CommitOptions, 'writer' | 'now' | 'graceMs'>;

/** Before the switch. Nobody has seen what was added: it can go at once. */
export async function undoAdds(
  works: readonly Work[],
  state: EngineState,
  { writer, now }: Means,
): Promise<void> {
  const gone = new Batches();
  const back = new Batches();
  works.forEach((work, owner) => {
    for (const entry of work.adds) {
      const old = replaced(entry);
      if (old) back.add(old, owner);
      else gone.add(entry, owner);
    }
    suspect(work, state, now());
  });
  for (const map of ADD_ORDER) {
    const { entries, owners } = gone.get(map);
    await writer.delete(entries, (i) => doubt(works[owners[i]!]!));
    const old = back.get(map);
    await writer.put(old.entries, (i) => doubt(works[old.owners[i]!]!));
  }
}

/** Some frontends were switched already: back to the old lists; the new sets go after the grace period. */
export async function undoSwitch(
  work: Work,
  state: EngineState,
  { writer, now, graceMs }: Means,
): Promise<void> {
  const failed = (): void => doubt(work);
  for (const { entry, before } of [...work.switched].reverse()) {
    if (before) {
      await writer.put([{ map: 'frontends', frontend: before }], failed);
      state.table.put(before);
    } else {
      await writer.delete([entry], failed);
      state.table.remove(entry.frontend, now());
    }
  }
  if (work.doubtful || !wasSure(work)) {
    doubt(work);
    return;
  }
  // Keyed by Service, so a later try may write these again before a grace period is over: they go now.
  const keyed = work.adds.filter((e) => e.map === 'backends' || e.map === 'source_ranges');
  for (const entry of keyed) await takeBack(entry, writer, failed);
  const later = work.adds.filter((e) => e.map !== 'backends' && e.map !== 'source_ranges');
  state.retired.add(later, now() + graceMs);
  suspect(work, state, now());
}

async function takeBack(entry: ServiceMapEntry, writer: EntryWriter, failed: () => void): Promise<void> {
  const old = replaced(entry);
  if (old) await writer.put([old], failed);
  else await writer.delete([entry], failed);
}

/** The entry that was there before; undefined: none. Of what is added, only backends can replace one. */
function replaced(entry: ServiceMapEntry): ServiceMapEntry | undefined {
  return entry.map === 'backends' && entry.before ? { ...entry, endpoint: entry.before } : undefined;
}

/** The addresses were widened for frontends that did not come. */
function suspect(work: Work, { table }: EngineState, nowMs: number): void {
  for (const { frontend } of work.switches) table.suspect(frontend.address, nowMs);
}

function doubt(work: Work): void {
  work.doubtful = true;
}
