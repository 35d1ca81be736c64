/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * frontend.h - does this destination concern us, and as what? First the gate,
 * by address alone, then the frontend, and who may use it.
 */
#ifndef PORTOLAN_FRONTEND_H
#define PORTOLAN_FRONTEND_H

#include "packet.h"

/* The gate's entry; NULL for the packets of everybody else. */
PL_INLINE const struct pl_address *pl_gate(const struct pl_packet *packet)
{
	return bpf_map_lookup_elem(&addresses, &packet->tuple.dst);
}

/* A node's address has other business than ours: only some ports are of interest. */
PL_INLINE bool pl_gate_has_port(const struct pl_address *address, __be16 port)
{
	__u16 number = bpf_ntohs(port);

	return (address->flags & PL_ADDR_CLUSTER_IP) ||
	       (number >= address->port_min && number <= address->port_max);
}

PL_INLINE struct pl_frontend *pl_frontend_find(const struct pl_packet *packet)
{
	struct pl_frontend_key key = {
		.addr = packet->tuple.dst, .port = packet->tuple.dport,
		.proto = packet->tuple.proto,
	};

	return bpf_map_lookup_elem(&frontends, &key);
}

/* loadBalancerSourceRanges: is the client in one of them? */
PL_INLINE bool pl_source_allowed(const struct pl_frontend *fe, const struct pl_addr *client)
{
	struct pl_source_key key = {
		.prefixlen = 8 * (sizeof(key.service) + sizeof(key.addr)),
		.service = fe->service, .addr = *client,
	};

	return !(fe->flags & PL_FE_SOURCE_RANGES) ||
	       bpf_map_lookup_elem(&source_ranges, &key);
}

/* detectLocalMode: is the client a pod of this node? */
PL_INLINE bool pl_is_local_pod(struct __sk_buff *skb, const struct pl_addr *client)
{
	__u32 ifindex = skb->ifindex;
	struct pl_device *device;

	if (!pl_setting(PL_SET_POD_BY_DEVICE))
		return pl_in_pod_range(client);
	device = bpf_map_lookup_elem(&devices, &ifindex);
	return device && (device->flags & PL_DEV_LOCAL_POD);
}

#endif /* PORTOLAN_FRONTEND_H */
