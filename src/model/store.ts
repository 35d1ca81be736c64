// Everything that a source has told, and which Services a change touches. A change is cheap; the work is done later, once
// for all changes that have come together until then.

import type { EndpointSlice } from './endpoint.js';
import type { Node } from './node.js';
import { type PackedSlice, SlicePacker, sameStrings, unpackSlice } from './packed-slice.js';
import { type Service, type ServiceName, serviceName } from './service.js';

const NO_SLICES: readonly EndpointSlice[] = Object.freeze([]);
const NO_PACKED: readonly PackedSlice[] = Object.freeze([]);
const NO_NAMES: ReadonlySet<ServiceName> = new Set();

export class ModelStore {
  readonly #services = new Map<ServiceName, Service>();
  readonly #slices = new Map<string, PackedSlice>();
  /** Nearly every Service has one slice or a few: a list takes a fifth of a map's memory. */
  readonly #slicesOf = new Map<ServiceName, readonly PackedSlice[]>();
  readonly #packer = new SlicePacker();
  #node: Node | undefined;
  #serviceRanges: readonly string[] = [];
  #dirty = new Set<ServiceName>();

  /** This node's own object; undefined where it does not exist. */
  get node(): Node | undefined {
    return this.#node;
  }

  /** CIDRs from which cluster IPs are taken. */
  get serviceRanges(): readonly string[] {
    return this.#serviceRanges;
  }

  get serviceCount(): number {
    return this.#services.size;
  }

  service(name: ServiceName): Service | undefined {
    return this.#services.get(name);
  }

  services(): Iterable<Service> {
    return this.#services.values();
  }

  /** The Service's slices, in no particular order. */
  slices(name: ServiceName): readonly EndpointSlice[] {
    const slices = this.#slicesOf.get(name);
    return slices === undefined ? NO_SLICES : slices.map(unpackSlice);
  }

  updateService(name: ServiceName, service: Service | undefined): void {
    if (service === undefined) {
      if (!this.#services.delete(name)) return;
    } else {
      this.#services.set(name, service);
    }
    this.#dirty.add(name);
  }

  /**
   * Touches the Service that the slice names, and the one that it named before.
   * @param id the slice's `namespace/name`
   */
  updateSlice(id: string, slice: EndpointSlice | undefined): void {
    const before = this.#slices.get(id);
    if (before !== undefined) this.#dropSlice(before);
    if (slice === undefined) {
      this.#slices.delete(id);
      return;
    }
    const packed = this.#packer.pack(slice);
    this.#slices.set(id, packed);
    this.#slicesOf.set(slice.service, (this.#slicesOf.get(slice.service) ?? NO_PACKED).concat(packed));
    this.#touch(slice.service);
  }

  /**
   * Node objects change every few seconds (heartbeats): only what compile looks at counts.
   * @returns whether anything of interest changed; every Service is touched then
   */
  updateNode(node: Node | undefined): boolean {
    if (sameNode(this.#node, node)) return false;
    this.#node = node;
    this.touchAll();
    return true;
  }

  /** @returns whether the ranges changed; no Service depends on them. */
  updateServiceRanges(cidrs: readonly string[]): boolean {
    if (sameStrings(this.#serviceRanges, cidrs)) return false;
    this.#serviceRanges = [...cidrs];
    return true;
  }

  /** Everything is to be compiled anew: this node's addresses or the configuration changed. */
  touchAll(): void {
    for (const name of this.#services.keys()) this.#dirty.add(name);
  }

  /** Hands out the Services to be compiled anew, those that are gone included, and starts a new set. */
  take(): ReadonlySet<ServiceName> {
    if (this.#dirty.size === 0) return NO_NAMES;
    const dirty = this.#dirty;
    this.#dirty = new Set();
    return dirty;
  }

  #dropSlice(slice: PackedSlice): void {
    const { service } = slice;
    const others = this.#slicesOf.get(service)?.filter((other) => other !== slice) ?? [];
    if (others.length === 0) this.#slicesOf.delete(service);
    else this.#slicesOf.set(service, others);
    this.#touch(service);
  }

  /** Slices of Services that are not there (yet) touch nothing: the Service touches itself when it comes. */
  #touch(name: ServiceName): void {
    if (this.#services.has(name)) this.#dirty.add(name);
  }
}

/** @returns the identity of a slice as `updateSlice` takes it. */
export function sliceId(slice: EndpointSlice): string {
  return serviceName(slice);
}

function sameNode(a: Node | undefined, b: Node | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.name === b.name &&
    a.zone === b.zone &&
    sameStrings(a.podCIDRs, b.podCIDRs) &&
    a.addresses.length === b.addresses.length &&
    a.addresses.every((x, i) => x.type === b.addresses[i]!.type && x.address === b.addresses[i]!.address)
  );
}
