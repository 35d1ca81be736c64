/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * parse.h - from bytes to struct pl_packet. It touches no map and writes no
 * byte. What is malformed, truncated or not IP is no business of ours: the
 * functions say so, and the packet passes as it is.
 *
 * In two steps: the gate needs only the destination address, and most packets
 * end there.
 */
#ifndef PORTOLAN_PARSE_H
#define PORTOLAN_PARSE_H

#include <linux/ip.h>
#include <linux/ipv6.h>
#include "packet.h"

#define PL_VLAN_TAGS_MAX 2
#define PL_IP6_EXTENSIONS_MAX 6

#define PL_IP4_MORE 0x2000
#define PL_IP4_OFFSET 0x1fff
#define PL_IP6_MORE 0x0001
#define PL_IP6_OFFSET 0xfff8

/* RFC 8200 section 4.2: hop-by-hop, destination options, routing, mobility. */
struct pl_ip6_extension {
	__u8 next;
	__u8 length;		/* in 8 bytes, the first 8 not counted */
};

struct pl_ip6_fragment {
	__u8 next;
	__u8 reserved;
	__be16 offset;		/* NBO; and PL_IP6_MORE */
	__be32 id;
};

struct pl_tcp_flag_bytes {
	__u8 offset;
	__u8 flags;
};

struct pl_ports {
	__be16 sport;
	__be16 dport;
};

struct pl_vlan_tag {
	__be16 tci;
	__be16 ethertype;
};

/* The IPv4 header at packet->l3, of a whole packet or quoted by an ICMP error. */
PL_INLINE int pl_parse_ip4(struct __sk_buff *skb, struct pl_packet *packet)
{
	struct iphdr ip;
	__u32 length;
	__u16 fragment;

	if (pl_read(skb, packet->l3, &ip))
		return -1;
	length = bpf_ntohs(ip.tot_len);
	if (ip.version != 4 || ip.ihl < 5)
		return -1;
	packet->family = 4;
	packet->l4 = packet->l3 + ip.ihl * 4;
	/* 0: larger than 64 KiB, on its way through GSO (Linux 6.3). */
	packet->end = length ? packet->l3 + length : skb->len;
	pl_addr_from4(&packet->tuple.src, ip.saddr);
	pl_addr_from4(&packet->tuple.dst, ip.daddr);
	packet->tuple.proto = ip.protocol;
	packet->ip4_check = ip.check;
	fragment = bpf_ntohs(ip.frag_off);
	if (fragment & (PL_IP4_MORE | PL_IP4_OFFSET)) {
		packet->fragment = fragment & PL_IP4_OFFSET ? PL_FRAGMENT_LATER :
							      PL_FRAGMENT_FIRST;
		packet->fragment_id = (__be32)ip.id;
	}
	return 0;
}

PL_INLINE int pl_parse_ip6(struct __sk_buff *skb, struct pl_packet *packet)
{
	struct ipv6hdr ip;
	__u32 length;

	if (pl_read(skb, packet->l3, &ip))
		return -1;
	length = bpf_ntohs(ip.payload_len);
	if (ip.version != 6)
		return -1;
	packet->family = 6;
	packet->l4 = packet->l3 + PL_IP6_HLEN;
	packet->end = length ? packet->l4 + length : skb->len;
	pl_addr_from6(&packet->tuple.src, ip.saddr.in6_u.u6_addr32);
	pl_addr_from6(&packet->tuple.dst, ip.daddr.in6_u.u6_addr32);
	packet->tuple.proto = ip.nexthdr;
	return 0;
}

/* Past the extension headers: packet->l4 and tuple.proto are what they hide. */
PL_INLINE int pl_parse_extensions(struct __sk_buff *skb, struct pl_packet *packet)
{
	for (int i = 0; i <= PL_IP6_EXTENSIONS_MAX; i++) {
		struct pl_ip6_extension extension;
		struct pl_ip6_fragment fragment;

		switch (packet->tuple.proto) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_ROUTING:
		case IPPROTO_DSTOPTS:
		case IPPROTO_MH:
		case IPPROTO_AH:
			if (pl_read(skb, packet->l4, &extension))
				return -1;
			packet->l4 += packet->tuple.proto == IPPROTO_AH ?
				      (extension.length + 2) * 4 : (extension.length + 1) * 8;
			packet->tuple.proto = extension.next;
			break;
		case IPPROTO_FRAGMENT:
			if (pl_read(skb, packet->l4, &fragment))
				return -1;
			packet->l4 += sizeof(fragment);
			packet->tuple.proto = fragment.next;
			packet->fragment_id = fragment.id;
			if (fragment.offset & bpf_htons(PL_IP6_OFFSET)) {
				packet->fragment = PL_FRAGMENT_LATER;
				return 0;
			}
			if (fragment.offset & bpf_htons(PL_IP6_MORE))
				packet->fragment = PL_FRAGMENT_FIRST;
			break;
		default:
			return 0;
		}
	}
	return -1;
}

/*
 * Addresses: the first step. `ethernet`: the device has an Ethernet header.
 * Tags of VLANs are those in the packet; the kernel takes the outer one out.
 */
PL_INLINE int pl_parse_network(struct __sk_buff *skb, struct pl_packet *packet, bool ethernet)
{
	struct pl_vlan_tag tag;
	__be16 type;
	__u8 version;

	packet->l3 = 0;
	if (ethernet) {
		packet->l3 = PL_ETH_HLEN;
		if (pl_read(skb, PL_ETH_HLEN - 2, &type))
			return -1;
		for (int i = 0; i < PL_VLAN_TAGS_MAX; i++) {
			if (type != bpf_htons(0x8100) && type != bpf_htons(0x88a8))
				break;
			if (pl_read(skb, packet->l3, &tag))
				return -1;
			packet->l3 += sizeof(tag);
			type = tag.ethertype;
		}
	} else {
		if (pl_read(skb, 0, &version))
			return -1;
		type = version >> 4 == 4 ? bpf_htons(PL_ETH_P_IP) :
		       version >> 4 == 6 ? bpf_htons(PL_ETH_P_IPV6) : 0;
	}
	if (type == bpf_htons(PL_ETH_P_IP))
		return pl_parse_ip4(skb, packet);
	if (type == bpf_htons(PL_ETH_P_IPV6))
		return pl_parse_ip6(skb, packet);
	return -1;
}

/* The ports at packet->l4: also of a quoted packet, of which little more may be there. */
PL_INLINE int pl_parse_ports(struct __sk_buff *skb, struct pl_packet *packet)
{
	struct pl_ports ports;

	if (packet->l4 + sizeof(ports) > packet->end || pl_read(skb, packet->l4, &ports))
		return -1;
	packet->tuple.sport = ports.sport;
	packet->tuple.dport = ports.dport;
	return 0;
}

/*
 * Ports, TCP flags, ICMP type: the second step. A later fragment has none of
 * them (fragment.h). Protocols that we do not know are not an error.
 */
PL_INLINE int pl_parse_transport(struct __sk_buff *skb, struct pl_packet *packet)
{
	struct pl_tcp_flag_bytes tcp;
	__u32 least;

	if (packet->family == 6 && pl_parse_extensions(skb, packet))
		return -1;
	if (packet->l4 > packet->end || packet->end > skb->len)
		return -1;
	if (packet->fragment == PL_FRAGMENT_LATER)
		return 0;
	if (pl_is_icmp(packet)) {
		if (packet->l4 + 8 > packet->end)
			return -1;
		return pl_read(skb, packet->l4, &packet->icmp_type);
	}
	if (!pl_has_ports(packet->tuple.proto))
		return 0;
	least = packet->tuple.proto == IPPROTO_TCP ? 20 :
		packet->tuple.proto == IPPROTO_SCTP ? 12 : 8;
	if (packet->l4 + least > packet->end || pl_parse_ports(skb, packet))
		return -1;
	if (packet->tuple.proto == IPPROTO_TCP) {
		if (pl_read(skb, packet->l4 + 12, &tcp))
			return -1;
		packet->tcp_flags = tcp.flags;
	}
	return 0;
}

#endif /* PORTOLAN_PARSE_H */
