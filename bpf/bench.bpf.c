/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * bench.bpf.c - what the packet path costs, for BPF_PROG_TEST_RUN; never
 * attached. With `repeat` the kernel does not restore the packet, and a program
 * that rewrites it would measure its own output: so each run first writes the
 * headers of the next flow, then calls the stages. The difference to BENCH_EMPTY
 * is what they cost.
 */
#include "common.h"
#include "forward.h"
#include "reply.h"
#include "verdict.h"

enum bench_mode {
	BENCH_EMPTY,	/* the headers of a client's packet, and nothing else */
	BENCH_CLIENT,	/* client to VIP: opens with SYN, else goes on */
	BENCH_BACKEND,	/* the backend's reply, on egress */
	BENCH_OTHER_IN,	/* packet of no Service, on ingress */
	BENCH_OTHER_OUT,
};

struct bench_settings {
	__u32 mode;		/* enum bench_mode */
	__u32 services;		/* flow i goes to VIP 10.96.0.1 + i * 7919 % services */
	__u32 flows;
	__u32 random;		/* flows in random order, instead of one after the other */
	__u32 tcp_flags;
	__u32 ipv6;
};

const volatile struct bench_settings bench = {};
__u32 bench_counter;

#define BENCH_VIP 0x0a600001		/* 10.96.0.1 */
#define BENCH_BACKEND_ADDR 0x0a800001	/* 10.128.0.1 */
#define BENCH_CLIENT_ADDR 0x0af40101	/* 10.244.1.1 */
#define BENCH_PORT 80
#define BENCH_BACKEND_PORT 8080

struct bench_tuple {
	__u32 src, dst;		/* host byte order; last word of IPv6 addresses */
	__u16 sport, dport;
};

PL_INLINE void bench_next(struct bench_tuple *tuple)
{
	__u32 i = bench_counter++;
	__u32 service;

	if (bench.random) {
		i *= 2654435761u;
		i ^= i >> 15;
	}
	i %= bench.flows;
	service = (i * 7919u) % bench.services;
	tuple->src = BENCH_CLIENT_ADDR + (i >> 14);
	tuple->sport = 1024 + (i & 0x3fff);
	tuple->dst = BENCH_VIP + service;
	tuple->dport = BENCH_PORT;
	if (bench.mode == BENCH_OTHER_IN || bench.mode == BENCH_OTHER_OUT)
		tuple->dst = 0x08000000 + service;
	if (bench.mode == BENCH_BACKEND) {
		tuple->dst = tuple->src;
		tuple->dport = tuple->sport;
		tuple->src = BENCH_BACKEND_ADDR + service;
		tuple->sport = BENCH_BACKEND_PORT;
	}
}

PL_INLINE int bench_write(struct __sk_buff *skb, const struct bench_tuple *tuple)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	__u32 l4 = PL_ETH_HLEN + (bench.ipv6 ? PL_IP6_HLEN : PL_IP4_HLEN);
	__be16 *ports;

	if (data + l4 + 20 > end)
		return -1;
	if (bench.ipv6) {
		__be32 *ip = data + PL_ETH_HLEN;

		ip[2] = ip[6] = bpf_htonl(0xfd000000);
		ip[3] = ip[4] = ip[7] = ip[8] = 0;
		ip[5] = bpf_htonl(tuple->src);
		ip[9] = bpf_htonl(tuple->dst);
	} else {
		struct iphdr *ip = data + PL_ETH_HLEN;

		ip->saddr = bpf_htonl(tuple->src);
		ip->daddr = bpf_htonl(tuple->dst);
	}
	ports = data + l4;
	ports[0] = bpf_htons(tuple->sport);
	ports[1] = bpf_htons(tuple->dport);
	((__u8 *)ports)[13] = bench.tcp_flags;
	return 0;
}

SEC("tc")
int pl_bench(struct __sk_buff *skb)
{
	struct pl_packet packet = {};
	struct bench_tuple tuple;

	bench_next(&tuple);
	if (bench_write(skb, &tuple))
		return 99;
	if (bench.mode == BENCH_EMPTY)
		return TC_ACT_UNSPEC;
	if (bench.mode == BENCH_BACKEND || bench.mode == BENCH_OTHER_OUT)
		return pl_verdict(skb, &packet, pl_reply(skb, &packet, true), true);
	return pl_verdict(skb, &packet, pl_forward(skb, &packet, true), true);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
