/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * fragment.h - later fragments go where the first one went: its ports are kept
 * under the datagram's id (RFC 791, RFC 8200 section 4.5).
 */
#ifndef PORTOLAN_FRAGMENT_H
#define PORTOLAN_FRAGMENT_H

#include "packet.h"

PL_INLINE void pl_fragment_key_of(const struct pl_packet *packet, struct pl_fragment_key *key)
{
	*key = (struct pl_fragment_key){
		.src = packet->tuple.src, .dst = packet->tuple.dst,
		.id = packet->fragment_id, .proto = packet->tuple.proto,
	};
}

static __noinline int pl_fragment_exchange(struct pl_packet *packet)
{
	struct pl_fragment_key key;
	struct pl_fragment ports, *first;

	pl_fragment_key_of(packet, &key);
	if (packet->fragment == PL_FRAGMENT_FIRST) {
		ports.sport = packet->tuple.sport;
		ports.dport = packet->tuple.dport;
		bpf_map_update_elem(&fragments, &key, &ports, BPF_ANY);
		return 0;
	}
	first = bpf_map_lookup_elem(&fragments, &key);
	if (!first)
		return -1;
	packet->tuple.sport = first->sport;
	packet->tuple.dport = first->dport;
	return 0;
}

/*
 * Keeps the ports of a first fragment, and gives them to a later one.
 *
 * Returns 0, or -1 for a later fragment whose first has not been seen.
 */
PL_INLINE int pl_fragment_follow(struct pl_packet *packet)
{
	if (packet->fragment == PL_FRAGMENT_NONE || !pl_has_ports(packet->tuple.proto))
		return 0;
	return pl_fragment_exchange(packet);
}

#endif /* PORTOLAN_FRAGMENT_H */
