// Follows this network namespace's devices and addresses through rtnetlink.

import type { InterfaceAddress } from '../model/node.js';
import type { Native, RouteSocket } from '../native/api.js';
import { type Link, parseRouteMessages, type RouteMessage } from './rtnetlink.js';

export interface InterfaceListener {
  /** A device appeared or changed. */
  link(link: Link): void;
  linkGone(link: Link): void;
  /** The set of addresses changed. */
  addresses(): void;
}

type DumpType = 'links' | 'addresses';

const RETRY_MS = 100;

export class Interfaces {
  readonly #links = new Map<number, Link>();
  readonly #addresses = new Map<number, Set<string>>();
  readonly #listener: InterfaceListener;
  readonly #route: RouteSocket;
  /** Dumps still to come; the first is under way. */
  #dumps: DumpType[] = [];
  #seenLinks = new Set<number>();
  #seenAddresses = new Map<number, Set<string>>();
  #ready: (() => void) | undefined;
  #retry: NodeJS.Timeout | undefined;

  /** Resolves once every device and address that exists has been seen. */
  readonly synced: Promise<void>;

  constructor(native: Native, listener: InterfaceListener) {
    this.#listener = listener;
    this.synced = new Promise((resolve) => {
      this.#ready = resolve;
    });
    this.#route = native.openRoute((bytes) => this.#take(bytes));
    this.resync();
  }

  /** Asks for everything anew: after notifications were lost, and now and then. */
  resync(): void {
    const idle = this.#dumps.length === 0;
    this.#dumps.push('links', 'addresses');
    if (idle) this.#startDump();
  }

  links(): readonly Link[] {
    return [...this.#links.values()];
  }

  link(index: number): Link | undefined {
    return this.#links.get(index);
  }

  addresses(): InterfaceAddress[] {
    const all: InterfaceAddress[] = [];
    for (const [index, addresses] of this.#addresses) {
      const name = this.#links.get(index)?.name ?? `if${index}`;
      for (const address of addresses) all.push({ interface: name, address });
    }
    return all;
  }

  close(): void {
    clearTimeout(this.#retry);
    this.#route.close();
  }

  #take(bytes: Uint8Array): void {
    // An empty buffer tells that the kernel dropped notifications (ENOBUFS).
    if (bytes.byteLength === 0) this.resync();
    for (const message of parseRouteMessages(bytes)) this.#apply(message);
  }

  #apply(message: RouteMessage): void {
    switch (message.type) {
      case 'link':
        this.#seenLinks.add(message.link.index);
        this.#setLink(message.link);
        break;
      case 'link-gone':
        this.#seenLinks.delete(message.index);
        this.#dropLink(message.index);
        break;
      case 'address':
        addTo(this.#seenAddresses, message.index, message.address);
        if (addTo(this.#addresses, message.index, message.address)) this.#listener.addresses();
        break;
      case 'address-gone':
        this.#seenAddresses.get(message.index)?.delete(message.address);
        if (this.#addresses.get(message.index)?.delete(message.address)) this.#listener.addresses();
        break;
      case 'done':
        this.#finishDump();
        break;
      case 'failed':
        this.#retryDump();
        break;
    }
  }

  #setLink(link: Link): void {
    const before = this.#links.get(link.index);
    if (before !== undefined && sameLink(before, link)) return;
    this.#links.set(link.index, link);
    this.#listener.link(link);
  }

  #dropLink(index: number): void {
    const link = this.#links.get(index);
    this.#links.delete(index);
    if (this.#addresses.delete(index)) this.#listener.addresses();
    if (link !== undefined) this.#listener.linkGone(link);
  }

  /** What the failed dump did not name may well be there: it is asked for again, a little later. */
  #retryDump(): void {
    if (this.#dumps.length === 0) return;
    this.#retry = setTimeout(() => this.#startDump(), RETRY_MS);
  }

  #startDump(): void {
    const next = this.#dumps[0];
    if (next === undefined) return;
    if (next === 'links') this.#seenLinks = new Set();
    else this.#seenAddresses = new Map();
    this.#route.requestDump(next);
  }

  /** What a finished dump did not name is gone. */
  #finishDump(): void {
    const done = this.#dumps.shift();
    if (done === 'links') {
      for (const index of [...this.#links.keys()]) if (!this.#seenLinks.has(index)) this.#dropLink(index);
    } else if (done === 'addresses') {
      let changed = false;
      for (const [index, addresses] of this.#addresses)
        for (const address of addresses)
          if (!this.#seenAddresses.get(index)?.has(address)) changed = addresses.delete(address) || changed;
      if (changed) this.#listener.addresses();
      this.#ready?.();
    }
    this.#startDump();
  }
}

function addTo(addresses: Map<number, Set<string>>, index: number, address: string): boolean {
  let set = addresses.get(index);
  if (set === undefined) {
    set = new Set();
    addresses.set(index, set);
  }
  if (set.has(address)) return false;
  set.add(address);
  return true;
}

function sameLink(a: Link, b: Link): boolean {
  return (
    a.name === b.name &&
    a.kind === b.kind &&
    a.slaveKind === b.slaveKind &&
    a.master === b.master &&
    a.lower === b.lower &&
    a.hardware === b.hardware &&
    a.up === b.up
  );
}
