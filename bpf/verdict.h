/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * verdict.h - the one exit of the tc programs: from a reason to what becomes of
 * the packet, and to its count.
 */
#ifndef PORTOLAN_VERDICT_H
#define PORTOLAN_VERDICT_H

#include <linux/pkt_cls.h>
#include "reject.h"
#include "scratch.h"

/*
 * "Next" for everything that goes on, rewritten or not: other programs on this
 * device, then the normal stack (TC_ACT_UNSPEC is also TCX_NEXT).
 */
PL_INLINE int pl_verdict(struct __sk_buff *skb, const struct pl_packet *packet,
			 enum pl_reason reason, bool ethernet)
{
	struct pl_scratch *slow;
	enum pl_reason answered;

	if (reason == PL_NONE)
		return TC_ACT_UNSPEC;
	if (reason >= PL_FLOW_TABLE_FULL) {
		pl_count(reason);
		return TC_ACT_UNSPEC;
	}
	if (reason < PL_REJECT_NO_ENDPOINT) {
		pl_count(reason);
		return TC_ACT_SHOT;
	}
	slow = pl_scratch_keep(packet);
	if (!slow)
		return TC_ACT_SHOT;
	slow->reason = reason;
	answered = pl_refuse(skb, &slow->packet, slow->reason, ethernet);
	/* A packet that may not be answered was refused for the same reason. */
	pl_count(answered ? answered : reason);
	return answered == reason ? bpf_redirect(skb->ifindex, 0) : TC_ACT_SHOT;
}

#endif /* PORTOLAN_VERDICT_H */
