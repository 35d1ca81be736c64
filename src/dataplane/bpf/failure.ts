// Words for a write that failed.

import type { EntryMap } from './entries.js';

const ENOMEM = 12;
const E2BIG = 7;
const ENOSPC = 28;

/**
 * @param service `namespace/name`, as it is in the message
 * @param maxEntries what the map holds at most
 */
export function writeError(service: string, map: EntryMap, errno: number, maxEntries: number): Error {
  const kept = `Service ${service} keeps the state that it had`;
  if (errno === E2BIG || errno === ENOSPC)
    return new Error(
      `the map ${map} is full (${maxEntries} entries): ${kept}; raise maps.${map} in the configuration ` +
        '(a size counts when the map is made: run `portolan cleanup` before the next start)',
    );
  if (errno === ENOMEM)
    return new Error(
      `no memory for an entry of the map ${map}: ${kept}; give the node or its cgroup more memory`,
    );
  return new Error(`writing the map ${map} failed with errno ${errno}: ${kept}; it is tried again`);
}
