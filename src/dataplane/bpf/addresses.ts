// Which frontends the kernel has, and from them the entries of `addresses`: per address one range of ports over all its
// frontends, whatever Services they belong to. Pure.
//
// A range that is too wide only costs a look at a frontend that is not there; one that is too narrow breaks traffic. So
// it is widened before a frontend appears, and narrowed (or the entry deleted) by the conntrack sweep alone, when no
// flow needs it any more. The flag "active cluster IP", which rejects unknown ports, is set after the frontends appear
// and cleared before they go: while another proxy still serves an address nothing may be rejected.

import type { AddressEntry } from './entries.js';
import { hasFlag } from './flags.js';
import { type FrontendName, frontendKey, type ProgrammedFrontend } from './state.js';

/** What the kernel has for one address, and how many frontends want it. */
interface AddressState {
  portMin: number;
  portMax: number;
  clusterIP: boolean;
  frontends: number;
  clusterFrontends: number;
  /** Milliseconds of the caller's clock since when it may be wider than its frontends need; undefined: it is exact. */
  slackSince: number | undefined;
}

/** Ports that flows to an address still use; both inclusive. */
export interface PortRange {
  readonly min: number;
  readonly max: number;
}

/** Frontends by name, and the addresses that they need. */
export class FrontendTable {
  readonly #frontends = new Map<string, ProgrammedFrontend>();
  readonly #addresses = new Map<string, AddressState>();

  get(name: FrontendName): ProgrammedFrontend | undefined {
    return this.#frontends.get(frontendKey(name));
  }

  /** Has another Service taken this frontend over? */
  isForeign(frontend: ProgrammedFrontend): boolean {
    const is = this.get(frontend);
    return is !== undefined && is.service !== frontend.service;
  }

  all(): Iterable<ProgrammedFrontend> {
    return this.#frontends.values();
  }

  get size(): number {
    return this.#frontends.size;
  }

  /** The kernel has this frontend now. @returns what it replaced */
  put(frontend: ProgrammedFrontend): ProgrammedFrontend | undefined {
    const key = frontendKey(frontend);
    const before = this.#frontends.get(key);
    if (before) this.#count(before, -1);
    this.#frontends.set(key, frontend);
    this.#count(frontend, 1);
    return before;
  }

  /** The kernel does not have this frontend any more, or will not in a moment. */
  remove(name: FrontendName, nowMs: number): void {
    const key = frontendKey(name);
    const frontend = this.#frontends.get(key);
    if (!frontend) return;
    this.#frontends.delete(key);
    this.#count(frontend, -1);
    const state = this.#addresses.get(frontend.address);
    if (!state || !gated(frontend)) return;
    if (state.frontends === 0 || frontend.port === state.portMin || frontend.port === state.portMax)
      state.slackSince = nowMs;
  }

  /**
   * The entry that lets packets to this frontend through, where the kernel's does not. The flag stays as it is.
   * Counts as written from here on; `widenFailed` takes it back.
   */
  widen(frontend: ProgrammedFrontend): AddressEntry | undefined {
    if (!gated(frontend)) return undefined;
    const { address, port } = frontend;
    const state = this.#addresses.get(address) ?? empty();
    if (port >= state.portMin && port <= state.portMax) return undefined;
    state.portMin = Math.min(state.portMin, port);
    state.portMax = Math.max(state.portMax, port);
    this.#addresses.set(address, state);
    return entry(address, state);
  }

  /** Does the gate let packets to this frontend through? */
  reaches(frontend: ProgrammedFrontend): boolean {
    if (!gated(frontend)) return true;
    const state = this.#addresses.get(frontend.address);
    return state !== undefined && frontend.port >= state.portMin && frontend.port <= state.portMax;
  }

  /** What the kernel has for an address, as an entry. */
  written(address: string): AddressEntry | undefined {
    const state = this.#addresses.get(address);
    return state && state.portMax !== 0 ? entry(address, state) : undefined;
  }

  /** The kernel has this entry (undefined: none): found at start, or known after a failed write. */
  setAddress(address: string, is: AddressEntry | undefined, nowMs: number): void {
    const state = this.#addresses.get(address) ?? empty();
    state.portMin = is?.portMin ?? NO_PORTS.portMin;
    state.portMax = is?.portMax ?? NO_PORTS.portMax;
    state.clusterIP = is?.clusterIP ?? false;
    if (!is && state.frontends === 0) {
      this.#addresses.delete(address);
      return;
    }
    if (state.frontends === 0) state.slackSince ??= nowMs;
    this.#addresses.set(address, state);
  }

  /** Its entry may be wider than needed: a frontend that it was widened for did not come. */
  suspect(address: string, nowMs: number): void {
    const state = this.#addresses.get(address);
    if (state) state.slackSince = nowMs;
  }

  /** Marks every address as possibly too wide: what an earlier agent left is looked at once. */
  suspectAll(nowMs: number): void {
    for (const state of this.#addresses.values()) state.slackSince = nowMs;
  }

  /** The entry with the flag as its frontends have it; undefined where the kernel's is right. `flagged` confirms it. */
  flag(address: string): AddressEntry | undefined {
    const state = this.#addresses.get(address);
    if (!state || state.portMax === 0) return undefined;
    const clusterIP = state.clusterFrontends > 0;
    return clusterIP === state.clusterIP ? undefined : { ...entry(address, state), clusterIP };
  }

  flagged(written: AddressEntry): void {
    const state = this.#addresses.get(written.address);
    if (state) state.clusterIP = written.clusterIP;
  }

  /** Addresses whose entry may be narrowed or deleted: those that have waited for `graceMs`. */
  slack(nowMs: number, graceMs: number): string[] {
    const found: string[] = [];
    for (const [address, { slackSince }] of this.#addresses)
      if (slackSince !== undefined && nowMs - slackSince >= graceMs) found.push(address);
    return found;
  }

  /**
   * What is to become of slack addresses, given the ports that live flows use at them.
   * @returns one item an address: the entry to write, or none: delete it. Exact ones are left out.
   */
  tighten(
    addresses: readonly string[],
    flows: ReadonlyMap<string, PortRange>,
  ): Map<string, AddressEntry | undefined> {
    const needed = this.#portsOf(new Set(addresses));
    const result = new Map<string, AddressEntry | undefined>();
    for (const address of addresses) {
      const state = this.#addresses.get(address);
      if (!state) continue;
      const own = needed.get(address);
      const used = flows.get(address);
      const tight = union(own, used);
      if (!tight) {
        result.set(address, undefined);
        continue;
      }
      // Flows that keep it wide will end: it stays slack.
      if (!used || (own && own.min <= used.min && own.max >= used.max)) state.slackSince = undefined;
      if (tight.min !== state.portMin || tight.max !== state.portMax)
        result.set(address, {
          map: 'addresses',
          address,
          portMin: tight.min,
          portMax: tight.max,
          clusterIP: state.clusterIP,
        });
    }
    return result;
  }

  #portsOf(addresses: ReadonlySet<string>): Map<string, PortRange> {
    const ports = new Map<string, PortRange>();
    if (addresses.size === 0) return ports;
    for (const frontend of this.#frontends.values()) {
      if (!gated(frontend) || !addresses.has(frontend.address)) continue;
      const range = { min: frontend.port, max: frontend.port };
      ports.set(frontend.address, union(ports.get(frontend.address), range)!);
    }
    return ports;
  }

  #count(frontend: ProgrammedFrontend, by: 1 | -1): void {
    if (!gated(frontend)) return;
    let state = this.#addresses.get(frontend.address);
    if (!state) {
      state = empty();
      this.#addresses.set(frontend.address, state);
    }
    state.frontends += by;
    if (frontend.kind === 'cluster-ip') state.clusterFrontends += by;
  }
}

/** The packet path serves no loopback address, so these need no entry. */
function gated(frontend: ProgrammedFrontend): boolean {
  return !hasFlag(frontend, 'LOCALHOST');
}

const NO_PORTS = { portMin: 0x1_0000, portMax: 0 } as const;

function empty(): AddressState {
  const { portMin, portMax } = NO_PORTS;
  return { portMin, portMax, clusterIP: false, frontends: 0, clusterFrontends: 0, slackSince: undefined };
}

function entry(address: string, state: AddressState): AddressEntry {
  const { portMin, portMax, clusterIP } = state;
  return { map: 'addresses', address, portMin, portMax, clusterIP };
}

function union(a: PortRange | undefined, b: PortRange | undefined): PortRange | undefined {
  if (!a || !b) return a ?? b;
  return { min: Math.min(a.min, b.min), max: Math.max(a.max, b.max) };
}
