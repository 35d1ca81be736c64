// One commit: many changes through the phases of plan.ts together, each map in batches. A change that fails is taken
// back; the others go on.

import type { Change } from '../../reconcile/engine.js';
import { writeFlags } from './address-flags.js';
import type { FrontendTable } from './addresses.js';
import type { CommitOptions, EngineState } from './engine-state.js';
import type { AddressEntry, EntryMap, FrontendEntry } from './entries.js';
import { writeError } from './failure.js';
import { planService } from './plan.js';
import { undoAdds, undoSwitch } from './undo.js';
import { ADD_ORDER, Batches, failedWork, isIdle, stateAfter, type Work, wasSure, workOf } from './work.js';

/** Works are written together until they have this many entries: long enough for batches, short enough for memory. */
const CHUNK_ENTRIES = 4096;

export class Commit {
  readonly #state: EngineState;
  readonly #options: CommitOptions;
  readonly #works: Work[] = [];
  /** Addresses whose frontends have come or gone, and by whom: their flags may have to change. */
  readonly #touched = new Map<string, Set<Work>>();

  constructor(state: EngineState, options: CommitOptions) {
    this.#state = state;
    this.#options = options;
  }

  /**
   * @returns one work a change, in the same order, with its error if it failed
   * @throws what is nobody's outcome: `meta` cannot be written, or a plan holds what no map can
   */
  async run(changes: readonly Change[]): Promise<readonly Work[]> {
    try {
      await this.#write(changes);
    } catch (error) {
      // Nobody knows what has been written.
      for (const work of this.#works) work.doubtful = true;
      throw error;
    } finally {
      for (const work of this.#works) this.#settle(work);
    }
    return this.#works;
  }

  async #write(changes: readonly Change[]): Promise<void> {
    let from = 0;
    while (from < changes.length) {
      let entries = 0;
      let to = from;
      for (; to < changes.length && entries < CHUNK_ENTRIES; to++) {
        const work = this.#plan(changes[to]!);
        this.#works.push(work);
        entries += work.adds.length + work.switches.length;
      }
      await this.#chunk(from, to);
      from = to;
    }
    await this.#remove();
  }

  #plan(change: Change): Work {
    const before = this.#state.ports.get(change.name) ?? [];
    try {
      const { ids, table } = this.#state;
      const { preserveClientAddress } = this.#options;
      const context = {
        ids,
        preserveClientAddress,
        frontend: (name: Parameters<FrontendTable['get']>[0]) => table.get(name),
      };
      return workOf(change, before, planService(change.plan, before, context));
    } catch (error) {
      return failedWork(change, before, error as Error);
    }
  }

  /** Adds and switches of the works `from` .. `to` - 1. */
  async #chunk(from: number, to: number): Promise<void> {
    const works = this.#works.slice(from, to);
    if (works.every(isIdle)) return;
    const reservation = this.#state.ids.reservation();
    if (reservation) {
      this.#options.writeMeta(reservation);
      this.#state.ids.reserved(reservation);
    }
    await this.#add(works);
    await this.#widen(works);
    await undoAdds(
      works.filter((w) => w.error && !w.doubtful),
      this.#state,
      this.#options,
    );
    await this.#switch(works);
    for (const work of works) work.adds = [];
  }

  async #add(works: readonly Work[]): Promise<void> {
    const batches = new Batches();
    works.forEach((work, owner) => {
      for (const entry of work.adds) batches.add(entry, owner);
    });
    for (const map of ADD_ORDER) {
      const { entries, owners } = batches.get(map);
      await this.#options.writer.put(entries, (i, errno) => this.#fail(works[owners[i]!]!, map, errno));
    }
  }

  /** Lets packets for the coming frontends through the gate. */
  async #widen(works: readonly Work[]): Promise<void> {
    const { table } = this.#state;
    const before = new Map<string, AddressEntry | undefined>();
    const owners = new Map<string, Set<Work>>();
    for (const work of works) {
      for (const { frontend } of work.error ? [] : work.switches) {
        const was = before.has(frontend.address)
          ? before.get(frontend.address)
          : table.written(frontend.address);
        if (!table.widen(frontend)) continue;
        before.set(frontend.address, was);
        const own = owners.get(frontend.address) ?? new Set();
        owners.set(frontend.address, own.add(work));
      }
    }
    const entries = [...before.keys()].map((address) => table.written(address)!);
    const takeBack = (address: string): void =>
      table.setAddress(address, before.get(address), this.#options.now());
    try {
      await this.#options.writer.put(entries, (i, errno) => {
        const { address } = entries[i]!;
        takeBack(address);
        for (const work of owners.get(address)!) this.#fail(work, 'addresses', errno);
      });
    } catch (error) {
      for (const address of before.keys()) takeBack(address);
      throw error;
    }
  }

  async #switch(works: readonly Work[]): Promise<void> {
    const entries: FrontendEntry[] = [];
    const owners: Work[] = [];
    for (const work of works) {
      if (work.error) continue;
      for (const entry of work.switches) {
        entries.push(entry);
        owners.push(work);
      }
    }
    const failed = new Set<number>();
    await this.#options.writer.put(entries, (i, errno) => {
      failed.add(i);
      this.#fail(owners[i]!, 'frontends', errno);
    });
    entries.forEach((entry, i) => {
      if (failed.has(i)) return;
      const before = this.#state.table.put(entry.frontend);
      owners[i]!.switched.push({ entry, before });
      this.#touch(entry.frontend.address, owners[i]!);
    });
    for (const work of new Set(owners)) if (work.error) await undoSwitch(work, this.#state, this.#options);
  }

  /** What is to go, for all works: a frontend that another change has taken over meanwhile is left alone. */
  async #remove(): Promise<void> {
    const { table } = this.#state;
    const { writer, now } = this.#options;
    const frontends: FrontendEntry[] = [];
    const owners: Work[] = [];
    for (const work of this.#works) {
      for (const entry of work.error ? [] : work.removes) {
        if (entry.map !== 'frontends' || table.isForeign(entry.frontend)) continue;
        table.remove(entry.frontend, now());
        frontends.push(entry);
        owners.push(work);
        this.#touch(entry.frontend.address, work);
      }
    }
    const kept = await this.#flag();
    frontends.forEach((entry) => {
      if (kept.has(entry.frontend.address)) table.put(entry.frontend);
    });
    const gone = frontends.filter((entry) => !kept.has(entry.frontend.address));
    await writer.delete(gone, (i, errno) => {
      const work = owners[frontends.indexOf(gone[i]!)]!;
      table.put(gone[i]!.frontend);
      this.#fail(work, 'frontends', errno);
      work.doubtful = true;
    });
    await this.#removeBackends();
  }

  async #removeBackends(): Promise<void> {
    const batches = new Batches();
    this.#works.forEach((work, owner) => {
      for (const entry of work.error ? [] : work.removes)
        if (entry.map === 'backends') batches.add(entry, owner);
    });
    const { entries, owners } = batches.get('backends');
    await this.#options.writer.delete(entries, (i, errno) => {
      const work = this.#works[owners[i]!]!;
      this.#fail(work, 'backends', errno);
      work.doubtful = true;
    });
  }

  /**
   * After frontends have come and before others go.
   * @returns addresses whose flag could not be changed: deleting their frontends would have unknown ports rejected
   */
  async #flag(): Promise<ReadonlySet<string>> {
    const { table, unflagged } = this.#state;
    const addresses = new Set([...unflagged, ...this.#touched.keys()]);
    const failed = await writeFlags(table, this.#options.writer, addresses, (address, errno) => {
      for (const work of this.#touched.get(address) ?? []) {
        this.#fail(work, 'addresses', errno);
        work.doubtful = true;
      }
    });
    unflagged.clear();
    for (const address of failed) unflagged.add(address);
    return failed;
  }

  #touch(address: string, work: Work): void {
    const works = this.#touched.get(address);
    if (works) works.add(work);
    else this.#touched.set(address, new Set([work]));
  }

  #settle(work: Work): void {
    const { ports, retired } = this.#state;
    const after = stateAfter(work);
    if (after.length > 0) ports.set(work.change.name, after);
    else ports.delete(work.change.name);
    if (!work.error && !work.doubtful) retired.add(work.retire, this.#options.now() + this.#options.graceMs);
  }

  #fail(work: Work, map: EntryMap, errno: number): void {
    work.error ??= writeError(work.change.name, map, errno, this.#options.maxEntries(map));
    if (!wasSure(work)) work.doubtful = true;
  }
}
