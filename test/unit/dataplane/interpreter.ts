// What bpf/frontend.h and bpf/select.h make of the maps, over a FakeKernel: every endpoint that a new connection can get.

import { AddressFlags, FrontendFlags, MAPS, type MapName, type Maps } from '../../../src/abi/layout.gen.js';
import { addressBytes, type CodecValue, frontendKeyValue } from '../../../src/dataplane/bpf/encode.js';
import type { FrontendName } from '../../../src/dataplane/bpf/state.js';
import { formatAddress } from '../../../src/lib/ip.js';
import type { FakeKernel } from './fake-kernel.js';

type Key<M extends MapName> = CodecValue<Maps[M]['key']>;
type Value<M extends MapName> = CodecValue<Maps[M]['value']>;

/** NONE: nothing of ours serves it; UNKNOWN-PORT: rejected as a port that an active cluster IP does not have. */
export type Verdict =
  | 'NONE'
  | 'UNKNOWN-PORT'
  | 'REJECT'
  | 'DROP'
  | 'DROP-SOURCE'
  | `STALE ${string}`
  | `to ${string}`;

export interface Client {
  readonly address: string;
  readonly onNode: boolean;
}

function lookup<M extends MapName>(kernel: FakeKernel, map: M, key: Key<M>): Value<M> | undefined {
  const definition = MAPS[map];
  const bytes = new Uint8Array(definition.keySize);
  (definition.key as { write(view: DataView, at: number, value: unknown): void }).write(
    new DataView(bytes.buffer),
    0,
    key,
  );
  const found = kernel.maps.get(map)!.get(Buffer.from(bytes).toString('hex'));
  return found && (definition.value.read(new DataView(found.value.buffer), 0) as Value<M>);
}

/** Everything that can happen to a new connection of this client now. */
export function verdicts(kernel: FakeKernel, name: FrontendName, client: Client): Set<Verdict> {
  const addr = addressBytes(name.address);
  const frontend = lookup(kernel, 'frontends', frontendKeyValue(name));
  const gate = lookup(kernel, 'addresses', addr);
  const localhost = frontend !== undefined && (frontend.flags & FrontendFlags.LOCALHOST) !== 0;
  if (!localhost) {
    if (!gate) return new Set(['NONE']);
    const unknown = (gate.flags & AddressFlags.CLUSTER_IP) !== 0;
    if (!unknown && (name.port < gate.portMin || name.port > gate.portMax)) return new Set(['NONE']);
    if (!frontend) return new Set([unknown ? 'UNKNOWN-PORT' : 'NONE']);
  }
  if (!frontend) return new Set(['NONE']);
  if (frontend.flags & FrontendFlags.SOURCE_RANGES && !allowed(kernel, frontend.service, client))
    return new Set(['DROP-SOURCE']);
  return choices(kernel, frontend, client);
}

function choices(kernel: FakeKernel, frontend: Value<'frontends'>, client: Client): Set<Verdict> {
  const { flags, service } = frontend;
  const local = flags & FrontendFlags.LOCAL && !(flags & FrontendFlags.SHORT_CIRCUIT && client.onNode);
  const set = local ? frontend.localSet : frontend.clusterSet;
  const count = local ? frontend.localCount : frontend.clusterCount;
  if (count === 0) return new Set([flags & FrontendFlags.HAS_ENDPOINTS ? 'DROP' : 'REJECT']);
  const found = new Set<Verdict>();
  for (let index = 0; index < count; index++) {
    const slot = lookup(kernel, 'slots', { set, index });
    if (!slot || slot.set !== set || slot.service !== service) {
      found.add(`STALE slot ${set}/${index}`);
      continue;
    }
    const { addr, port } = slot;
    if (!lookup(kernel, 'backends', { service, addr, port }))
      found.add(`STALE backend ${formatAddress(addr)}`);
    if (frontend.affinityS && lookup(kernel, 'members', { set, addr, port })?.index !== index)
      found.add(`STALE member ${formatAddress(addr)}`);
    found.add(`to ${formatAddress(addr)}:${port}`);
  }
  return found;
}

function allowed(kernel: FakeKernel, service: number, client: Client): boolean {
  const { key } = MAPS.source_ranges;
  const addr = addressBytes(client.address);
  for (const element of kernel.maps.get('source_ranges')!.values()) {
    const range = key.read(new DataView(element.key.buffer), 0);
    if (range.service === service && samePrefix(range.addr, addr, range.prefixlen - 32)) return true;
  }
  return false;
}

function samePrefix(a: Uint8Array, b: Uint8Array, bits: number): boolean {
  for (let bit = 0; bit < bits; bit++) {
    const mask = 0x80 >> (bit & 7);
    if ((a[bit >> 3]! & mask) !== (b[bit >> 3]! & mask)) return false;
  }
  return true;
}
