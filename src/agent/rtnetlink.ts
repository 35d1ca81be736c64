// rtnetlink messages (rtnetlink(7)) → links and addresses. Pure: bytes in, plain objects out.

import { formatAddress } from '../lib/ip.js';

const HEADER = 16; // struct nlmsghdr
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;

const IFLA_IFNAME = 3;
const IFLA_LINK = 5;
const IFLA_MASTER = 10;
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_SLAVE_KIND = 4;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const AF_INET = 2;
const AF_INET6 = 10;
const AF_BRIDGE = 7;
const IFF_UP = 1;
/** Attribute types carry two flags in their upper bits (NLA_F_NESTED, NLA_F_NET_BYTEORDER). */
const TYPE_MASK = 0x3fff;

/** A network device of this network namespace. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** IFLA_INFO_KIND: veth, bridge, bond, vlan, vxlan, ...; "" for physical devices and loopback. */
  readonly kind: string;
  /** What it is a slave of: bridge, bond, team, vrf; "" where it is none. */
  readonly slaveKind: string;
  /** ifindex of its master; 0: none. */
  readonly master: number;
  /** ifindex of the device below it (vlan) or of its peer (veth); 0: none. */
  readonly lower: number;
  /** ARPHRD_*: 1 Ethernet, 772 loopback, 65534 none (WireGuard, tun), 768 ipip, 776 sit. */
  readonly hardware: number;
  readonly up: boolean;
}

/** One notification, or one entry of a dump. */
export type RouteMessage =
  | { readonly type: 'link'; readonly link: Link }
  | { readonly type: 'link-gone'; readonly index: number }
  | { readonly type: 'address'; readonly index: number; readonly address: string }
  | { readonly type: 'address-gone'; readonly index: number; readonly address: string }
  | { readonly type: 'done' }
  /** The kernel refused a dump, or gave it up: there is no end of it to wait for. */
  | { readonly type: 'failed' };

/** Decodes a buffer of netlink messages; those of other types are passed over, a truncated one ends the list. */
export function parseRouteMessages(bytes: Uint8Array): RouteMessage[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const messages: RouteMessage[] = [];
  for (let at = 0; at + HEADER <= view.byteLength; ) {
    const length = view.getUint32(at, true);
    if (length < HEADER || at + length > view.byteLength) break;
    const message = parseMessage(view, at, view.getUint16(at + 4, true), at + length);
    if (message !== undefined) messages.push(message);
    at += (length + 3) & ~3;
  }
  return messages;
}

function parseMessage(view: DataView, at: number, type: number, end: number): RouteMessage | undefined {
  switch (type) {
    case NLMSG_DONE:
      return { type: 'done' };
    case NLMSG_ERROR:
      return { type: 'failed' };
    case RTM_NEWLINK:
    case RTM_DELLINK: {
      // A bridge tells of its ports by messages of its own family: leaving the bridge is no end of the device.
      if (view.getUint8(at + HEADER) === AF_BRIDGE) return undefined;
      const index = view.getInt32(at + HEADER + 4, true);
      if (type === RTM_DELLINK) return { type: 'link-gone', index };
      return { type: 'link', link: parseLink(view, at + HEADER, end) };
    }
    case RTM_NEWADDR:
    case RTM_DELADDR:
      return parseAddressMessage(view, at + HEADER, end, type === RTM_NEWADDR);
    default:
      return undefined;
  }
}

function parseLink(view: DataView, at: number, end: number): Link {
  const attributes = parseAttributes(view, at + 16, end);
  const info = attributes.get(IFLA_LINKINFO);
  const nested = info === undefined ? new Map<number, Uint8Array>() : parseNested(info);
  return {
    index: view.getInt32(at + 4, true),
    name: text(attributes.get(IFLA_IFNAME)),
    kind: text(nested.get(IFLA_INFO_KIND)),
    slaveKind: text(nested.get(IFLA_INFO_SLAVE_KIND)),
    master: number(attributes.get(IFLA_MASTER)),
    lower: number(attributes.get(IFLA_LINK)),
    hardware: view.getUint16(at + 2, true),
    up: (view.getUint32(at + 8, true) & IFF_UP) !== 0,
  };
}

function parseAddressMessage(
  view: DataView,
  at: number,
  end: number,
  added: boolean,
): RouteMessage | undefined {
  const family = view.getUint8(at);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const attributes = parseAttributes(view, at + 8, end);
  // On a point-to-point link IFA_ADDRESS is the far end and IFA_LOCAL is ours.
  const raw = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  if (raw === undefined || raw.length !== (family === AF_INET ? 4 : 16)) return undefined;
  const index = view.getUint32(at + 4, true);
  return { type: added ? 'address' : 'address-gone', index, address: formatAddress(mapped(raw)) };
}

function mapped(raw: Uint8Array): Uint8Array {
  if (raw.length === 16) return raw;
  const bytes = new Uint8Array(16);
  bytes.fill(0xff, 10, 12);
  bytes.set(raw, 12);
  return bytes;
}

function parseNested(bytes: Uint8Array): Map<number, Uint8Array> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return parseAttributes(view, 0, bytes.byteLength);
}

function parseAttributes(view: DataView, from: number, end: number): Map<number, Uint8Array> {
  const attributes = new Map<number, Uint8Array>();
  for (let at = from; at + 4 <= end; ) {
    const length = view.getUint16(at, true);
    if (length < 4 || at + length > end) break;
    attributes.set(
      view.getUint16(at + 2, true) & TYPE_MASK,
      new Uint8Array(view.buffer, view.byteOffset + at + 4, length - 4),
    );
    at += (length + 3) & ~3;
  }
  return attributes;
}

function text(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return '';
  const nul = bytes.indexOf(0);
  return String.fromCharCode(...(nul < 0 ? bytes : bytes.subarray(0, nul)));
}

function number(bytes: Uint8Array | undefined): number {
  if (bytes === undefined || bytes.length < 4) return 0;
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
}
