// From bytes to the packet that they mean. What encode.ts would not make of that packet again, bit by bit, is an error:
// so whatever was decoded had right lengths and checksums.

import { formatAddr } from '../../src/abi/addr.js';
import type { Bytes } from '../../src/native/api.js';
import { encode } from './encode.js';
import type { Body, Packet } from './packet.js';

const VLAN_TYPES = [0x8100, 0x88a8];
const EXTENSIONS = [0, 43, 60, 135];

function mac(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

function address(bytes: Uint8Array): string {
  if (bytes.length === 16) return formatAddr(bytes);
  return Array.from(bytes).join('.');
}

function bodyOf(protocol: number, bytes: Uint8Array): Body {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const ports = () => ({ sport: view.getUint16(0), dport: view.getUint16(2) });
  switch (protocol) {
    case 6:
      return {
        kind: 'tcp',
        ...ports(),
        flags: [...'SAPFRU'].filter((letter) => bytes[13]! & (1 << 'FSRPAU'.indexOf(letter))).join(''),
        seq: view.getUint32(4),
        ack: view.getUint32(8),
        payload: bytes.slice(20),
      };
    case 17:
      return {
        kind: 'udp',
        ...ports(),
        payload: bytes.slice(8),
        checksum: view.getUint16(6) ? 'real' : 'zero',
      };
    case 132:
      return { kind: 'sctp', ...ports(), payload: bytes.slice(12) };
    case 1:
    case 58:
      return {
        kind: 'icmp',
        type: bytes[0]!,
        code: bytes[1]!,
        rest: view.getUint32(4),
        payload: bytes.slice(8),
      };
    default:
      return { kind: 'raw', protocol, payload: bytes.slice() };
  }
}

function decodeLink(bytes: Uint8Array): { macs: Packet['macs']; vlans: number[]; offset: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const vlans: number[] = [];
  let offset = 12;
  while (VLAN_TYPES.includes(view.getUint16(offset))) {
    vlans.push(view.getUint16(offset + 2) & 0xfff);
    offset += 4;
  }
  return { macs: [mac(bytes.subarray(0, 6)), mac(bytes.subarray(6, 12))], vlans, offset: offset + 2 };
}

function decodeIp(bytes: Uint8Array): Omit<Packet, 'macs' | 'vlans'> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (bytes[0]! >> 4 === 4) {
    const header = (bytes[0]! & 15) * 4;
    return {
      src: address(bytes.subarray(12, 16)),
      dst: address(bytes.subarray(16, 20)),
      ttl: bytes[8]!,
      id: view.getUint16(4),
      dontFragment: (view.getUint16(6) & 0x4000) !== 0,
      options: bytes.slice(20, header),
      extensions: [],
      body: bodyOf(bytes[9]!, bytes.subarray(header)),
    };
  }
  const extensions: number[] = [];
  let next = bytes[6]!;
  let offset = 40;
  for (; EXTENSIONS.includes(next); offset += 8) {
    extensions.push(next);
    next = bytes[offset]!;
  }
  return {
    src: address(bytes.subarray(8, 24)),
    dst: address(bytes.subarray(24, 40)),
    ttl: bytes[7]!,
    id: 0x1234,
    dontFragment: true,
    options: new Uint8Array(0),
    extensions,
    body: bodyOf(next, bytes.subarray(offset)),
  };
}

/** A whole packet, not a fragment. @throws where lengths or checksums are wrong. */
export function decode(bytes: Bytes, ethernet = true): Packet {
  const link = ethernet ? decodeLink(bytes) : { macs: null, vlans: [], offset: 0 };
  const packet = { ...decodeIp(bytes.subarray(link.offset)), macs: link.macs, vlans: link.vlans };
  const again = encode(packet);
  if (!Buffer.from(again).equals(bytes)) {
    const at = again.findIndex((byte, i) => byte !== bytes[i]);
    throw new Error(
      `not a packet as we build it: it differs from byte ${at} on (${Buffer.from(bytes).toString('hex')})`,
    );
  }
  return packet;
}
