import type { Native } from '../../../src/native/api.js';

/** These children change devices: run by hand outside a namespace of their own they would change the machine's. */
export function insistOnOwnNetns(native: Native): void {
  if (native.netnsCookie() === native.netnsCookie(`/proc/${process.ppid}/ns/net`)) {
    throw new Error('run this in a network namespace of its own, as the tests do');
  }
}
