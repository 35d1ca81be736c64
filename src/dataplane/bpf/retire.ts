// Entries that wait until no program can still be looking at them.

import type { EntryMap, ServiceMapEntry } from './entries.js';

interface Retired {
  readonly dueMs: number;
  readonly entries: readonly ServiceMapEntry[];
}

/** In the order in which they are deleted. */
const ORDER: readonly EntryMap[] = ['slots', 'members', 'source_ranges', 'services', 'service_stats'];

export class RetireQueue {
  #queue: Retired[] = [];

  add(entries: readonly ServiceMapEntry[], dueMs: number): void {
    if (entries.length > 0) this.#queue.push({ dueMs, entries });
  }

  /** When the next ones are due, on the caller's clock; undefined when none wait. */
  get nextMs(): number | undefined {
    return this.#queue[0]?.dueMs;
  }

  get size(): number {
    return this.#queue.reduce((sum, r) => sum + r.entries.length, 0);
  }

  /** Takes out what is due, by map. */
  takeDue(nowMs: number): ServiceMapEntry[][] {
    const byMap = new Map<EntryMap, ServiceMapEntry[]>(ORDER.map((map) => [map, []]));
    const due = this.#queue.filter((r) => r.dueMs <= nowMs);
    this.#queue = this.#queue.filter((r) => r.dueMs > nowMs);
    for (const { entries } of due) for (const entry of entries) byMap.get(entry.map)?.push(entry);
    return [...byMap.values()].filter((entries) => entries.length > 0);
  }
}
