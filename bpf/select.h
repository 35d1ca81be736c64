/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * select.h - from a frontend to an endpoint: which list, affinity first, else a
 * random slot. The same for every hook; it touches no packet.
 */
#ifndef PORTOLAN_SELECT_H
#define PORTOLAN_SELECT_H

#include "common.h"

/* Who asks: what the choice of list and affinity depends on. */
struct pl_client {
	struct pl_affinity_key affinity;	/* service is filled in here */
	bool on_node;		/* a pod of this node, or the node itself */
};

struct pl_choice {
	struct pl_addr addr;
	__be16 port;
	__u16 endpoint_flags;
	__u32 service;
	__u32 set;
	__u32 count;		/* size of the list, for a second try */
};

PL_INLINE bool pl_uses_local_list(const struct pl_frontend *fe, bool on_node)
{
	return (fe->flags & PL_FE_LOCAL) &&
	       !((fe->flags & PL_FE_SHORT_CIRCUIT) && on_node);
}

PL_INLINE bool pl_backend_listed(__u32 service, const struct pl_addr *addr, __be16 port)
{
	struct pl_backend_key key = { .service = service, .port = port, .addr = *addr };

	return bpf_map_lookup_elem(&backends, &key);
}

/* The slot at `index`, if it still belongs to this set: see struct pl_slot. */
PL_INLINE int pl_slot_read(const struct pl_frontend *fe, __u32 set, __u32 index,
			   struct pl_choice *choice)
{
	struct pl_slot_key key = { .set = set, .index = index };
	struct pl_slot *slot = bpf_map_lookup_elem(&slots, &key);

	if (!slot)
		return -1;
	choice->addr = slot->addr;
	choice->port = slot->port;
	choice->endpoint_flags = slot->flags;
	barrier();	/* the owner is read last: it vouches for what was read before */
	if (slot->set != set || slot->service != fe->service)
		return -1;
	return 0;
}

/* The client's own endpoint, while its window is open and it is still in the
 * list in use. */
PL_INLINE int pl_affine_slot(const struct pl_frontend *fe, __u32 set,
			     const struct pl_affinity_key *client, struct pl_choice *choice)
{
	struct pl_member_key key = { .set = set };
	struct pl_member *member;
	struct pl_affinity *last;
	__s64 age;

	last = bpf_map_lookup_elem(&affinity, client);
	if (!last)
		return -1;
	/* Signed: another CPU may have written it after we read the clock. */
	age = pl_now() - last->seen_ns;
	if (age > (__s64)(fe->affinity_s * PL_NSEC_PER_SEC))
		return -1;
	key.addr = last->addr;
	key.port = last->port;
	member = bpf_map_lookup_elem(&members, &key);
	if (!member)
		return -1;
	return pl_slot_read(fe, set, member->index, choice);
}

/*
 * Chooses an endpoint for a new flow. `attempt` 0 asks affinity first; later
 * ones (the first choice's reply tuple was taken) do not.
 *
 * Returns 0, or the reason why there is none: what to do about it is the
 * hook's to decide. PL_DROP_STALE_SLOT asks for a second look at the frontend.
 */
PL_INLINE enum pl_reason pl_select(const struct pl_frontend *fe, struct pl_client *client,
				   int attempt, struct pl_choice *choice)
{
	bool local = pl_uses_local_list(fe, client->on_node);
	__u32 set = local ? fe->local_set : fe->cluster_set;
	__u32 count = local ? fe->local_count : fe->cluster_count;

	if (!count)
		return fe->flags & PL_FE_HAS_ENDPOINTS ? PL_DROP_NO_LOCAL_ENDPOINT :
							 PL_REJECT_NO_ENDPOINT;
	choice->service = fe->service;
	choice->set = set;
	choice->count = count;
	client->affinity.service = fe->service;
	if (fe->affinity_s && !attempt && !pl_affine_slot(fe, set, &client->affinity, choice))
		return PL_NONE;
	if (pl_slot_read(fe, set, bpf_get_prandom_u32() % count, choice))
		return PL_DROP_STALE_SLOT;
	return PL_NONE;
}

/* Opens the client's window anew: called once the flow is certain. */
PL_INLINE void pl_remember_client(const struct pl_frontend *fe, const struct pl_client *client,
				  const struct pl_choice *choice)
{
	struct pl_affinity value = {};

	if (!fe->affinity_s)
		return;
	value.seen_ns = pl_now();
	value.addr = choice->addr;
	value.port = choice->port;
	bpf_map_update_elem(&affinity, &client->affinity, &value, BPF_ANY);
}

PL_INLINE void pl_count_served(__u32 service, enum pl_hook hook)
{
	struct pl_service_stats *stats = bpf_map_lookup_elem(&service_stats, &service);

	if (stats && hook < PL_HOOK_MAX)
		stats->served[hook]++;
}

PL_INLINE void pl_count_refused(__u32 service, enum pl_reason reason)
{
	struct pl_service_stats *stats = bpf_map_lookup_elem(&service_stats, &service);

	if (!stats)
		return;
	if (reason >= PL_REJECT_NO_ENDPOINT)
		stats->rejected++;
	else
		stats->dropped++;
}

#endif /* PORTOLAN_SELECT_H */
