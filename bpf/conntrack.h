/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * conntrack.h - what has been decided about a flow: find it, keep it alive,
 * move it to `flows` once both ends have spoken, forget it. How a decision is
 * made is in serve.h.
 *
 * `flows` is never evicted, so nothing may enter it that one end alone can make
 * up: a flow starts in `opening` (LRU) and moves when the client goes on after
 * an answer. Its two entries there are then marked PL_FLOW_CONFIRMED: stale.
 */
#ifndef PORTOLAN_CONNTRACK_H
#define PORTOLAN_CONNTRACK_H

#include "packet.h"

/* How exact seen_ns is: a write a second, not one a packet. */
#define PL_SEEN_STEP_NS PL_NSEC_PER_SEC
/* An opening flow that nothing has answered for so long holds its tuple no more. */
#define PL_OPENING_NS (60 * PL_NSEC_PER_SEC)
/* So long after the first one, another SYN may be its late twin. */
#define PL_SYN_TWIN_NS (3 * PL_NSEC_PER_SEC)
/* How long `flows` is left alone after it has been found full. */
#define PL_FULL_PAUSE_NS PL_NSEC_PER_SEC

/*
 * The clock as of this tick, for all CPUs: reading the tick is one load (the
 * verifier inlines the helper), while even the coarse clock costs a call. Whoever
 * comes first in a tick refreshes it.
 */
struct {
	__u64 jiffies;
	__u64 now;
} tick;

PL_INLINE __u64 pl_now_cached(void)
{
	__u64 jiffies = bpf_jiffies64();

	if (tick.jiffies != jiffies) {
		tick.now = pl_now();
		tick.jiffies = jiffies;
	}
	return tick.now;
}

struct pl_found {
	struct pl_flow *flow;	/* NULL: none */
	bool confirmed;		/* it is in `flows` */
};

/* When `flows` may be tried again; all CPUs share it, races are harmless. */
__u64 flows_full_until;

PL_INLINE struct pl_flow *pl_opening_find(const struct pl_flow_key *key)
{
	struct pl_flow *flow = bpf_map_lookup_elem(&opening, key);

	return flow && !(flow->flags & PL_FLOW_CONFIRMED) ? flow : NULL;
}

/* The entry under this tuple, of either direction. */
PL_INLINE struct pl_found pl_flow_find(const struct pl_flow_key *key)
{
	struct pl_found found = { .flow = bpf_map_lookup_elem(&flows, key) };

	found.confirmed = found.flow;
	if (!found.flow)
		found.flow = pl_opening_find(key);
	return found;
}

/* The tuple of the replies to a forward entry. */
PL_INLINE void pl_reply_key(const struct pl_flow_key *forward, const struct pl_flow *flow,
			    struct pl_flow_key *key)
{
	*key = (struct pl_flow_key){
		.src = flow->nat_addr, .dst = forward->src, .sport = flow->nat_port,
		.dport = flow->client_port, .proto = forward->proto,
	};
}

/* What a reply entry says, made from the forward one. */
PL_INLINE void pl_reply_flow(const struct pl_flow_key *forward, const struct pl_flow *flow,
			     struct pl_flow *reply)
{
	*reply = *flow;
	reply->nat_addr = forward->dst;
	reply->nat_port = forward->dport;
	reply->client_port = forward->sport;
	reply->flags = PL_FLOW_REPLY | (flow->flags & (PL_FLOW_SPORT | PL_FLOW_ON_NODE));
}

/* Packet of this direction: keeps the entry alive and notes how TCP ends. */
PL_INLINE void pl_flow_touch(struct pl_flow *flow, const struct pl_packet *packet, __u16 flags)
{
	__u64 now = pl_now_cached();

	if (packet->tcp_flags & PL_TCP_FIN)
		flags |= PL_FLOW_FIN;
	if (packet->tcp_flags & PL_TCP_RST)
		flags |= PL_FLOW_RST;
	if (now - flow->seen_ns > PL_SEEN_STEP_NS)
		flow->seen_ns = now;
	if ((flow->flags & flags) != flags)
		flow->flags |= flags;
}

/* Both directions, from wherever they are. */
static __noinline int pl_flow_forget(const struct pl_flow_key *forward, const struct pl_flow *flow)
{
	struct pl_flow_key reply;

	pl_reply_key(forward, flow, &reply);
	bpf_map_delete_elem(&flows, &reply);
	bpf_map_delete_elem(&opening, &reply);
	bpf_map_delete_elem(&flows, forward);
	bpf_map_delete_elem(&opening, forward);
	return 0;
}

/* Both entries to `flows`, the reply first: it is never without. */
PL_INLINE enum pl_reason pl_flow_confirm(const struct pl_flow_key *key, struct pl_flow *flow,
					 const struct pl_flow_key *reply_key,
					 struct pl_flow *reply)
{
	if (bpf_map_update_elem(&flows, reply_key, reply, BPF_ANY))
		goto full;
	if (bpf_map_update_elem(&flows, key, flow, BPF_ANY)) {
		bpf_map_delete_elem(&flows, reply_key);
		goto full;
	}
	flow->flags |= PL_FLOW_CONFIRMED;
	reply->flags |= PL_FLOW_CONFIRMED;
	return PL_NONE;
full:
	flows_full_until = pl_now() + PL_FULL_PAUSE_NS;
	return PL_FLOW_TABLE_FULL;
}

/*
 * The client's packet has met its flow in `opening`. Has the far end answered,
 * and is this more than the question asked once more? Then it is confirmed.
 */
static __noinline int pl_flow_promote(const struct pl_packet *packet, struct pl_flow *flow)
{
	struct pl_flow_key reply_key;
	struct pl_flow *reply, made;

	pl_reply_key(&packet->tuple, flow, &reply_key);
	reply = pl_opening_find(&reply_key);
	if (!reply) {
		/* Evicted, while this one was not: without it, replies would be lost. */
		pl_reply_flow(&packet->tuple, flow, &made);
		bpf_map_update_elem(&opening, &reply_key, &made, BPF_NOEXIST);
		return PL_NONE;
	}
	if (!(reply->flags & PL_FLOW_ANSWERED) || packet->tcp_flags & (PL_TCP_SYN | PL_TCP_RST))
		return PL_NONE;
	if (pl_now() < flows_full_until)
		return PL_NONE;
	return pl_flow_confirm(&packet->tuple, flow, &reply_key, reply);
}

/* Is a SYN that meets this flow the one that opened it, sent once more? */
static __noinline int pl_flow_is_retransmitted(const struct pl_flow_key *key,
					       const struct pl_flow *flow, bool confirmed)
{
	const __u16 ended = PL_FLOW_FIN | PL_FLOW_RST;
	struct pl_flow_key reply_key;
	struct pl_found reply;

	if (flow->flags & ended)
		return false;
	if (confirmed && pl_now() - flow->created_ns > PL_SYN_TWIN_NS)
		return false;
	pl_reply_key(key, flow, &reply_key);
	reply = pl_flow_find(&reply_key);
	return !reply.flow || !(reply.flow->flags & ended);
}

/* Does another flow hold this reply tuple, so that replies could not be told apart? */
PL_INLINE bool pl_flow_holds(const struct pl_flow *reply, bool confirmed)
{
	if (reply->flags & PL_FLOW_RST)
		return false;
	return confirmed || reply->flags & PL_FLOW_ANSWERED ||
	       pl_now() - reply->seen_ns < PL_OPENING_NS;
}

/* Its own earlier reply entry, left when the forward one was evicted. */
PL_INLINE bool pl_flow_is_own(const struct pl_flow *reply, const struct pl_flow_key *key)
{
	return reply->nat_port == key->dport && reply->client_port == key->sport &&
	       pl_addr_equal(&reply->nat_addr, &key->dst);
}

/* The byte of the reply gate for an endpoint; NULL never happens. */
PL_INLINE __u8 *pl_reply_gate(const struct pl_addr *addr, __be16 port)
{
	__u32 zero = 0, hash = port;
	struct pl_reply_gate *gate = bpf_map_lookup_elem(&reply_gate, &zero);

	for (int i = 0; i < 4; i++)
		hash = (hash ^ pl_addr_word(addr, i)) * 2654435761u;
	return gate ? &gate->chosen[hash >> 16] : NULL;
}

/* May a packet from this endpoint be a reply? No says that it surely is none. */
PL_INLINE bool pl_may_be_reply(const struct pl_packet *packet)
{
	const __u8 *chosen = pl_reply_gate(&packet->tuple.src, packet->tuple.sport);

	return !chosen || *chosen;
}

PL_INLINE void pl_expect_replies(const struct pl_flow *flow)
{
	__u8 *chosen = pl_reply_gate(&flow->nat_addr, flow->nat_port);

	if (chosen && !*chosen)
		*chosen = 1;
}

/*
 * Makes the two entries of a new flow, the reply one first: it is the one that
 * another flow may hold already. Two first packets of one flow at the same time
 * on two CPUs both get their entry, and the later decision stays. `reply` is
 * where the reply entry is put together.
 *
 * Returns 0; -1 when the reply tuple is held by another flow; -2 when there is
 * no room.
 */
static __noinline int pl_flow_open(const struct pl_flow_key *key, const struct pl_flow *flow,
				   struct pl_flow *reply)
{
	struct pl_flow_key reply_key;
	struct pl_flow *held;

	pl_reply_key(key, flow, &reply_key);
	held = bpf_map_lookup_elem(&flows, &reply_key);
	if (held) {
		if (pl_flow_holds(held, true) && !pl_flow_is_own(held, key))
			return -1;
		bpf_map_delete_elem(&flows, &reply_key);
	}
	pl_reply_flow(key, flow, reply);
	pl_expect_replies(flow);
	if (bpf_map_update_elem(&opening, &reply_key, reply, BPF_NOEXIST)) {
		held = pl_opening_find(&reply_key);
		if (held && pl_flow_holds(held, false) && !pl_flow_is_own(held, key))
			return -1;
		if (bpf_map_update_elem(&opening, &reply_key, reply, BPF_ANY))
			return -2;
	}
	if (bpf_map_update_elem(&opening, key, flow, BPF_ANY)) {
		bpf_map_delete_elem(&opening, &reply_key);
		return -2;
	}
	return 0;
}

#endif /* PORTOLAN_CONNTRACK_H */
