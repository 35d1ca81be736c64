// When a flow has ended, or has been silent for so long that it counts as ended. Pure. The limits are those of the
// kernel's conntrack as kube-proxy sets them (semantics.md: established TCP 24 h, CLOSE_WAIT 1 h).

import { FlowFlags } from '../../abi/layout.gen.js';
import { IPPROTO } from './flags.js';

/** Seconds without a packet in either direction after which a flow is forgotten. */
export interface FlowTimeouts {
  readonly tcpEstablishedSeconds: number;
  /** After a RST, or a FIN from both sides. */
  readonly tcpClosingSeconds: number;
  /** The far end has not answered, or half of the pair is missing. */
  readonly tcpOpeningSeconds: number;
  /** UDP and SCTP, not answered. */
  readonly udpSeconds: number;
  /** UDP and SCTP, answered. (An SCTP association sends heartbeats every 30 s.) */
  readonly udpAnsweredSeconds: number;
}

export const DEFAULT_TIMEOUTS: FlowTimeouts = {
  tcpEstablishedSeconds: 86_400,
  tcpClosingSeconds: 30,
  tcpOpeningSeconds: 60,
  udpSeconds: 30,
  udpAnsweredSeconds: 120,
};

/** A FIN from one side only: the other may still send for long. nf_conntrack_tcp_timeout_close_wait of kube-proxy. */
const HALF_CLOSED_SECONDS = 3600;
const NS_PER_SECOND = 1e9;

/** What ageing looks at in one entry of `flows`. */
export interface FlowHalf {
  /** Nanoseconds of CLOCK_MONOTONIC. */
  readonly seenNs: number;
  /** enum pl_flow_flags. */
  readonly flags: number;
}

/** Both directions of a flow; a missing one can no longer be translated. */
export interface FlowPair {
  /** IPPROTO_*. */
  readonly protocol: number;
  readonly forward: FlowHalf | undefined;
  readonly reply: FlowHalf | undefined;
}

/** Has the pair been silent for longer than its state allows? The later of both directions counts. */
export function expired(pair: FlowPair, nowNs: number, timeouts: FlowTimeouts): boolean {
  const seen = Math.max(pair.forward?.seenNs ?? 0, pair.reply?.seenNs ?? 0);
  return nowNs - seen > lifetime(pair, timeouts) * NS_PER_SECOND;
}

/** Could the flow of this entry be over, whatever its other direction says? Cheap: asked for every entry. */
export function mayHaveExpired(
  protocol: number,
  half: FlowHalf,
  nowNs: number,
  timeouts: FlowTimeouts,
): boolean {
  const idle = nowNs - half.seenNs;
  return idle > shortest(protocol, half.flags, timeouts) * NS_PER_SECOND;
}

function lifetime({ protocol, forward, reply }: FlowPair, timeouts: FlowTimeouts): number {
  const whole = forward !== undefined && reply !== undefined;
  const answered = whole && (reply.flags & FlowFlags.ANSWERED) !== 0;
  if (protocol !== IPPROTO.TCP) return answered ? timeouts.udpAnsweredSeconds : timeouts.udpSeconds;
  const one = forward?.flags ?? 0;
  const other = reply?.flags ?? 0;
  if ((one | other) & FlowFlags.RST) return timeouts.tcpClosingSeconds;
  if (one & other & FlowFlags.FIN) return timeouts.tcpClosingSeconds;
  if (!answered) return timeouts.tcpOpeningSeconds;
  if ((one | other) & FlowFlags.FIN) return Math.min(HALF_CLOSED_SECONDS, timeouts.tcpEstablishedSeconds);
  return timeouts.tcpEstablishedSeconds;
}

/** The shortest lifetime that a pair with such an entry can have, unless the other entry alone shortens it. */
function shortest(protocol: number, flags: number, timeouts: FlowTimeouts): number {
  const isReply = (flags & FlowFlags.REPLY) !== 0;
  const unanswered = isReply && (flags & FlowFlags.ANSWERED) === 0;
  if (protocol !== IPPROTO.TCP) return unanswered ? timeouts.udpSeconds : timeouts.udpAnsweredSeconds;
  if (flags & (FlowFlags.FIN | FlowFlags.RST)) return timeouts.tcpClosingSeconds;
  return unanswered ? timeouts.tcpOpeningSeconds : timeouts.tcpEstablishedSeconds;
}
