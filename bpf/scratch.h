/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * scratch.h - working memory of the slow path. It spares the stack (512 bytes
 * for a whole chain of calls), and the verifier: what comes from a map has no
 * history, so the many ways to parse a packet are one way from here on.
 */
#ifndef PORTOLAN_SCRATCH_H
#define PORTOLAN_SCRATCH_H

#include "packet.h"
#include "select.h"

struct pl_scratch {
	struct pl_packet packet;
	struct pl_flow flow;		/* the forward entry in the making */
	struct pl_flow reply;		/* and its reply entry */
	struct pl_client client;
	struct pl_choice choice;
	__u32 reason;			/* enum pl_reason */
};

/* Private to the object: user space neither pins nor reads it. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct pl_scratch);
} scratch SEC(".maps");

/* A copy of the packet for the slow path; NULL never happens, but the verifier cannot know. */
PL_INLINE struct pl_scratch *pl_scratch_keep(const struct pl_packet *packet)
{
	__u32 zero = 0;
	struct pl_scratch *slow = bpf_map_lookup_elem(&scratch, &zero);

	if (slow)
		slow->packet = *packet;
	return slow;
}

#endif /* PORTOLAN_SCRATCH_H */
