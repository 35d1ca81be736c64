/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * reply.h - the walk of a packet towards a client, on the egress of the device
 * that it leaves by: what comes from a backend comes from the frontend again.
 */
#ifndef PORTOLAN_REPLY_H
#define PORTOLAN_REPLY_H

#include "fragment.h"
#include "icmp.h"

/* What nobody translated must not go on to a default route. */
PL_INLINE enum pl_reason pl_reply_leak(const struct pl_packet *packet)
{
	return pl_setting(PL_SET_DROP_UNALLOCATED) &&
	       pl_in_service_range(&packet->tuple.dst) ? PL_DROP_SERVICE_LEAK : PL_NONE;
}

/* SYN-ACK: the backend has taken a connection. */
PL_INLINE bool pl_reply_opens(const struct pl_packet *packet)
{
	const __u8 both = PL_TCP_SYN | PL_TCP_ACK;

	return (packet->tcp_flags & both) == both;
}

/*
 * A client whose connection to a Service is over may use its port for one of the
 * backends next, past the Service: no hook of ours sees that SYN, and the answer
 * meets the old entry. A backend that has sent FIN or RST, or got RST, has no
 * connection under this tuple any more, so its SYN-ACK belongs to a new one.
 *
 * Returns true when that is so; the old flow's entries are gone then.
 */
static __noinline int pl_reply_is_over(const struct pl_flow_key *key, const struct pl_flow *reply)
{
	struct pl_flow_key forward = {
		.src = key->dst, .dst = reply->nat_addr, .sport = reply->client_port,
		.dport = reply->nat_port, .proto = key->proto,
	};

	if (!(reply->flags & (PL_FLOW_FIN | PL_FLOW_RST))) {
		struct pl_flow *flow = pl_flow_find(&forward).flow;

		if (!flow || !(flow->flags & PL_FLOW_RST))
			return false;
	}
	bpf_map_delete_elem(&flows, &forward);
	bpf_map_delete_elem(&opening, &forward);
	bpf_map_delete_elem(&flows, key);
	bpf_map_delete_elem(&opening, key);
	return true;
}

PL_INLINE enum pl_reason pl_reply_translate(struct __sk_buff *skb, struct pl_packet *packet)
{
	struct pl_flow *flow = NULL;

	/* A later fragment whose first one was no reply of ours is none either. */
	if (packet->fragment == PL_FRAGMENT_LATER && pl_fragment_follow(packet))
		return pl_reply_leak(packet);
	if (pl_may_be_reply(packet))
		flow = pl_flow_find(&packet->tuple).flow;
	if (!flow || !(flow->flags & PL_FLOW_REPLY))
		return pl_reply_leak(packet);
	if (pl_reply_opens(packet) && pl_reply_is_over(&packet->tuple, flow))
		return PL_NONE;
	if (packet->fragment == PL_FRAGMENT_FIRST)
		pl_fragment_follow(packet);
	pl_flow_touch(flow, packet, PL_FLOW_ANSWERED);
	if (pl_nat_rewrite(skb, packet, PL_SIDE_SRC, &flow->nat_addr, flow->nat_port,
			   flow->client_port))
		return PL_DROP_NAT_FAILED;
	return PL_NONE;
}

PL_INLINE enum pl_reason pl_reply(struct __sk_buff *skb, struct pl_packet *packet, bool ethernet)
{
	if (pl_parse_network(skb, packet, ethernet))
		return PL_NONE;
	if (pl_parse_transport(skb, packet))
		return pl_reply_leak(packet);
	if (pl_is_icmp(packet) && pl_is_icmp_error(packet))
		return pl_icmp_translate(skb, packet, false);
	if (!pl_has_ports(packet->tuple.proto))
		return pl_reply_leak(packet);
	return pl_reply_translate(skb, packet);
}

#endif /* PORTOLAN_REPLY_H */
