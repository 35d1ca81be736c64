// The few fields of flow entries that are looked at half a million times, read without making objects. Where they are is
// learnt from the codecs, so the layout is still defined in one place.

import type { Codec } from '../../abi/codec.js';
import { type Flow, type FlowKey, flowCodec, flowKeyCodec } from '../../abi/layout.gen.js';
import type { Bytes } from '../../native/api.js';

const NO_ADDRESS = new Uint8Array(16);
const KEY: FlowKey = { src: NO_ADDRESS, dst: NO_ADDRESS, sport: 0, dport: 0, proto: 0 };
const FLOW: Flow = {
  seenNs: 0n,
  createdNs: 0n,
  natAddr: NO_ADDRESS,
  natPort: 0,
  clientPort: 0,
  service: 0,
  set: 0,
  flags: 0,
  kind: 0,
};

const ONES = new Uint8Array(16).fill(0xff);
const PROTO = offsetOf(flowKeyCodec, KEY, { ...KEY, proto: 0xff });
const DST = offsetOf(flowKeyCodec, KEY, { ...KEY, dst: ONES });
const DPORT = offsetOf(flowKeyCodec, KEY, { ...KEY, dport: 0xffff });
const SEEN = offsetOf(flowCodec, FLOW, { ...FLOW, seenNs: 2n ** 64n - 1n });
const FLAGS = offsetOf(flowCodec, FLOW, { ...FLOW, flags: 0xffff });
const SERVICE = offsetOf(flowCodec, FLOW, { ...FLOW, service: 0xffff_ffff });
const WORD = 2 ** 32;

/** Where the bytes are that differ between the two values. */
function offsetOf<T>(codec: Codec<T>, a: T, b: T): number {
  const [x, y] = [new Uint8Array(codec.size), new Uint8Array(codec.size)];
  codec.write(new DataView(x.buffer), 0, a);
  codec.write(new DataView(y.buffer), 0, b);
  return x.findIndex((byte, i) => byte !== y[i]);
}

/** A dump of `flows` or `opening`, element by element. */
export class FlowDump {
  readonly count: number;
  readonly #keys: Bytes;
  readonly #keyView: DataView;
  readonly #valueView: DataView;

  constructor(dump: { readonly count: number; readonly keys: Bytes; readonly values: Bytes }) {
    this.count = dump.count;
    this.#keys = dump.keys;
    this.#keyView = new DataView(dump.keys.buffer, dump.keys.byteOffset, dump.keys.byteLength);
    this.#valueView = new DataView(dump.values.buffer, dump.values.byteOffset, dump.values.byteLength);
  }

  protocol(i: number): number {
    return this.#keyView.getUint8(i * flowKeyCodec.size + PROTO);
  }

  destinationPort(i: number): number {
    return this.#keyView.getUint16(i * flowKeyCodec.size + DPORT, false);
  }

  /** A view into the dump. */
  destination(i: number): Uint8Array {
    const at = i * flowKeyCodec.size + DST;
    return this.#keys.subarray(at, at + 16);
  }

  /** Nanoseconds; above 104 days of uptime exact to a few. */
  seenNs(i: number): number {
    return nanoseconds(this.#valueView, i * flowCodec.size + SEEN);
  }

  flags(i: number): number {
    return this.#valueView.getUint16(i * flowCodec.size + FLAGS, true);
  }

  service(i: number): number {
    return this.#valueView.getUint32(i * flowCodec.size + SERVICE, true);
  }

  /** A copy: it is handed to the kernel. */
  keyBytes(i: number): Bytes {
    return this.#keys.slice(i * flowKeyCodec.size, (i + 1) * flowKeyCodec.size);
  }

  key(i: number): FlowKey {
    return flowKeyCodec.read(this.#keyView, i * flowKeyCodec.size);
  }

  flow(i: number): Flow {
    return flowCodec.read(this.#valueView, i * flowCodec.size);
  }
}

function nanoseconds(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * WORD + view.getUint32(at, true);
}

/** The tuple that the backend's packets have, of a forward entry. As pl_reply_key() of bpf/conntrack.h. */
export function replyKey(key: FlowKey, flow: Flow): FlowKey {
  return { src: flow.natAddr, dst: key.src, sport: flow.natPort, dport: flow.clientPort, proto: key.proto };
}

/** The tuple that the client's packets have, of a reply entry. */
export function forwardKey(key: FlowKey, flow: Flow): FlowKey {
  return { src: key.dst, dst: flow.natAddr, sport: flow.clientPort, dport: flow.natPort, proto: key.proto };
}
