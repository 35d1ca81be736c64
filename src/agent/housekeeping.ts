// What the agent does by the clock: removes retired entries, ages flows, destroys sockets whose endpoint is gone, and looks
// whether its pins are still there. None of it is needed for traffic to go on, and none of it may end the agent.

import { existsSync } from 'node:fs';
import { LAYOUT_VERSION, REASON_NAMES, Reason } from '../abi/layout.gen.js';
import type { BpfEngine } from '../dataplane/bpf/driver.js';
import { sweepFlows } from '../dataplane/bpf/gc.js';
import type { BpfMaps } from '../dataplane/bpf/maps.js';
import { mapFolder } from '../dataplane/bpf/pins.js';
import { forgetDeadSockets, staleUdpSockets } from '../dataplane/bpf/stale-sockets.js';
import type { Native } from '../native/api.js';
import type { Configuration } from './config.js';
import type { Logger } from './log.js';
import { NetworkNamespaces } from './network-namespaces.js';

export interface HousekeepingOptions {
  readonly native: Native;
  readonly maps: BpfMaps;
  readonly engine: () => BpfEngine;
  readonly config: Configuration;
  readonly log: Logger;
  /** Milliseconds of a monotonic clock. */
  readonly now: () => number;
  /** Nanoseconds of CLOCK_MONOTONIC. */
  readonly nowNs: () => number;
  /** Puts the netfilter rules back where somebody has taken them away. */
  readonly checkNetfilter: () => Promise<void>;
  /** Pins and attaches everything anew. */
  readonly repair: () => void;
  /** Looks after the cgroup of the socket hook. */
  readonly checkCgroup: () => void;
}

const PIN_CHECK_MS = 2000;
const NETFILTER_CHECK_MS = 5000;
const FIRST_SWEEP_MS = 5000;
const RETRY_SWEEP_MS = 10_000;
const SOCKET_CHECK_MS = 300_000;
const REASON_CHECK_MS = 5000;
/** Reasons that somebody must act on: a table is too small, or a program met what it must not meet. */
const ALARMS: readonly number[] = [
  Reason.DROP_TABLE_FULL,
  Reason.DROP_STALE_SLOT,
  Reason.DROP_NAT_FAILED,
  Reason.DROP_NO_SOURCE_PORT,
  Reason.FLOW_TABLE_FULL,
  Reason.SOCKET_TABLE_FULL,
];

export class Housekeeping {
  readonly #options: HousekeepingOptions;
  readonly #namespaces: NetworkNamespaces;
  readonly #counts = new Map<number, bigint>();
  readonly #intervals: NodeJS.Timeout[] = [];
  #collect: NodeJS.Timeout | undefined;
  #sweep: NodeJS.Timeout | undefined;
  #destroying: Promise<unknown> = Promise.resolve();
  #destroyPending = false;
  readonly #unknownNetns = new Set<bigint>();
  #stopped = false;

  constructor(options: HousekeepingOptions) {
    this.#options = options;
    this.#namespaces = new NetworkNamespaces(options.native);
  }

  /** Nothing once it was stopped: a signal may come while the first connections are being served. */
  start(): void {
    if (this.#stopped) return;
    this.#every(PIN_CHECK_MS, 'looking after the pins', async () => this.#checkPins());
    this.#every(PIN_CHECK_MS, 'looking after the cgroup', async () => this.#options.checkCgroup());
    // Now, too: what is counted from here on is news.
    void this.#attempt('reading the counters', async () => this.#checkReasons());
    if (this.#options.config.netfilter)
      this.#every(NETFILTER_CHECK_MS, 'looking after the netfilter rules', this.#options.checkNetfilter);
    this.#every(REASON_CHECK_MS, 'reading the counters', async () => this.#checkReasons());
    this.#every(SOCKET_CHECK_MS, 'forgetting dead sockets', async () => {
      await forgetDeadSockets(this.#options.maps, undefined, this.#options.nowNs());
    });
    this.#sweepIn(FIRST_SWEEP_MS);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#collect);
    clearTimeout(this.#sweep);
    for (const interval of this.#intervals) clearInterval(interval);
  }

  /** After a commit: what it retired is removed when its grace period is over. */
  collectSoon(): void {
    const due = this.#options.engine().nextCollectMs;
    if (due === undefined || this.#collect !== undefined || this.#stopped) return;
    this.#collect = setTimeout(
      async () => {
        this.#collect = undefined;
        await this.#attempt('removing retired entries', () => this.#options.engine().collect());
        this.collectSoon();
      },
      Math.max(1, due - this.#options.now()),
    );
  }

  /** Connected UDP sockets to endpoints that are gone: their processes get ECONNABORTED and connect anew. */
  destroyStaleSockets(): void {
    // One look at all sockets serves every commit that has come until it begins.
    if (this.#destroyPending || this.#stopped) return;
    this.#destroyPending = true;
    this.#destroying = this.#destroying.then(() => {
      this.#destroyPending = false;
      return this.#attempt('destroying sockets', () => this.#destroySockets());
    });
  }

  async #destroySockets(): Promise<void> {
    const { native, maps, log } = this.#options;
    const stale = await staleUdpSockets(maps);
    if (stale.size === 0) return;
    const paths = this.#namespaces.find(stale.keys());
    for (const [cookie, sockets] of stale) {
      const path = paths.get(cookie);
      if (path === undefined && this.#unknownNetns.has(cookie)) continue;
      if (path === undefined) {
        this.#unknownNetns.add(cookie);
        log.warn(
          { netns: cookie.toString(), sockets: sockets.length },
          'connected UDP sockets keep an endpoint that is gone: their network namespace was not found (the agent needs hostPID)',
        );
        continue;
      }
      const destroyed = await native.destroySockets(path, sockets);
      log.debug({ netns: path, destroyed }, 'destroyed UDP sockets whose endpoint is gone');
      for (const socket of sockets) maps.sockets.delete(socket.cookie);
    }
  }

  #sweepIn(ms: number): void {
    if (this.#stopped) return;
    this.#sweep = setTimeout(async () => {
      const next = await this.#attempt('ageing conntrack', () => this.#sweepNow());
      this.#sweepIn(next ?? RETRY_SWEEP_MS);
    }, ms);
  }

  async #sweepNow(): Promise<number> {
    const { native, maps, engine, config, nowNs, log } = this.#options;
    const addresses = engine().slackAddresses();
    const { deleted, fill, live, nextMs } = await sweepFlows({
      native,
      maps,
      nowNs,
      timeouts: config.conntrack,
      addresses,
    });
    const tightened = addresses.length > 0 ? await engine().tightenAddresses(addresses, live) : 0;
    if (deleted + tightened > 0)
      log.debug({ deleted, tightened, fill: `${Math.round(fill * 100)} %` }, 'aged conntrack');
    return nextMs;
  }

  #checkPins(): void {
    const { config, log, repair } = this.#options;
    if (existsSync(`${mapFolder(config.pinFolder, LAYOUT_VERSION)}/frontends`)) return;
    log.error(
      `the pins under ${config.pinFolder} are gone (was its bpffs unmounted?): pinning and attaching everything anew`,
    );
    repair();
    log.info({ pinFolder: config.pinFolder }, 'repaired: everything is pinned and attached again');
  }

  #checkReasons(): void {
    for (const reason of ALARMS) {
      const count = (this.#options.maps.reasons.get(reason) ?? []).reduce((sum, value) => sum + value, 0n);
      // What an earlier run has counted is no news.
      const before = this.#counts.get(reason) ?? count;
      this.#counts.set(reason, count);
      const name = REASON_NAMES.get(reason) ?? String(reason);
      if (count > before)
        this.#options.log.warn({ reason: name, count: Number(count - before) }, ALARM_ADVICE[name] ?? name);
    }
  }

  #every(ms: number, what: string, task: () => Promise<void>): void {
    this.#intervals.push(setInterval(() => void this.#attempt(what, task), ms));
  }

  async #attempt<T>(what: string, task: () => Promise<T>): Promise<T | undefined> {
    try {
      return await task();
    } catch (error) {
      this.#options.log.error(`${what} failed; it is tried again: ${(error as Error).message}`);
      return undefined;
    }
  }
}

const ALARM_ADVICE: Readonly<Record<string, string>> = {
  'drop-table-full': 'packets of new flows were dropped, no entry could be made: raise maps.opening',
  'drop-stale-slot':
    'a slot had another owner twice: the maps were changed by somebody else, or this is a bug',
  'drop-nat-failed': 'the kernel refused to rewrite packets',
  'drop-no-source-port':
    'reply tuples collided and no source port was free: too many flows from one client to one endpoint',
  'flow-table-full': 'confirmed flows stay where a flood can evict them: raise maps.flows',
  'socket-table-full': 'sockets were left to the packet path: raise maps.sockets',
};
