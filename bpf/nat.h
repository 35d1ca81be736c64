/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * nat.h - applies a rewrite to the packet's bytes. The only stage, with icmp.h
 * and reject.h, that writes to a packet, and always by helpers: direct writes
 * would make the verifier unclone every packet that the program sees, also
 * those that it leaves alone.
 */
#ifndef PORTOLAN_NAT_H
#define PORTOLAN_NAT_H

#include <stddef.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include "packet.h"

enum pl_side {
	PL_SIDE_SRC,
	PL_SIDE_DST,
};

#define PL_CHECKSUM_PARTIAL 3	/* include/linux/skbuff.h */

/* As much of the kernel's own packet as we look at (CO-RE). */
struct sk_buff {
	__u8 ip_summed : 2;
} __attribute__((preserve_access_index));

/* Linux 6.2; costs nothing. */
extern void *bpf_cast_to_kern_ctx(void *) __ksym __weak;

/* Set by tests alone: do as on kernels that lack the above. */
const volatile bool nat_by_helpers = false;

/* TCP's first 20 bytes, checksum and all, or UDP's 8. */
union pl_transport {
	__u32 word[5];
	__u16 half[10];
};

struct pl_udp_header {
	__u32 word[2];
};

/* Checksum, addresses and, behind a header without options, ports in one write. */
PL_INLINE long pl_nat_write4(struct __sk_buff *skb, const struct pl_packet *packet,
			     enum pl_side side, const struct pl_addr *addr, __u32 diff,
			     __u32 ports, bool with_ports)
{
	struct {
		__u16 unused;	/* aligns what follows: BPF copies by alignment */
		__u16 check;
		__be32 src;
		__be32 dst;
		__u32 ports;
	} header = {
		.check = pl_check_update(packet->ip4_check, diff),
		.src = pl_addr_word(side == PL_SIDE_SRC ? addr : &packet->tuple.src, 3),
		.dst = pl_addr_word(side == PL_SIDE_DST ? addr : &packet->tuple.dst, 3),
		.ports = ports,
	};
	__u32 at = packet->l3 + offsetof(struct iphdr, check);
	long error;

	if (with_ports && packet->l4 == packet->l3 + PL_IP4_HLEN)
		return bpf_skb_store_bytes(skb, at, &header.check, 14, 0);
	error = bpf_skb_store_bytes(skb, at, &header.check, 10, 0);
	if (!error && with_ports)
		error = bpf_skb_store_bytes(skb, packet->l4, &header.ports, 4, 0);
	return error;
}

/*
 * IPv6 has no header checksum: address and pseudo header cancel out in the sum
 * that a device may have taken (CHECKSUM_COMPLETE), while the helper for the
 * transport checksum counts the latter alone, unless told BPF_F_IPV6 (Linux
 * 6.16). `flags` BPF_F_RECOMPUTE_CSUM counts the address, which is right on all
 * kernels.
 */
PL_INLINE long pl_nat_write6(struct __sk_buff *skb, const struct pl_packet *packet,
			     enum pl_side side, const struct pl_addr *addr, __u32 ports,
			     bool with_ports, __u64 flags)
{
	__u32 at = packet->l3 + (side == PL_SIDE_SRC ? offsetof(struct ipv6hdr, saddr) :
						       offsetof(struct ipv6hdr, daddr));
	long error;

	error = bpf_skb_store_bytes(skb, at, addr, sizeof(*addr), flags);
	if (!error && with_ports)
		error = bpf_skb_store_bytes(skb, packet->l4, &ports, sizeof(ports), 0);
	return error;
}

/* Is a device to fill in the checksum, and the field but a sum of the pseudo header? */
PL_INLINE bool pl_nat_is_partial(struct __sk_buff *skb)
{
	struct sk_buff *kernel = bpf_cast_to_kern_ctx(skb);

	return BPF_CORE_READ_BITFIELD(kernel, ip_summed) == PL_CHECKSUM_PARTIAL;
}

/* Ports and checksum put into the header's first bytes. */
PL_INLINE void pl_nat_transport(union pl_transport *header, bool udp, bool partial,
				__u32 addr_diff, __u32 ports)
{
	__u16 *check = &header->half[udp ? 3 : 8];
	__u64 ports_diff = (__u64)(__u32)~header->word[0] + ports;
	__u16 sum;

	header->word[0] = ports;
	/* UDP without checksum (RFC 768). */
	if (udp && !*check)
		return;
	if (partial)
		sum = pl_fold((__u64)*check + addr_diff);
	else
		sum = ~pl_fold((__u64)(__u16)~*check + addr_diff + ports_diff);
	*check = udp && !sum ? 0xffff : sum;
}

/*
 * Everything with sums computed here, in one write behind an IPv4 header without
 * options, else in two: the established packet's way. Each helper for checksums
 * costs as much as a lookup; they are for kernels that do not tell whether the
 * checksum is partial.
 */
PL_INLINE long pl_nat_by_hand(struct __sk_buff *skb, const struct pl_packet *packet,
			      enum pl_side side, const struct pl_addr *addr, __u32 diff,
			      __u32 ports)
{
	bool udp = packet->tuple.proto == IPPROTO_UDP;
	__u32 length = udp ? 8 : 18;
	struct {
		__u16 unused;	/* aligns what follows: BPF copies by alignment */
		__u16 check;
		__be32 src;
		__be32 dst;
		union pl_transport transport;
	} header = {
		.check = pl_check_update(packet->ip4_check, diff),
		.src = pl_addr_word(side == PL_SIDE_SRC ? addr : &packet->tuple.src, 3),
		.dst = pl_addr_word(side == PL_SIDE_DST ? addr : &packet->tuple.dst, 3),
	};
	__u32 at = packet->l3 + offsetof(struct iphdr, check);
	long error;

	if (udp ? pl_read(skb, packet->l4, (struct pl_udp_header *)&header.transport) :
		  pl_read(skb, packet->l4, &header.transport))
		return -1;
	pl_nat_transport(&header.transport, udp, pl_nat_is_partial(skb), diff, ports);
	if (packet->family == 4 && packet->l4 == packet->l3 + PL_IP4_HLEN)
		return bpf_skb_store_bytes(skb, at, &header.check, 10 + length,
					   BPF_F_RECOMPUTE_CSUM);
	error = packet->family == 4 ?
		bpf_skb_store_bytes(skb, at, &header.check, 10, BPF_F_RECOMPUTE_CSUM) :
		pl_nat_write6(skb, packet, side, addr, 0, false, BPF_F_RECOMPUTE_CSUM);
	return error ? error : bpf_skb_store_bytes(skb, packet->l4, &header.transport, length,
						   BPF_F_RECOMPUTE_CSUM);
}

/*
 * Brings the transport checksum up to date. SCTP's does not cover addresses,
 * and its ports never change here (frontend.h).
 */
PL_INLINE long pl_nat_checksum(struct __sk_buff *skb, const struct pl_packet *packet,
			       __u32 addr_diff, __u32 from_ports, __u32 to_ports)
{
	__u64 flags = packet->tuple.proto == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0;
	__u32 at = packet->l4 + (packet->tuple.proto == IPPROTO_UDP ? 6 : 16);
	long error;

	if (packet->tuple.proto == IPPROTO_SCTP)
		return 0;
	error = bpf_l4_csum_replace(skb, at, 0, addr_diff, flags | BPF_F_PSEUDO_HDR);
	if (!error && from_ports != to_ports)
		error = bpf_l4_csum_replace(skb, at, from_ports, to_ports, flags | 4);
	return error;
}

/*
 * Puts `addr` on one side of the packet, and both ports. A later fragment has
 * only addresses.
 *
 * Returns 0, or the kernel's error: the packet may then be half rewritten.
 */
PL_INLINE long pl_nat_rewrite(struct __sk_buff *skb, const struct pl_packet *packet,
			      enum pl_side side, const struct pl_addr *addr,
			      __be16 sport, __be16 dport)
{
	const struct pl_addr *old = side == PL_SIDE_SRC ? &packet->tuple.src : &packet->tuple.dst;
	__u32 from = pl_ports_word(packet->tuple.sport, packet->tuple.dport);
	__u32 to = pl_ports_word(sport, dport);
	__u32 diff = pl_addr_diff(old, addr);
	bool whole = packet->fragment != PL_FRAGMENT_LATER;
	bool with_ports = whole && from != to;
	long error;

	if (bpf_cast_to_kern_ctx && !nat_by_helpers && whole &&
	    packet->tuple.proto != IPPROTO_SCTP)
		return pl_nat_by_hand(skb, packet, side, addr, diff, to);
	if (packet->family == 4)
		error = pl_nat_write4(skb, packet, side, addr, diff, to, with_ports);
	else
		error = pl_nat_write6(skb, packet, side, addr, to, with_ports,
				      BPF_F_RECOMPUTE_CSUM);
	if (!error && whole)
		error = pl_nat_checksum(skb, packet, diff, from, to);
	return error;
}

#endif /* PORTOLAN_NAT_H */
