/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * reject.h - turns the packet into its own refusal, an ICMP port unreachable or
 * a TCP reset from the address that it was sent to, and sends it back out of
 * the device on which it came, whatever that is: a pod's veth, a bridge's port,
 * an uplink, a tunnel without Ethernet header.
 */
#ifndef PORTOLAN_REJECT_H
#define PORTOLAN_REJECT_H

#include "refusal.h"

/* Scratch and budget; private to the object, not shared with user space. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pl_refusal);
} refusals SEC(".maps");

/* settings.reject_per_second, on each CPU. */
PL_INLINE bool pl_refusal_affordable(struct pl_refusal *refusal)
{
	__u64 now = pl_now();

	if (now - refusal->window_ns >= PL_NSEC_PER_SEC) {
		refusal->window_ns = now;
		refusal->sent = 0;
	}
	return refusal->sent++ < settings.reject_per_second;
}

/* Never to many, nor to nobody in particular (RFC 1122 section 3.2.2). */
PL_INLINE bool pl_refusal_wanted(const struct __sk_buff *skb, const struct pl_packet *packet,
				 bool ethernet)
{
	const struct pl_addr *to = &packet->tuple.src;

	/* 1: broadcast, 2: multicast. */
	if (ethernet && (skb->pkt_type == 1 || skb->pkt_type == 2))
		return false;
	if (packet->fragment == PL_FRAGMENT_LATER || pl_addr_is_loopback(to))
		return false;
	if (packet->family == 4)
		return to->b[12] && to->b[12] < 224;
	return to->b[0] != 0xff && (pl_addr_word(to, 0) | pl_addr_word(to, 3));
}

/* RFC 793 section 3.4: a reset that the sender believes. -1: answer a reset with nothing. */
PL_INLINE int pl_refuse_reset(struct __sk_buff *skb, const struct pl_packet *packet,
			      struct pl_refusal *refusal)
{
	struct tcphdr *tcp = &refusal->message.tcp;
	struct tcphdr old;

	if (pl_read(skb, packet->l4, &old) || old.rst)
		return -1;
	__builtin_memset(tcp, 0, sizeof(*tcp));
	tcp->source = old.dest;
	tcp->dest = old.source;
	tcp->doff = sizeof(*tcp) / 4;
	tcp->rst = 1;
	if (old.ack) {
		tcp->seq = old.ack_seq;
	} else {
		tcp->ack = 1;
		tcp->ack_seq = bpf_htonl(bpf_ntohl(old.seq) + old.syn + old.fin +
					 packet->end - packet->l4 - old.doff * 4);
	}
	refusal->length = sizeof(*tcp);
	refusal->proto = IPPROTO_TCP;
	return 0;
}

/* Port unreachable: RFC 792 type 3 code 3, RFC 4443 type 1 code 4. */
PL_INLINE int pl_refuse_unreachable(struct __sk_buff *skb, const struct pl_packet *packet,
				    struct pl_refusal *refusal)
{
	__u32 length = packet->end - packet->l3;

	if (length > PL_QUOTE_MAX)
		length = PL_QUOTE_MAX;
	__builtin_memset(&refusal->message, 0, sizeof(refusal->message));
	refusal->message.icmp.type = packet->family == 4 ? 3 : 1;
	refusal->message.icmp.code = packet->family == 4 ? 3 : 4;
	if (!pl_length_within(&length, PL_QUOTE_MIN, PL_QUOTE_MAX))
		return -1;
	if (bpf_skb_load_bytes(skb, packet->l3, refusal->message.icmp.quote, length))
		return -1;
	refusal->length = length + 8;
	refusal->proto = packet->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
	return 0;
}

/*
 * Answers with a reset (`reason` PL_RESET_UNKNOWN_FLOW) or port unreachable.
 *
 * Returns `reason`, for a packet that is now its own answer and is to be
 * redirected to its device; another one for a packet to be dropped; PL_NONE for
 * one to be dropped that nobody may be answered for.
 */
static __noinline enum pl_reason pl_refuse(struct __sk_buff *skb, const struct pl_packet *packet,
					   enum pl_reason reason, bool ethernet)
{
	struct pl_refusal *refusal;
	__u32 zero = 0;

	refusal = bpf_map_lookup_elem(&refusals, &zero);
	if (!refusal || !pl_refusal_wanted(skb, packet, ethernet))
		return PL_NONE;
	if (!pl_refusal_affordable(refusal))
		return PL_DROP_REJECT_LIMITED;
	if (reason == PL_RESET_UNKNOWN_FLOW ? pl_refuse_reset(skb, packet, refusal) :
					      pl_refuse_unreachable(skb, packet, refusal))
		return PL_NONE;
	if (pl_refusal_write(skb, packet, refusal) || (ethernet && pl_swap_macs(skb)))
		return PL_NONE;
	return reason;
}

#endif /* PORTOLAN_REJECT_H */
