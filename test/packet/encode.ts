// From a packet as a value to its bytes, with lengths and checksums computed from nothing: what a program made by
// incremental updates must come out the same.

import { parseAddr } from '../../src/abi/addr.js';
import type { Bytes } from '../../src/native/api.js';
import { type Body, isIp6, type Packet } from './packet.js';

const FLAGS = 'FSRPAU';
const PROTOCOLS = { tcp: 6, udp: 17, sctp: 132 } as const;
const IP4_HEADER = 20;
const IP6_HEADER = 40;
const FRAGMENT_HEADER = 44;

/** One's complement sum of 16-bit words (RFC 1071). */
export function onesSum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 2) sum += (part[i]! << 8) | (part[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

export function concat(...parts: readonly Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    all.set(part, offset);
    offset += part.length;
  }
  return all;
}

export function addressBytes(address: string): Uint8Array {
  const bytes = parseAddr(address);
  return address.includes(':') ? bytes : bytes.subarray(12);
}

export function pseudoHeader(src: string, dst: string, protocol: number, length: number): Uint8Array {
  const tail = new Uint8Array(src.includes(':') ? 8 : 4);
  const view = new DataView(tail.buffer);
  if (tail.length === 8) view.setUint32(0, length);
  else view.setUint16(2, length);
  tail[tail.length === 8 ? 7 : 1] = protocol;
  return concat(addressBytes(src), addressBytes(dst), tail);
}

/** Number of the protocol, as the IP header or the last extension has it. */
export function protocolOf(packet: Packet): number {
  const body = packet.body;
  if (body.kind === 'raw') return body.protocol;
  if (body.kind === 'icmp') return isIp6(packet) ? 58 : 1;
  return PROTOCOLS[body.kind];
}

/** CRC32c (RFC 9260 appendix A), the checksum of SCTP. */
function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}

function header(body: Body): Uint8Array {
  const bytes = new Uint8Array({ tcp: 20, udp: 8, sctp: 12, icmp: 8, raw: 0 }[body.kind]);
  const view = new DataView(bytes.buffer);
  if ('sport' in body) {
    view.setUint16(0, body.sport);
    view.setUint16(2, body.dport);
  }
  if (body.kind === 'tcp') {
    view.setUint32(4, body.seq);
    view.setUint32(8, body.ack);
    bytes[12] = 5 << 4;
    bytes[13] = [...body.flags].reduce((flags, letter) => flags | (1 << FLAGS.indexOf(letter)), 0);
    if (!body.flags.includes('R')) view.setUint16(14, 65535);
  }
  if (body.kind === 'udp') view.setUint16(4, 8 + body.payload.length);
  if (body.kind === 'icmp') {
    bytes[0] = body.type;
    bytes[1] = body.code;
    view.setUint32(4, body.rest);
  }
  return bytes;
}

/** Everything after the IP header and its extensions, checksummed. */
export function encodeBody(packet: Packet): Bytes {
  const { body } = packet;
  const bytes = concat(header(body), body.payload);
  const view = new DataView(bytes.buffer);
  const covered =
    body.kind === 'icmp' && !isIp6(packet)
      ? new Uint8Array(0)
      : pseudoHeader(packet.src, packet.dst, protocolOf(packet), bytes.length);
  const sum = ~onesSum(covered, bytes) & 0xffff;
  if (body.kind === 'tcp') view.setUint16(16, sum);
  if (body.kind === 'icmp') view.setUint16(2, sum);
  if (body.kind === 'udp' && body.checksum === 'real') view.setUint16(6, sum || 0xffff);
  if (body.kind === 'sctp') view.setUint32(8, crc32c(bytes), true);
  return bytes;
}

export interface Piece {
  /** Offset of this fragment in bytes; a multiple of 8. */
  readonly offset: number;
  readonly more: boolean;
  readonly id: number;
}

function encodeIp4(packet: Packet, payload: Uint8Array, piece?: Piece): Bytes {
  const length = IP4_HEADER + packet.options.length;
  const bytes = concat(new Uint8Array(IP4_HEADER), packet.options, payload);
  const view = new DataView(bytes.buffer);
  bytes[0] = 0x40 | (length / 4);
  view.setUint16(2, bytes.length);
  view.setUint16(4, piece?.id ?? packet.id);
  const flags = piece ? (piece.more ? 0x2000 : 0) | (piece.offset / 8) : packet.dontFragment ? 0x4000 : 0;
  view.setUint16(6, flags);
  bytes[8] = packet.ttl;
  bytes[9] = protocolOf(packet);
  bytes.set(addressBytes(packet.src), 12);
  bytes.set(addressBytes(packet.dst), 16);
  view.setUint16(10, ~onesSum(bytes.subarray(0, length)) & 0xffff);
  return bytes;
}

function encodeExtensions(packet: Packet, piece?: Piece): { first: number; bytes: Uint8Array } {
  const types = [...packet.extensions, ...(piece ? [FRAGMENT_HEADER] : [])];
  const chain = types.map((type, i) => {
    const bytes = new Uint8Array(8);
    bytes[0] = types[i + 1] ?? protocolOf(packet);
    const view = new DataView(bytes.buffer);
    if (type === FRAGMENT_HEADER && piece) {
      view.setUint16(2, piece.offset | (piece.more ? 1 : 0));
      view.setUint32(4, piece.id);
    } else if (type === 43) bytes[2] = 253;
    else bytes.set([1, 4], 2); // PadN
    return bytes;
  });
  return { first: types[0] ?? protocolOf(packet), bytes: concat(...chain) };
}

function encodeIp6(packet: Packet, payload: Uint8Array, piece?: Piece): Bytes {
  const extensions = encodeExtensions(packet, piece);
  const bytes = concat(new Uint8Array(IP6_HEADER), extensions.bytes, payload);
  bytes[0] = 0x60;
  new DataView(bytes.buffer).setUint16(4, bytes.length - IP6_HEADER);
  bytes[6] = extensions.first;
  bytes[7] = packet.ttl;
  bytes.set(addressBytes(packet.src), 8);
  bytes.set(addressBytes(packet.dst), 24);
  return bytes;
}

/** The IP packet alone, as an ICMP error quotes it. */
export function encodeIp(packet: Packet, payload: Uint8Array = encodeBody(packet), piece?: Piece): Bytes {
  return isIp6(packet) ? encodeIp6(packet, payload, piece) : encodeIp4(packet, payload, piece);
}

function macBytes(mac: string): Uint8Array {
  return Uint8Array.from(mac.split(':'), (byte) => Number.parseInt(byte, 16));
}

function encodeLink(packet: Packet): Uint8Array {
  if (!packet.macs) return new Uint8Array(0);
  const type = isIp6(packet) ? [0x86, 0xdd] : [0x08, 0x00];
  const tags = packet.vlans.map((vlan, i) => {
    const outer = i === 0 && packet.vlans.length > 1;
    return Uint8Array.from([...(outer ? [0x88, 0xa8] : [0x81, 0x00]), vlan >> 8, vlan & 0xff]);
  });
  return concat(macBytes(packet.macs[0]), macBytes(packet.macs[1]), ...tags, Uint8Array.from(type));
}

export function encode(packet: Packet): Bytes {
  return concat(encodeLink(packet), encodeIp(packet));
}

/** The packet in fragments of at most `size` bytes (a multiple of 8) after the IP headers. */
export function encodeFragments(packet: Packet, size: number, id = 0x7777): Bytes[] {
  const payload = encodeBody(packet);
  const fragments: Bytes[] = [];
  for (let offset = 0; offset < payload.length; offset += size) {
    const piece = { offset, more: offset + size < payload.length, id };
    fragments.push(
      concat(encodeLink(packet), encodeIp(packet, payload.subarray(offset, offset + size), piece)),
    );
  }
  return fragments;
}
