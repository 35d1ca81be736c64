// Entries as bytes, and back. The only place that knows both the words of plans and the codecs of the layout.

import type { Addr, Codec } from '../../abi/codec.js';
import { AddressFlags, MAPS } from '../../abi/layout.gen.js';
import { familyOf, formatAddress, formatCidr, parseAddress, parseCidr, prefixBits } from '../../lib/ip.js';
import type { Bytes } from '../../native/api.js';
import type { EntryMap, MapEntry, ServiceLabel } from './entries.js';
import {
  endpointFlags,
  endpointOf,
  familyName,
  familyNumber,
  IPPROTO,
  kindName,
  kindNumber,
  protocolName,
} from './flags.js';
import type { EndpointState, ProgrammedFrontend } from './state.js';

/** Bits of the service id in front of the address in a source range's prefix. */
const SERVICE_BITS = 32;
/** Bits before an IPv4 address in its mapped form. */
const MAPPED_BITS = 96;

/** Bytes of one key and one value; per-CPU values count every possible CPU, rounded up to 8 bytes each. */
export function entrySizes(
  map: EntryMap,
  possibleCpus: number,
): { readonly key: number; readonly value: number } {
  const { keySize, valueSize } = MAPS[map];
  return { key: keySize, value: map === 'service_stats' ? perCpuSize(valueSize) * possibleCpus : valueSize };
}

/** The kernel's stride of a per-CPU value. */
export function perCpuSize(valueSize: number): number {
  return Math.ceil(valueSize / 8) * 8;
}

export function encodeKeys(entries: readonly MapEntry[], size: number): Bytes {
  const bytes = new Uint8Array(entries.length * size);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < entries.length; i++) writeKey(view, i * size, entries[i]!);
  return bytes;
}

export function encodeValues(entries: readonly MapEntry[], size: number): Bytes {
  const bytes = new Uint8Array(entries.length * size);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < entries.length; i++) writeValue(view, i * size, entries[i]!);
  return bytes;
}

function writeKey(view: DataView, at: number, entry: MapEntry): void {
  switch (entry.map) {
    case 'services':
    case 'service_stats':
      MAPS[entry.map].key.write(view, at, entry.service);
      return;
    case 'slots':
      MAPS.slots.key.write(view, at, entry);
      return;
    case 'members': {
      const { address, port } = entry.endpoint;
      MAPS.members.key.write(view, at, { set: entry.set, port, addr: addressBytes(address) });
      return;
    }
    case 'backends': {
      const { address, port } = entry.endpoint;
      MAPS.backends.key.write(view, at, { service: entry.service, port, addr: addressBytes(address) });
      return;
    }
    case 'source_ranges': {
      const cidr = parseCidr(entry.range);
      if (!cidr) throw new Error(`${entry.range} is not a CIDR`);
      const prefixlen = SERVICE_BITS + prefixBits(cidr);
      MAPS.source_ranges.key.write(view, at, {
        prefixlen,
        service: entry.service,
        addr: cidr.address,
      });
      return;
    }
    case 'addresses':
      MAPS.addresses.key.write(view, at, addressBytes(entry.address));
      return;
    case 'frontends':
      MAPS.frontends.key.write(view, at, frontendKeyValue(entry.frontend));
      return;
  }
}

function writeValue(view: DataView, at: number, entry: MapEntry): void {
  switch (entry.map) {
    case 'services':
      writeLabel(view, at, entry.label);
      return;
    case 'service_stats':
      return; // counters begin at zero, on every CPU
    case 'slots': {
      const { service, set, endpoint } = entry;
      const { address, port } = endpoint;
      const value = { addr: addressBytes(address), port, flags: endpointFlags(endpoint), set, service };
      MAPS.slots.value.write(view, at, value);
      return;
    }
    case 'members':
      MAPS.members.value.write(view, at, { index: entry.index });
      return;
    case 'backends':
      MAPS.backends.value.write(view, at, { flags: endpointFlags(entry.endpoint) });
      return;
    case 'source_ranges':
      MAPS.source_ranges.value.write(view, at, { allowed: 1 });
      return;
    case 'addresses': {
      const { portMin, portMax, clusterIP } = entry;
      const flags = clusterIP ? AddressFlags.CLUSTER_IP : 0;
      MAPS.addresses.value.write(view, at, { portMin, portMax, flags });
      return;
    }
    case 'frontends':
      writeFrontend(view, at, entry.frontend);
      return;
  }
}

function writeLabel(view: DataView, at: number, label: ServiceLabel | undefined): void {
  if (!label) throw new Error('an entry of services needs names');
  const { namespace, name, portName } = label;
  const proto = IPPROTO[label.protocol];
  MAPS.services.value.write(view, at, {
    namespace,
    name,
    portName,
    proto,
    family: familyNumber(label.family),
  });
}

function writeFrontend(view: DataView, at: number, frontend: ProgrammedFrontend): void {
  const { service, clusterSet, clusterCount, localSet, localCount, flags } = frontend;
  MAPS.frontends.value.write(view, at, {
    service,
    clusterSet,
    clusterCount,
    localSet,
    localCount,
    flags,
    affinityS: frontend.affinitySeconds,
    kind: kindNumber(frontend.kind),
  });
}

/** A key of `frontends`. */
export function frontendKeyValue(
  name: Pick<ProgrammedFrontend, 'address' | 'port' | 'protocol'>,
): CodecValue<typeof MAPS.frontends.key> {
  return { addr: addressBytes(name.address), port: name.port, proto: IPPROTO[name.protocol] };
}

/** The 16 bytes of an address. @throws Error for what is none: plans only have canonical ones. */
export function addressBytes(text: string): Addr {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(`${text} is not an address`);
  return parsed.bytes;
}

/** What a codec reads and writes. */
export type CodecValue<C> = C extends Codec<infer T> ? T : never;
type Key<M extends keyof typeof MAPS> = CodecValue<(typeof MAPS)[M]['key']>;
type Value<M extends keyof typeof MAPS> = CodecValue<(typeof MAPS)[M]['value']>;

export function decodeFrontend(key: Key<'frontends'>, value: Value<'frontends'>): ProgrammedFrontend {
  const { service, clusterSet, clusterCount, localSet, localCount, flags } = value;
  return {
    service,
    address: formatAddress(key.addr),
    port: key.port,
    protocol: protocolName(key.proto),
    kind: kindName(value.kind),
    flags,
    affinitySeconds: value.affinityS,
    clusterSet,
    clusterCount,
    localSet,
    localCount,
  };
}

export function decodeEndpoint(addr: Addr, port: number, flags: number): EndpointState {
  return endpointOf(formatAddress(addr), port, flags);
}

export function decodeLabel(value: Value<'services'>): ServiceLabel {
  const { namespace, name, portName } = value;
  return { namespace, name, portName, protocol: protocolName(value.proto), family: familyName(value.family) };
}

/** @returns the canonical CIDR; undefined where the prefix is not of a whole service id */
export function decodeRange(key: Key<'source_ranges'>): string | undefined {
  const bits = key.prefixlen - SERVICE_BITS;
  const family = familyOf(key.addr);
  const before = family === 4 ? MAPPED_BITS : 0;
  return bits < before ? undefined : formatCidr({ family, address: key.addr, prefix: bits - before });
}
