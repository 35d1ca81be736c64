/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * icmp.h - ICMP errors about a translated flow quote a packet that its receiver
 * has never sent: the quote, and the addresses around it, are translated, too
 * (RFC 5508 section 7). Without that, path MTU discovery through a Service
 * fails, and so does the news of a closed UDP port.
 */
#ifndef PORTOLAN_ICMP_H
#define PORTOLAN_ICMP_H

#include "conntrack.h"
#include "nat.h"
#include "parse.h"

#define PL_ICMP_HLEN 8
#define PL_ICMP6_ECHO_REQUEST 128
#define PL_ICMP6_ECHO_REPLY 129

/* RFC 792, RFC 4443: an error quotes a packet and is never answered. */
PL_INLINE bool pl_is_icmp_error(const struct pl_packet *packet)
{
	__u8 type = packet->icmp_type;

	if (packet->family == 6)
		return type < 128;
	return (type >= 3 && type <= 5) || type == 11 || type == 12;
}

/* Echo and the like; not what IPv6 itself needs (neighbour discovery, MLD). */
PL_INLINE bool pl_is_icmp_request(const struct pl_packet *packet)
{
	if (packet->family == 6)
		return packet->icmp_type == PL_ICMP6_ECHO_REQUEST ||
		       packet->icmp_type == PL_ICMP6_ECHO_REPLY;
	return !pl_is_icmp_error(packet);
}

/* The packet that the error quotes, or as much of it as there is. */
PL_INLINE int pl_parse_quote(struct __sk_buff *skb, const struct pl_packet *packet,
			     struct pl_packet *quote)
{
	quote->l3 = packet->l4 + PL_ICMP_HLEN;
	if (packet->family == 4 ? pl_parse_ip4(skb, quote) :
				  pl_parse_ip6(skb, quote) || pl_parse_extensions(skb, quote))
		return -1;
	if (quote->end > packet->end)
		quote->end = packet->end;
	if (quote->fragment == PL_FRAGMENT_LATER || !pl_has_ports(quote->tuple.proto))
		return -1;
	return pl_parse_ports(skb, quote);
}

/* The quote's own transport checksum, if the quote reaches so far. */
PL_INLINE long pl_quote_checksum(struct __sk_buff *skb, const struct pl_packet *quote,
				 __u64 change, __u64 *diff)
{
	bool udp = quote->tuple.proto == IPPROTO_UDP;
	__u32 at = quote->l4 + (udp ? 6 : 16);
	__u16 old, new;

	if (quote->tuple.proto == IPPROTO_SCTP || at + sizeof(old) > quote->end)
		return 0;
	if (pl_read(skb, at, &old))
		return -1;
	if (udp && !old)
		return 0;
	new = ~pl_fold((__u64)(__u16)~old + change);
	if (udp && !new)
		new = 0xffff;
	*diff += (__u16)~old + (__u64)new;
	return bpf_skb_store_bytes(skb, at, &new, sizeof(new), 0);
}

/* Puts address and ports into the quote; *diff is what that changes in the sum. */
PL_INLINE long pl_quote_rewrite(struct __sk_buff *skb, const struct pl_packet *quote,
				enum pl_side side, const struct pl_addr *addr,
				__u32 ports, __u64 *diff)
{
	const struct pl_addr *old = side == PL_SIDE_SRC ? &quote->tuple.src : &quote->tuple.dst;
	__u32 from = pl_ports_word(quote->tuple.sport, quote->tuple.dport);
	__u32 addr_diff = pl_addr_diff(old, addr);
	__u64 ports_diff = (__u64)(__u32)~from + ports;
	long error;

	*diff = ports_diff;
	if (quote->family == 4) {
		/* The quoted header's checksum takes back what its address adds. */
		error = pl_nat_write4(skb, quote, side, addr, addr_diff, ports, true);
	} else {
		error = pl_nat_write6(skb, quote, side, addr, ports, true, 0);
		*diff += addr_diff;
	}
	return error ? error : pl_quote_checksum(skb, quote, addr_diff + ports_diff, diff);
}

/* The address around the quote. */
PL_INLINE long pl_icmp_readdress(struct __sk_buff *skb, const struct pl_packet *packet,
				 enum pl_side side, const struct pl_addr *addr)
{
	const struct pl_addr *old = side == PL_SIDE_SRC ? &packet->tuple.src : &packet->tuple.dst;
	__u32 diff = pl_addr_diff(old, addr);
	long error;

	if (packet->family == 4)
		return pl_nat_write4(skb, packet, side, addr, diff, 0, false);
	error = pl_nat_write6(skb, packet, side, addr, 0, false, BPF_F_RECOMPUTE_CSUM);
	return error ? error : bpf_l4_csum_replace(skb, packet->l4 + 2, 0, diff,
						   BPF_F_PSEUDO_HDR);
}

/*
 * On ingress the quote is the reply that the client saw, {frontend to client}:
 * back to {backend to client}, and on to the backend. On egress it is what the
 * backend saw, {client to backend}: back to {client to frontend}, and when the
 * backend itself says so, it says it as the frontend.
 *
 * Returns PL_NONE also for errors about flows that are not ours.
 */
static __noinline int pl_icmp_translate(struct __sk_buff *skb, const struct pl_packet *packet,
					bool ingress)
{
	enum pl_side quoted = ingress ? PL_SIDE_SRC : PL_SIDE_DST;
	enum pl_side around = ingress ? PL_SIDE_DST : PL_SIDE_SRC;
	struct pl_packet quote = {};
	struct pl_flow_key key;
	struct pl_flow flow;
	struct pl_found found;
	__u64 diff;
	__u32 ports;
	bool readdress;

	if (packet->fragment != PL_FRAGMENT_NONE || pl_parse_quote(skb, packet, &quote))
		return PL_NONE;
	pl_tuple_reverse(&quote.tuple, &key);
	found = pl_flow_find(&key);
	if (!found.flow || !(found.flow->flags & PL_FLOW_REPLY) != ingress)
		return PL_NONE;
	flow = *found.flow;
	ports = ingress ? pl_ports_word(flow.nat_port, flow.client_port) :
			  pl_ports_word(flow.client_port, flow.nat_port);
	readdress = ingress ? pl_addr_equal(&packet->tuple.dst, &quote.tuple.src) :
			      pl_addr_equal(&packet->tuple.src, &quote.tuple.dst);
	if (ingress && !readdress)
		return PL_NONE;
	if (pl_quote_rewrite(skb, &quote, quoted, &flow.nat_addr, ports, &diff) ||
	    bpf_l4_csum_replace(skb, packet->l4 + 2, 0, pl_fold(diff), 0) ||
	    (readdress && pl_icmp_readdress(skb, packet, around, &flow.nat_addr)))
		return PL_DROP_NAT_FAILED;
	if (flow.flags & PL_FLOW_MASQ)
		skb->mark |= settings.masquerade_mark;
	return PL_NONE;
}

#endif /* PORTOLAN_ICMP_H */
