/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * tc.bpf.c - the packet path: on each client-facing device, ingress translates
 * what clients send to a Service, and egress of the same device undoes that in
 * the replies. In between is the normal stack, which sees backends only.
 *
 * Two programs a direction: devices with an Ethernet header, and devices without
 * one (WireGuard, tun, ipip), whose packets begin with the IP header.
 */
#include "common.h"
#include "forward.h"
#include "reply.h"
#include "verdict.h"

PL_INLINE int pl_ingress(struct __sk_buff *skb, bool ethernet)
{
	struct pl_packet packet = {};

	return pl_verdict(skb, &packet, pl_forward(skb, &packet, ethernet), ethernet);
}

PL_INLINE int pl_egress(struct __sk_buff *skb, bool ethernet)
{
	struct pl_packet packet = {};

	return pl_verdict(skb, &packet, pl_reply(skb, &packet, ethernet), ethernet);
}

SEC("tc")
int pl_ingress_eth(struct __sk_buff *skb)
{
	return pl_ingress(skb, true);
}

SEC("tc")
int pl_ingress_ip(struct __sk_buff *skb)
{
	return pl_ingress(skb, false);
}

SEC("tc")
int pl_egress_eth(struct __sk_buff *skb)
{
	return pl_egress(skb, true);
}

SEC("tc")
int pl_egress_ip(struct __sk_buff *skb)
{
	return pl_egress(skb, false);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
