/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * packet.h - what the stages hand on about one packet, and how they read it.
 */
#ifndef PORTOLAN_PACKET_H
#define PORTOLAN_PACKET_H

#include <stddef.h>
#include <linux/in6.h>
#include "common.h"

#define PL_ETH_HLEN 14
#define PL_ETH_P_IP 0x0800
#define PL_ETH_P_IPV6 0x86dd
#define PL_IP4_HLEN 20
#define PL_IP6_HLEN 40

enum pl_tcp_flags {
	PL_TCP_FIN = 1 << 0,
	PL_TCP_SYN = 1 << 1,
	PL_TCP_RST = 1 << 2,
	PL_TCP_ACK = 1 << 4,
};

enum pl_fragment_kind {
	PL_FRAGMENT_NONE,
	PL_FRAGMENT_FIRST,	/* has the ports, and the checksum over all of it */
	PL_FRAGMENT_LATER,	/* has neither */
};

/* Filled by parse.h; `tuple` is what the packet says, before any rewrite. */
struct pl_packet {
	struct pl_flow_key tuple;	/* ports are 0 where there are none */
	__u32 l3;			/* offset of the IP header */
	__u32 l4;			/* offset of what follows it and its extensions */
	__u32 end;			/* offset of the first byte after the IP packet */
	__be32 fragment_id;		/* NBO */
	__u16 ip4_check;		/* IPv4 header checksum as read */
	__u8 family;			/* 4 or 6 */
	__u8 fragment;			/* enum pl_fragment_kind */
	__u8 tcp_flags;			/* enum pl_tcp_flags */
	__u8 icmp_type;
	__u8 pad[2];
};

PL_INLINE bool pl_has_ports(__u8 proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

PL_INLINE bool pl_is_icmp(const struct pl_packet *packet)
{
	return packet->tuple.proto ==
	       (packet->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

/* Opens a connection: SYN, and nothing that belongs to an open one. */
PL_INLINE bool pl_is_syn(const struct pl_packet *packet)
{
	return (packet->tcp_flags & (PL_TCP_SYN | PL_TCP_ACK | PL_TCP_RST | PL_TCP_FIN)) ==
	       PL_TCP_SYN;
}

/*
 * Loads a pointer field of the context. In assembler: clang may else compute the
 * field's address once for several loads, which the verifier refuses.
 */
#define pl_context_pointer(skb, field)						\
({										\
	void *_pointer;								\
	asm volatile("%0 = *(u32 *)(%1 + %2)" : "=r"(_pointer)			\
		     : "r"(skb), "i"(offsetof(struct __sk_buff, field)));	\
	_pointer;								\
})

/*
 * Is the length of a buffer in bounds, and does the verifier know? The barriers
 * keep clang from joining both comparisons into one of another register, from
 * which verifiers before Linux 6.8 learn nothing.
 */
PL_INLINE bool pl_length_within(__u32 *length, const __u32 least, const __u32 most)
{
	asm volatile("" : "+r"(*length));
	if (*length > most)
		return false;
	asm volatile("" : "+r"(*length));
	return *length >= least;
}

/* Where `size` bytes at `offset` lie, if they are in the linear part. */
PL_INLINE void *pl_linear(struct __sk_buff *skb, __u32 offset, const __u32 size)
{
	void *data = pl_context_pointer(skb, data);
	void *end = pl_context_pointer(skb, data_end);

	/* Tells the verifier a bound that it may have lost in a spilled register. */
	asm volatile("%0 &= 0x7fff" : "+r"(offset));
	data += offset;
	return data + size > end ? NULL : data;
}

/*
 * Copies *to from the packet. Direct access is several times cheaper than the
 * helper, which also reads what is not in the linear part. `to` must point to
 * a type that the packet aligns as C does: BPF copies by its alignment.
 *
 * Returns 0, or not 0 where the packet ends earlier.
 */
#define pl_read(skb, offset, to)						\
({										\
	const typeof(*(to)) *_at = pl_linear(skb, offset, sizeof(*(to)));	\
	long _error = 0;							\
										\
	if (_at)								\
		*(to) = *_at;							\
	else									\
		_error = bpf_skb_load_bytes(skb, offset, to, sizeof(*(to)));	\
	_error;									\
})

/* Sum of `bytes` changing from one address to another, for a checksum. */
PL_INLINE __u32 pl_addr_diff(const struct pl_addr *from, const struct pl_addr *to)
{
	__u64 sum = 0;

	for (int i = 0; i < 4; i++)
		sum += (__u64)(__u32)~pl_addr_word(from, i) + pl_addr_word(to, i);
	sum = (sum & 0xffffffff) + (sum >> 32);
	return (__u32)(sum + (sum >> 32));
}

/* One's complement sum down to 16 bits. */
PL_INLINE __u16 pl_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)(sum + (sum >> 16));
}

/* A checksum field after the bytes that it covers changed by `diff` (RFC 1624). */
PL_INLINE __u16 pl_check_update(__u16 check, __u32 diff)
{
	return ~pl_fold((__u64)(__u16)~check + diff);
}

/* Both ports as they lie in the packet. */
PL_INLINE __u32 pl_ports_word(__be16 sport, __be16 dport)
{
	union {
		__be16 port[2];
		__u32 word;
	} ports = { .port = { sport, dport } };

	return ports.word;
}

/* The tuple of the opposite direction. */
PL_INLINE void pl_tuple_reverse(const struct pl_flow_key *of, struct pl_flow_key *key)
{
	*key = (struct pl_flow_key){
		.src = of->dst, .dst = of->src, .sport = of->dport, .dport = of->sport,
		.proto = of->proto,
	};
}

#endif /* PORTOLAN_PACKET_H */
