// Ages conntrack: flows that have ended, or have been silent for too long, leave `flows`. (`opening` is an LRU: the kernel
// makes room there itself.) All of it in slices, so that the event loop never stands still for long.

import { type Flow, FlowFlags, type FlowKey } from '../../abi/layout.gen.js';
import { formatAddress, parseAddress } from '../../lib/ip.js';
import type { Native } from '../../native/api.js';
import type { PortRange } from './addresses.js';
import { DEFAULT_TIMEOUTS, expired, type FlowHalf, type FlowTimeouts, mayHaveExpired } from './flow-age.js';
import { FlowDump, forwardKey, replyKey } from './flow-codec.js';
import type { BpfMaps } from './maps.js';
import { type Pace, pace } from './pace.js';

export interface SweepOptions {
  readonly native: Native;
  readonly maps: BpfMaps;
  /** Nanoseconds of CLOCK_MONOTONIC. */
  readonly nowNs: () => number;
  readonly timeouts?: FlowTimeouts;
  /** Addresses whose live ports are wanted: BpfEngine.slackAddresses(). */
  readonly addresses?: readonly string[];
}

export interface SweepResult {
  /** Entries in `flows` before, two a flow. */
  readonly entries: number;
  /** Entries deleted. */
  readonly deleted: number;
  /** Entries before, as a part of what fits. */
  readonly fill: number;
  /** Ports that flows use at `addresses`, in `flows` or `opening`: for BpfEngine.tightenAddresses(). */
  readonly live: ReadonlyMap<string, PortRange>;
  /** When to sweep again, in milliseconds: sooner when it is more than half full. */
  readonly nextMs: number;
}

const USUAL_MS = 30_000;
const PRESSED_MS = 5000;
const PRESSED_FILL = 0.5;

/** @throws NativeError when the maps cannot be read */
export async function sweepFlows(options: SweepOptions): Promise<SweepResult> {
  const { native, maps, addresses = [] } = options;
  const turn = pace();
  const flows = new FlowDump(await native.mapDump(maps.flows.fd));
  const deleted = await deleteExpired(flows, options, turn);
  const live = new Map<string, PortRange>();
  if (addresses.length > 0) {
    await livePorts(flows, addresses, live, turn);
    await livePorts(new FlowDump(await native.mapDump(maps.opening.fd)), addresses, live, turn);
  }
  const fill = flows.count / maps.flows.info.maxEntries;
  return { entries: flows.count, deleted, fill, live, nextMs: fill > PRESSED_FILL ? PRESSED_MS : USUAL_MS };
}

async function deleteExpired(dump: FlowDump, options: SweepOptions, turn: Pace): Promise<number> {
  const { timeouts = DEFAULT_TIMEOUTS, nowNs } = options;
  const now = nowNs();
  let deleted = 0;
  for (let i = 0; i < dump.count; i++) {
    const half = { seenNs: dump.seenNs(i), flags: dump.flags(i) };
    if (mayHaveExpired(dump.protocol(i), half, now, timeouts)) deleted += deletePair(dump.key(i), options);
    if (turn.isOver()) await turn.next();
  }
  return deleted;
}

/**
 * Looks at both directions as they are now, since the dump is old: deletes them if they have expired. A packet that comes
 * between this look and the deletion loses its entry; its flow was silent for its whole time.
 */
function deletePair(key: FlowKey, { maps, nowNs, timeouts = DEFAULT_TIMEOUTS }: SweepOptions): number {
  const own = maps.flows.get(key);
  if (!own) return 0;
  const isReply = (own.flags & FlowFlags.REPLY) !== 0;
  const otherKey = isReply ? forwardKey(key, own) : replyKey(key, own);
  // Half of a pair may have stayed in `opening` when `flows` was full.
  const other = maps.flows.get(otherKey) ?? maps.opening.get(otherKey);
  const [forward, reply] = isReply ? [other, own] : [own, other];
  const pair = { protocol: key.proto, forward: halfOf(forward), reply: halfOf(reply) };
  if (!expired(pair, nowNs(), timeouts)) return 0;
  // The forward entry first: what the client sends is never translated without a way back.
  const order = isReply ? [otherKey, key] : [key, otherKey];
  let deleted = 0;
  for (const each of order) {
    maps.opening.delete(each);
    if (maps.flows.delete(each)) deleted++;
  }
  return deleted;
}

function halfOf(flow: Flow | undefined): FlowHalf | undefined {
  return flow && { seenNs: Number(flow.seenNs), flags: flow.flags };
}

/** Widens `live` by the ports at which flows of this dump meet the addresses. */
async function livePorts(
  dump: FlowDump,
  addresses: readonly string[],
  live: Map<string, PortRange>,
  turn: Pace,
): Promise<void> {
  const wanted = new Set(addresses.map((text) => latin1(parseAddress(text)!.bytes)));
  for (let i = 0; i < dump.count; i++) {
    if (turn.isOver()) await turn.next();
    const bytes = dump.destination(i);
    if ((dump.flags(i) & FlowFlags.REPLY) !== 0 || !wanted.has(latin1(bytes))) continue;
    const address = formatAddress(bytes);
    const port = dump.destinationPort(i);
    const known = live.get(address);
    live.set(address, { min: Math.min(port, known?.min ?? port), max: Math.max(port, known?.max ?? port) });
  }
}

/** Sixteen bytes as a key of a Set. */
function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
