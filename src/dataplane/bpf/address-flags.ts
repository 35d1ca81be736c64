// The flag "active cluster IP" of `addresses`, which has unknown ports rejected.

import type { FrontendTable } from './addresses.js';
import type { EntryWriter } from './batch.js';

/**
 * Sets or clears it as the table's frontends have it, where the kernel's differs. An entry that exists can be written also
 * when its map is full.
 *
 * @returns addresses where it could not be written
 */
export async function writeFlags(
  table: FrontendTable,
  writer: EntryWriter,
  addresses: Iterable<string>,
  onFailure: (address: string, errno: number) => void,
): Promise<ReadonlySet<string>> {
  const entries = Array.from(addresses, (address) => table.flag(address)).filter((e) => e !== undefined);
  const failed = new Set<string>();
  await writer.put(entries, (i, errno) => {
    const { address } = entries[i]!;
    failed.add(address);
    onFailure(address, errno);
  });
  for (const entry of entries) if (!failed.has(entry.address)) table.flagged(entry);
  return failed;
}
