// Faults over HTTP, for those who run the server as a process: POST /test/ACTION with JSON.
//   /test/rule     a Rule          {"verb":"list","resource":"services","times":2,"fault":{"kind":"status","code":500}}
//   /test/break    open watches    {"fault":"reset","resource":"services"}
//   /test/set      switches        {"bookmarks":false,"watchList":"invalid","hangConnections":true}
//   /test/compact, /test/epoch, /test/clear

import type { Faults, Rule, StreamFault } from './faults.js';
import { badRequest } from './status.js';
import type { Storage } from './storage.js';

export function control(
  action: string,
  body: Record<string, unknown>,
  faults: Faults,
  storage: Storage,
): unknown {
  switch (action) {
    case 'rule':
      faults.add(body as unknown as Rule);
      return {};
    case 'break':
      return { broken: faults.breakWatches(body.fault as StreamFault, body.resource as string | undefined) };
    case 'set':
      Object.assign(faults, pick(body, ['bookmarks', 'watchList', 'hangConnections']));
      return {};
    case 'compact':
      storage.compact();
      return {};
    case 'epoch':
      storage.newEpoch();
      return {};
    case 'clear':
      faults.clear();
      return {};
    default:
      throw badRequest(`no such action: ${action}`);
  }
}

function pick(body: Record<string, unknown>, keys: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(keys.filter((key) => key in body).map((key) => [key, body[key]]));
}
