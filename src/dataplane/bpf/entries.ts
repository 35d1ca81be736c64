// Entries of the maps that the agent writes, with addresses as text. encode.ts turns them into bytes.

import type { Family, Protocol } from '../../model/service.js';
import type { EndpointState, ProgrammedFrontend } from './state.js';

/** What `services` says of an id. */
export interface ServiceLabel {
  readonly namespace: string;
  readonly name: string;
  readonly portName: string;
  readonly protocol: Protocol;
  readonly family: Family;
}

export interface ServiceEntry {
  readonly map: 'services';
  readonly service: number;
  /** Undefined where only the key counts: to delete. */
  readonly label: ServiceLabel | undefined;
}

export interface StatsEntry {
  readonly map: 'service_stats';
  readonly service: number;
}

export interface SlotEntry {
  readonly map: 'slots';
  readonly set: number;
  readonly index: number;
  readonly service: number;
  readonly endpoint: EndpointState;
}

export interface MemberEntry {
  readonly map: 'members';
  readonly set: number;
  readonly index: number;
  readonly endpoint: EndpointState;
}

export interface BackendEntry {
  readonly map: 'backends';
  readonly service: number;
  readonly endpoint: EndpointState;
  /** What it replaces: what to write to take it back. */
  readonly before: EndpointState | undefined;
}

export interface SourceRangeEntry {
  readonly map: 'source_ranges';
  readonly service: number;
  /** Canonical CIDR. */
  readonly range: string;
}

export interface AddressEntry {
  readonly map: 'addresses';
  readonly address: string;
  readonly portMin: number;
  readonly portMax: number;
  readonly clusterIP: boolean;
}

export interface FrontendEntry {
  readonly map: 'frontends';
  readonly frontend: ProgrammedFrontend;
}

/** Entries that belong to one Service port; written or deleted, as the phase has it. */
export type ServiceMapEntry =
  | ServiceEntry
  | StatsEntry
  | SlotEntry
  | MemberEntry
  | BackendEntry
  | SourceRangeEntry
  | FrontendEntry;

export type MapEntry = ServiceMapEntry | AddressEntry;
export type EntryMap = MapEntry['map'];
