/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * maps.h - every map once: who writes it, who reads it, and what happens when
 * it is full. Both objects share them by their pins (<pin folder>/v1/maps/).
 * Sizes are defaults: the agent sets them from its configuration before load.
 */
#ifndef PORTOLAN_MAPS_H
#define PORTOLAN_MAPS_H

#include "abi.h"
#include "anchor.h"

/*
 * Hashes that user space writes are allocated element by element, so that a
 * node with ten Services does not pay for a hundred thousand.
 */
#define PL_HASH(name, key_t, value_t, max)				\
	struct {							\
		__uint(type, BPF_MAP_TYPE_HASH);			\
		__uint(max_entries, max);				\
		__uint(map_flags, BPF_F_NO_PREALLOC);			\
		__type(key, key_t);					\
		__type(value, value_t);					\
	} name SEC(".maps")

#define PL_LRU(name, key_t, value_t, max)				\
	struct {							\
		__uint(type, BPF_MAP_TYPE_LRU_HASH);			\
		__uint(max_entries, max);				\
		__type(key, key_t);					\
		__type(value, value_t);					\
	} name SEC(".maps")

/* Written by the agent, read by the programs. */
PL_HASH(frontends, struct pl_frontend_key, struct pl_frontend, 131072);
PL_HASH(slots, struct pl_slot_key, struct pl_slot, 524288);
PL_HASH(members, struct pl_member_key, struct pl_member, 262144);
PL_HASH(backends, struct pl_backend_key, struct pl_backend, 262144);
PL_HASH(addresses, struct pl_addr, struct pl_address, 131072);
PL_HASH(devices, __u32, struct pl_device, 16384);
PL_HASH(excluded_netns, __u64, struct pl_excluded, 16384);
PL_HASH(services, __u32, struct pl_service, 131072);

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct pl_source_key);
	__type(value, struct pl_source);
} source_ranges SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pl_meta);
} meta SEC(".maps");

/* Entries made by the agent, counted by the programs. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 131072);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct pl_service_stats);
} service_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, PL_REASON_MAX);
	__type(key, __u32);
	__type(value, __u64);
} reasons SEC(".maps");

/*
 * Written by the programs. `flows` is aged by the agent alone: nothing that a
 * client can send makes the kernel evict an established flow. When it is full,
 * flows stay in `opening`, where the least recently used one goes first.
 */
PL_HASH(flows, struct pl_flow_key, struct pl_flow, 524288);
PL_LRU(opening, struct pl_flow_key, struct pl_flow, 65536);
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pl_reply_gate);
} reply_gate SEC(".maps");

PL_LRU(affinity, struct pl_affinity_key, struct pl_affinity, 65536);
PL_HASH(sockets, __u64, struct pl_socket, 262144);
PL_LRU(peers, struct pl_peer_key, struct pl_peer, 65536);
PL_LRU(fragments, struct pl_fragment_key, struct pl_fragment, 8192);

#endif /* PORTOLAN_MAPS_H */
