// Packets as plain values: what a test means, before encode.ts makes bytes of it. Changing one is a spread away:
// `to(packet, '10.244.1.9:8080')` is what a DNAT must make of it, checksums and all.

/** `10.0.0.1:80` or `[fd00::1]:80`. */
export type Endpoint = string;

export type Body =
  | {
      readonly kind: 'tcp';
      readonly sport: number;
      readonly dport: number;
      /** Letters of SFRPA. */
      readonly flags: string;
      readonly seq: number;
      readonly ack: number;
      readonly payload: Uint8Array;
    }
  | {
      readonly kind: 'udp';
      readonly sport: number;
      readonly dport: number;
      readonly payload: Uint8Array;
      /** Zero means that there is none (RFC 768). */
      readonly checksum: 'real' | 'zero';
    }
  | { readonly kind: 'sctp'; readonly sport: number; readonly dport: number; readonly payload: Uint8Array }
  | {
      readonly kind: 'icmp';
      readonly type: number;
      readonly code: number;
      /** The four bytes after the checksum. */
      readonly rest: number;
      readonly payload: Uint8Array;
    }
  | { readonly kind: 'raw'; readonly protocol: number; readonly payload: Uint8Array };

export interface Packet {
  readonly src: string;
  readonly dst: string;
  readonly ttl: number;
  readonly body: Body;
  /** Destination and source; null on a device without Ethernet header. */
  readonly macs: readonly [dst: string, src: string] | null;
  /** Tags in the packet, outer first. */
  readonly vlans: readonly number[];
  /** IPv4 options, a multiple of 4 bytes. */
  readonly options: Uint8Array;
  /** Types of IPv6 extension headers before the body: 0, 43, 60 or 135, 8 bytes each. */
  readonly extensions: readonly number[];
  /** IPv4 identification. */
  readonly id: number;
  readonly dontFragment: boolean;
}

export const CLIENT_MAC = '02:00:00:00:00:c1';
export const NODE_MAC = '02:00:00:00:00:0a';

export function splitHost(endpoint: Endpoint): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(endpoint);
  if (!match) throw new Error(`not an address and port: ${endpoint}`);
  return { host: match[1] ?? match[2]!, port: Number(match[3]) };
}

export function joinHost(host: string, port: number): Endpoint {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

export function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}

function packet(src: string, dst: string, body: Body): Packet {
  return {
    src,
    dst,
    ttl: 63,
    body,
    macs: [NODE_MAC, CLIENT_MAC],
    vlans: [],
    options: new Uint8Array(0),
    extensions: [],
    id: 0x1234,
    dontFragment: true,
  };
}

export function tcp(from: Endpoint, dst: Endpoint, flags: string, payload: string | Uint8Array = ''): Packet {
  const source = splitHost(from);
  const target = splitHost(dst);
  return packet(source.host, target.host, {
    kind: 'tcp',
    sport: source.port,
    dport: target.port,
    flags,
    seq: 0x01020304,
    ack: flags.includes('A') ? 0x0a0b0c0d : 0,
    payload: typeof payload === 'string' ? text(payload) : payload,
  });
}

export function udp(from: Endpoint, dst: Endpoint, payload: string | Uint8Array = 'query'): Packet {
  const source = splitHost(from);
  const target = splitHost(dst);
  return packet(source.host, target.host, {
    kind: 'udp',
    sport: source.port,
    dport: target.port,
    payload: typeof payload === 'string' ? text(payload) : payload,
    checksum: 'real',
  });
}

export function sctp(from: Endpoint, dst: Endpoint): Packet {
  const source = splitHost(from);
  const target = splitHost(dst);
  return packet(source.host, target.host, {
    kind: 'sctp',
    sport: source.port,
    dport: target.port,
    payload: text('chunks of SCTP..'),
  });
}

export function icmp(
  src: string,
  dst: string,
  type: number,
  code: number,
  payload: Uint8Array,
  rest = 0,
): Packet {
  return packet(src, dst, { kind: 'icmp', type, code, rest, payload });
}

/** Echo request: type 8, or 128 in IPv6. */
export function ping(src: string, dst: string): Packet {
  return icmp(src, dst, src.includes(':') ? 128 : 8, 0, text('abcdefgh'), 0x00010001);
}

/** Port unreachable about `quoted`, the bytes of an IP packet. */
export function portUnreachable(src: string, dst: string, quoted: Uint8Array): Packet {
  return src.includes(':') ? icmp(src, dst, 1, 4, quoted) : icmp(src, dst, 3, 3, quoted);
}

function withPorts(body: Body, ports: { sport?: number; dport?: number }): Body {
  return 'sport' in body ? { ...body, ...ports } : body;
}

/** The same packet to another endpoint: what DNAT must make of it. */
export function to(of: Packet, endpoint: Endpoint): Packet {
  const { host, port } = splitHost(endpoint);
  return { ...of, dst: host, body: withPorts(of.body, { dport: port }) };
}

/** The same packet from another endpoint. */
export function from(of: Packet, endpoint: Endpoint): Packet {
  const { host, port } = splitHost(endpoint);
  return { ...of, src: host, body: withPorts(of.body, { sport: port }) };
}

export function sourceOf(of: Packet): Endpoint {
  return joinHost(of.src, 'sport' in of.body ? of.body.sport : 0);
}

export function destinationOf(of: Packet): Endpoint {
  return joinHost(of.dst, 'dport' in of.body ? of.body.dport : 0);
}

/** What the far end answers: tuple turned round, with flags of its own. */
export function reply(of: Packet, flags = 'SA', payload = ''): Packet {
  const back = { ...from(to(of, sourceOf(of)), destinationOf(of)), ttl: 64, id: 0x4321 };
  if (back.body.kind === 'tcp') {
    return {
      ...back,
      body: { ...back.body, flags, seq: 0x55667788, ack: 0x01020305, payload: text(payload) },
    };
  }
  return back;
}

/** On a device without Ethernet header. */
export function bare(of: Packet): Packet {
  return { ...of, macs: null };
}

export function isIp6(of: Packet): boolean {
  return of.src.includes(':');
}
