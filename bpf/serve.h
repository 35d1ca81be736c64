/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * serve.h - decides about a flow: does an old decision still stand, and what
 * is the new one? It touches no byte of the packet.
 */
#ifndef PORTOLAN_SERVE_H
#define PORTOLAN_SERVE_H

#include "conntrack.h"
#include "frontend.h"
#include "scratch.h"

/* Endpoints that are tried before the source port is changed. */
#define PL_ENDPOINT_TRIES 4
/* Source ports that are tried, from a range that clients seldom use themselves
 * (Linux takes 32768 to 60999). */
#define PL_PORT_TRIES 8
#define PL_PORT_FIRST 61000
#define PL_PORT_COUNT (65536 - PL_PORT_FIRST)

/*
 * May the packet follow the decision that its flow's entry holds? A SYN only if
 * it is the same one again and its backend still serves; UDP only if its
 * backend does, or nothing else would serve it.
 */
static __noinline int pl_flow_stands(const struct pl_packet *packet, const struct pl_flow *flow,
				     bool confirmed)
{
	bool listed;

	if (packet->tuple.proto == IPPROTO_TCP && !pl_is_syn(packet))
		return true;
	if (packet->tuple.proto == IPPROTO_SCTP)
		return true;
	listed = pl_backend_listed(flow->service, &flow->nat_addr, flow->nat_port);
	if (packet->tuple.proto == IPPROTO_UDP)
		return listed || !pl_frontend_find(packet);
	return listed && pl_flow_is_retransmitted(&packet->tuple, flow, confirmed);
}

/* semantics: masquerade what would not come back through us otherwise. */
PL_INLINE bool pl_must_masquerade(const struct pl_frontend *fe, const struct pl_client *client,
				  const struct pl_choice *choice)
{
	/* Hairpin: the backend would answer to itself. */
	if (pl_addr_equal(&client->affinity.client, &choice->addr))
		return true;
	if (fe->flags & PL_FE_MASQ)
		return !((fe->flags & PL_FE_KEEP_LOCAL_CLIENT) &&
			 (choice->endpoint_flags & PL_EP_ON_NODE));
	return (fe->flags & PL_FE_MASQ_OFF_POD) && !client->on_node;
}

/* The forward entry of a flow to the chosen endpoint. */
PL_INLINE void pl_flow_to(const struct pl_packet *packet, const struct pl_frontend *fe,
			  const struct pl_client *client, const struct pl_choice *choice,
			  struct pl_flow *flow)
{
	flow->nat_addr = choice->addr;
	flow->nat_port = choice->port;
	flow->client_port = packet->tuple.sport;
	flow->service = choice->service;
	flow->set = choice->set;
	flow->kind = fe->kind;
	flow->flags = 0;
	if (pl_must_masquerade(fe, client, choice))
		flow->flags |= PL_FLOW_MASQ;
	if (choice->endpoint_flags & PL_EP_ON_NODE)
		flow->flags |= PL_FLOW_ON_NODE;
}

/* All endpoints' reply tuples are held: the flow gets a source port of its own. */
PL_INLINE enum pl_reason pl_flow_open_elsewhere(struct pl_scratch *slow)
{
	const struct pl_packet *packet = &slow->packet;
	struct pl_flow *flow = &slow->flow;

	/* The checksum of SCTP cannot follow a changed port. */
	if (packet->tuple.proto == IPPROTO_SCTP)
		return PL_DROP_NO_SOURCE_PORT;
	flow->flags |= PL_FLOW_SPORT;
	for (int i = 0; i < PL_PORT_TRIES; i++) {
		__u16 port = PL_PORT_FIRST + bpf_get_prandom_u32() % PL_PORT_COUNT;

		flow->client_port = bpf_htons(port);
		if (!pl_flow_open(&packet->tuple, flow, &slow->reply))
			return PL_FLOW_COLLISION;
	}
	return PL_DROP_NO_SOURCE_PORT;
}

/* An endpoint for slow->client; the frontend is looked up once more if its list was replaced. */
PL_INLINE enum pl_reason pl_flow_select(struct pl_scratch *slow, const struct pl_frontend *fe,
					int attempt)
{
	enum pl_reason refused = pl_select(fe, &slow->client, attempt, &slow->choice);

	if (refused != PL_DROP_STALE_SLOT)
		return refused;
	fe = pl_frontend_find(&slow->packet);
	return fe ? pl_select(fe, &slow->client, attempt, &slow->choice) : refused;
}

/* Takes the first endpoint whose reply tuple is free. */
PL_INLINE enum pl_reason pl_flow_place(struct pl_scratch *slow, const struct pl_frontend *fe)
{
	const struct pl_packet *packet = &slow->packet;

	for (int attempt = 0; attempt < PL_ENDPOINT_TRIES; attempt++) {
		enum pl_reason refused = pl_flow_select(slow, fe, attempt);
		int error;

		if (refused)
			return refused;
		/* SCTP's checksum (CRC32c) covers the ports: another engine serves it. */
		if (packet->tuple.proto == IPPROTO_SCTP &&
		    slow->choice.port != packet->tuple.dport)
			return PL_NONE;
		pl_flow_to(packet, fe, &slow->client, &slow->choice, &slow->flow);
		error = pl_flow_open(&packet->tuple, &slow->flow, &slow->reply);
		if (!error)
			return attempt ? PL_FLOW_COLLISION : PL_NONE;
		if (error != -1)
			return PL_DROP_TABLE_FULL;
	}
	return pl_flow_open_elsewhere(slow);
}

/*
 * Chooses an endpoint for the packet's flow, and makes its entries.
 *
 * Returns PL_NONE or PL_FLOW_COLLISION: slow->flow is the forward entry, with
 * nat_port 0 where the packet is not for us to serve. Else why it is refused.
 */
static __noinline enum pl_reason pl_flow_decide(struct __sk_buff *skb, struct pl_scratch *slow,
						const struct pl_frontend *fe)
{
	enum pl_reason reason;

	slow->client.affinity.type = PL_CLIENT_ADDR;
	slow->client.affinity.client = slow->packet.tuple.src;
	slow->client.on_node = pl_is_local_pod(skb, &slow->packet.tuple.src);
	slow->flow.nat_port = 0;
	slow->flow.created_ns = slow->flow.seen_ns = pl_now();
	reason = pl_flow_place(slow, fe);
	if ((reason != PL_NONE && reason != PL_FLOW_COLLISION) || !slow->flow.nat_port)
		return reason;
	pl_remember_client(fe, &slow->client, &slow->choice);
	pl_count_served(slow->choice.service, PL_HOOK_TC);
	return reason;
}

#endif /* PORTOLAN_SERVE_H */
