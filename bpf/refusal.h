/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * refusal.h - puts the message that refuses a packet in the packet's place. The
 * message is made by reject.h; here are its headers and sums, and what the
 * kernel still thinks of the packet that it was.
 */
#ifndef PORTOLAN_REFUSAL_H
#define PORTOLAN_REFUSAL_H

#include <linux/tcp.h>
#include "nat.h"

/* What is quoted of the refused packet: its headers (RFC 792 asks for IP and 8 bytes). */
#define PL_QUOTE_MAX 128
#define PL_QUOTE_MIN 28
#define PL_REFUSAL_TTL 64

struct pl_refusal {
	__u64 window_ns;	/* the second that `sent` counts in */
	__u64 sent;
	__u32 length;		/* of `message` */
	__u8 proto;
	__u8 pad[3];
	union {
		__u8 bytes[PL_QUOTE_MAX + 8];
		struct tcphdr tcp;
		struct {
			__u8 type;
			__u8 code;
			__u16 check;
			__be32 unused;
			__u8 quote[PL_QUOTE_MAX];
		} icmp;
	} message;
};

/* Sum of the pseudo header (RFC 793, RFC 8200); ICMPv4 has none. */
PL_INLINE __u32 pl_pseudo_sum(const struct pl_packet *packet, __u8 proto, __u32 length)
{
	__u64 sum = bpf_htonl(length) + (__u64)bpf_htonl(proto);

	if (proto == IPPROTO_ICMP)
		return 0;
	if (packet->family == 4)
		sum += (__u64)pl_addr_word(&packet->tuple.src, 3) +
		       pl_addr_word(&packet->tuple.dst, 3);
	else
		for (int i = 0; i < 4; i++)
			sum += (__u64)pl_addr_word(&packet->tuple.src, i) +
			       pl_addr_word(&packet->tuple.dst, i);
	return pl_fold(sum);
}

PL_INLINE long pl_refusal_write_ip4(struct __sk_buff *skb, const struct pl_packet *packet,
				    const struct pl_refusal *refusal)
{
	struct iphdr ip = {
		.version = 4, .ihl = 5, .ttl = PL_REFUSAL_TTL, .protocol = refusal->proto,
		.tot_len = bpf_htons(PL_IP4_HLEN + refusal->length),
		.frag_off = bpf_htons(0x4000),	/* so the id may be 0 (RFC 6864) */
		.saddr = pl_addr_word(&packet->tuple.dst, 3),
		.daddr = pl_addr_word(&packet->tuple.src, 3),
	};
	const __u32 *word = (const __u32 *)&ip;

	ip.check = ~pl_fold((__u64)word[0] + word[1] + word[2] + word[3] + word[4]);
	return bpf_skb_store_bytes(skb, packet->l3, &ip, sizeof(ip), 0);
}

PL_INLINE long pl_refusal_write_ip6(struct __sk_buff *skb, const struct pl_packet *packet,
				    const struct pl_refusal *refusal)
{
	struct ipv6hdr ip = {
		.version = 6, .hop_limit = PL_REFUSAL_TTL, .nexthdr = refusal->proto,
		.payload_len = bpf_htons(refusal->length),
	};

	for (int i = 0; i < 4; i++) {
		ip.saddr.in6_u.u6_addr32[i] = pl_addr_word(&packet->tuple.dst, i);
		ip.daddr.in6_u.u6_addr32[i] = pl_addr_word(&packet->tuple.src, i);
	}
	return bpf_skb_store_bytes(skb, packet->l3, &ip, sizeof(ip), 0);
}

/* Where the refused packet has its checksum; 0: nowhere that we know. */
PL_INLINE __u32 pl_checksum_at(const struct pl_packet *packet)
{
	if (packet->tuple.proto == IPPROTO_TCP)
		return packet->l4 + offsetof(struct tcphdr, check);
	return packet->tuple.proto == IPPROTO_UDP ? packet->l4 + 6 : 0;
}

/*
 * Is the device to fill in the packet's checksum (CHECKSUM_PARTIAL: all that
 * comes from a pod by veth)? A program cannot read that, but this helper leaves
 * such a checksum alone when the pseudo header does not change.
 */
PL_INLINE bool pl_checksum_is_partial(struct __sk_buff *skb, __u32 at)
{
	__u16 before, after;

	if (!at || bpf_skb_load_bytes(skb, at, &before, sizeof(before)) ||
	    bpf_l4_csum_replace(skb, at, 0, 1, 2) ||
	    bpf_skb_load_bytes(skb, at, &after, sizeof(after)))
		return false;
	return before == after;
}

/* Sum of the message's first `length` bytes. */
PL_INLINE __u16 pl_refusal_sum(const struct pl_refusal *refusal, __u32 length, __u32 seed)
{
	length = (length + 3) & ~3u;
	if (!pl_length_within(&length, 0, sizeof(refusal->message)))
		return 0;
	return pl_fold(bpf_csum_diff(NULL, 0, (__be32 *)&refusal->message, length, seed));
}

/* IP header, and the message's first `length` bytes after it. */
PL_INLINE long pl_refusal_store(struct __sk_buff *skb, const struct pl_packet *packet,
				const struct pl_refusal *refusal, __u32 message, __u32 length)
{
	if (!pl_length_within(&length, 8, sizeof(refusal->message)))
		return -1;
	if (bpf_skb_store_bytes(skb, message, &refusal->message, length, 0))
		return -1;
	return packet->family == 4 ? pl_refusal_write_ip4(skb, packet, refusal) :
				     pl_refusal_write_ip6(skb, packet, refusal);
}

/* Over the refused packet. */
PL_INLINE long pl_refusal_overwrite(struct __sk_buff *skb, const struct pl_packet *packet,
				    const struct pl_refusal *refusal, __u32 message)
{
	__u32 end = message + refusal->length;

	/* Only another length makes the kernel forget a device's sum of the old bytes. */
	if (skb->len == end && bpf_skb_change_tail(skb, end + 4, 0))
		return -1;
	if (bpf_skb_change_tail(skb, end, 0))
		return -1;
	return pl_refusal_store(skb, packet, refusal, message, refusal->length);
}

/*
 * In front of a packet with a partial checksum, which goes on to have one: from
 * its transport header to the end, whether or not a device ever fills it in. So
 * the quoted one stays where it is, with a pseudo header of sum 0: it will then
 * add nothing to the ICMP message's own sum.
 */
PL_INLINE long pl_refusal_prepend(struct __sk_buff *skb, const struct pl_packet *packet,
				  struct pl_refusal *refusal, __u32 message, __u32 at,
				  __u32 pseudo)
{
	__u32 room = message - packet->l3 + 8;
	__u16 none = 0;

	refusal->message.icmp.check =
		~pl_refusal_sum(refusal, 8 + packet->l4 - packet->l3, pseudo);
	if (bpf_skb_change_tail(skb, packet->l3 + refusal->length - 8, 0) ||
	    bpf_skb_adjust_room(skb, room, BPF_ADJ_ROOM_MAC, 0) ||
	    bpf_skb_store_bytes(skb, at + room, &none, sizeof(none), 0))
		return -1;
	return pl_refusal_store(skb, packet, refusal, message, 8);
}

/* Makes the packet what `refusal` says. */
PL_INLINE long pl_refusal_write(struct __sk_buff *skb, const struct pl_packet *packet,
				struct pl_refusal *refusal)
{
	__u32 message = packet->l3 + (packet->family == 4 ? PL_IP4_HLEN : PL_IP6_HLEN);
	__u32 pseudo = pl_pseudo_sum(packet, refusal->proto, refusal->length);
	__u32 at = pl_checksum_at(packet);
	bool partial = pl_checksum_is_partial(skb, at);

	if (refusal->proto != IPPROTO_TCP) {
		if (partial)
			return pl_refusal_prepend(skb, packet, refusal, message, at, pseudo);
		refusal->message.icmp.check = ~pl_refusal_sum(refusal, refusal->length, pseudo);
	} else if (!partial) {
		refusal->message.tcp.check = ~pl_refusal_sum(refusal, refusal->length, pseudo);
	} else {
		/* The reset's checksum is in the same place, and partial as well. */
		if (packet->l4 != message)
			return -1;
		refusal->message.tcp.check = pseudo;
	}
	return pl_refusal_overwrite(skb, packet, refusal, message);
}

/* Back to who sent it. */
PL_INLINE long pl_swap_macs(struct __sk_buff *skb)
{
	struct {
		__u16 word[6];
	} macs, swapped;

	if (bpf_skb_load_bytes(skb, 0, &macs, sizeof(macs)))
		return -1;
	for (int i = 0; i < 3; i++) {
		swapped.word[i] = macs.word[i + 3];
		swapped.word[i + 3] = macs.word[i];
	}
	return bpf_skb_store_bytes(skb, 0, &swapped, sizeof(swapped), 0);
}

#endif /* PORTOLAN_REFUSAL_H */
