/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * forward.h - the walk of a packet from a client, on the ingress of the device
 * that it comes in by: gate, flow, frontend, endpoint, rewrite.
 */
#ifndef PORTOLAN_FORWARD_H
#define PORTOLAN_FORWARD_H

#include "fragment.h"
#include "icmp.h"
#include "serve.h"

/* To the backend; `flow` is the forward entry, or a copy. */
PL_INLINE enum pl_reason pl_forward_rewrite(struct __sk_buff *skb,
					    const struct pl_packet *packet,
					    const struct pl_flow *flow)
{
	if (flow->flags & PL_FLOW_MASQ)
		skb->mark |= settings.masquerade_mark;
	if (pl_nat_rewrite(skb, packet, PL_SIDE_DST, &flow->nat_addr, flow->client_port,
			   flow->nat_port))
		return PL_DROP_NAT_FAILED;
	return PL_NONE;
}

/* The same out of line: one copy for the slow path, with a stack of its own. */
static __noinline enum pl_reason pl_forward_rewrite_slow(struct __sk_buff *skb,
							 const struct pl_packet *packet,
							 const struct pl_flow *flow)
{
	return pl_forward_rewrite(skb, packet, flow);
}

/* What nothing serves: an active cluster IP says so, anything else is not ours. */
PL_INLINE enum pl_reason pl_forward_unserved(const struct pl_packet *packet,
					     const struct pl_address *address)
{
	if (!(address->flags & PL_ADDR_CLUSTER_IP) || !pl_setting(PL_SET_REJECT_UNKNOWN_PORTS))
		return PL_NONE;
	if (pl_is_icmp(packet) && !pl_is_icmp_request(packet))
		return PL_NONE;
	return PL_REJECT_NO_FRONTEND;
}

/* May this packet open a flow to the frontend? */
PL_INLINE enum pl_reason pl_forward_admit(const struct pl_packet *packet,
					  const struct pl_frontend *fe)
{
	if (!pl_source_allowed(fe, &packet->tuple.src))
		return PL_DROP_SOURCE_RANGE;
	if (packet->tuple.proto == IPPROTO_TCP && !pl_is_syn(packet))
		return PL_RESET_UNKNOWN_FLOW;
	return PL_NONE;
}

/* No entry, or one that stands no more (`old`). */
PL_INLINE enum pl_reason pl_forward_new(struct __sk_buff *skb, struct pl_scratch *slow,
					const struct pl_address *address,
					const struct pl_flow *old)
{
	const struct pl_packet *packet = &slow->packet;
	struct pl_frontend *fe = pl_frontend_find(packet);
	enum pl_reason reason;

	/* Another proxy's: its flows live until they end. */
	if (pl_setting(PL_SET_TAKEOVER) && packet->tuple.proto == IPPROTO_TCP &&
	    !pl_is_syn(packet))
		return PL_NONE;
	if (!fe)
		return pl_forward_unserved(packet, address);
	if (fe->flags & PL_FE_LOCALHOST)
		return PL_NONE;
	/* The node's own address: this may be the reply to a flow that the CNI
	 * masquerades, whose port happens to be a node port. The stack knows, and
	 * answers with a reset itself what belongs to nobody. */
	if (fe->kind == PL_KIND_NODE_PORT && packet->tuple.proto == IPPROTO_TCP &&
	    !pl_is_syn(packet))
		return PL_NONE;
	reason = pl_forward_admit(packet, fe);
	if (reason == PL_NONE) {
		if (old)
			pl_flow_forget(&packet->tuple, old);
		reason = pl_flow_decide(skb, slow, fe);
	}
	if (reason != PL_NONE && reason != PL_FLOW_COLLISION) {
		pl_count_refused(fe->service, reason);
		return reason;
	}
	if (!slow->flow.nat_port)
		return PL_NONE;
	if (pl_forward_rewrite_slow(skb, packet, &slow->flow))
		return PL_DROP_NAT_FAILED;
	return old && packet->tuple.proto == IPPROTO_UDP ? PL_FLOW_RESELECTED : reason;
}

/* All but the packets of confirmed connections: is there an entry, and does it stand? */
static __noinline enum pl_reason pl_forward_slow(struct __sk_buff *skb, struct pl_scratch *slow,
						 const struct pl_address *address,
						 struct pl_flow *flow, bool confirmed)
{
	enum pl_reason reason = PL_NONE;

	if (!flow || !pl_flow_stands(&slow->packet, flow, confirmed))
		return pl_forward_new(skb, slow, address, flow);
	pl_flow_touch(flow, &slow->packet, 0);
	if (!confirmed)
		reason = pl_flow_promote(&slow->packet, flow);
	return pl_forward_rewrite_slow(skb, &slow->packet, flow) ? PL_DROP_NAT_FAILED : reason;
}

PL_INLINE enum pl_reason pl_forward_flow(struct __sk_buff *skb, struct pl_packet *packet,
					 const struct pl_address *address)
{
	struct pl_found found = pl_flow_find(&packet->tuple);
	struct pl_scratch *slow;

	if (found.flow && found.flow->flags & PL_FLOW_REPLY)
		found.flow = NULL;
	if (found.flow && found.confirmed && packet->tuple.proto == IPPROTO_TCP &&
	    !(packet->tcp_flags & PL_TCP_SYN)) {
		pl_flow_touch(found.flow, packet, 0);
		return pl_forward_rewrite(skb, packet, found.flow);
	}
	slow = pl_scratch_keep(packet);
	if (!slow)
		return PL_DROP_TABLE_FULL;
	return pl_forward_slow(skb, slow, address, found.flow, found.confirmed);
}

PL_INLINE enum pl_reason pl_forward(struct __sk_buff *skb, struct pl_packet *packet,
				    bool ethernet)
{
	const struct pl_address *address;

	if (pl_parse_network(skb, packet, ethernet))
		return PL_NONE;
	address = pl_gate(packet);
	if (!address)
		return pl_setting(PL_SET_DROP_UNALLOCATED) &&
		       pl_in_service_range(&packet->tuple.dst) ? PL_DROP_UNALLOCATED : PL_NONE;
	if (pl_parse_transport(skb, packet))
		return PL_NONE;
	if (pl_fragment_follow(packet))
		return address->flags & PL_ADDR_CLUSTER_IP ? PL_DROP_FRAGMENT : PL_NONE;
	if (pl_is_icmp(packet) && pl_is_icmp_error(packet))
		return pl_icmp_translate(skb, packet, true);
	if (!pl_has_ports(packet->tuple.proto))
		return pl_forward_unserved(packet, address);
	if (!pl_gate_has_port(address, packet->tuple.dport))
		return PL_NONE;
	return pl_forward_flow(skb, packet, address);
}

#endif /* PORTOLAN_FORWARD_H */
