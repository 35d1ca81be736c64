/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * abi.h - everything that the BPF programs and user space share: map keys and
 * values, limits, flags, reasons and load-time settings. It is the only
 * definition of these layouts: src/abi/layout.gen.ts is generated from the BTF
 * of the compiled objects, and the agent refuses an object whose layout
 * differs from the one that it was generated from.
 *
 * Rules: padding is explicit and zero; fields marked NBO are in network byte
 * order, all others in host byte order; times are nanoseconds of
 * CLOCK_MONOTONIC; value 0 of an id means "none" and is never handed out; an
 * enum value that has shipped is never given another meaning.
 */
#ifndef PORTOLAN_ABI_H
#define PORTOLAN_ABI_H

#include <linux/types.h>

/* Bump when a pinned map's key or value changes: it is part of the pin path. */
#define PL_LAYOUT_VERSION 1

#define PL_NAME_MAX 64		/* RFC 1123 label (63) and a NUL */
#define PL_SERVICE_RANGES_MAX 8
#define PL_POD_RANGES_MAX 4

/*
 * An IPv6 address, or an IPv4 address in its mapped form ::ffff:a.b.c.d
 * (RFC 4291 section 2.5.5.2), so that one set of maps and stages serves both
 * families. NBO.
 */
struct pl_addr {
	__u8 b[16];
};

/* ---- what user space writes: Services ---------------------------------- */

/* frontends: HASH. One address and port at which a Service is reached. */
struct pl_frontend_key {
	struct pl_addr addr;
	__be16 port;		/* NBO */
	__u8 proto;		/* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */
	__u8 pad;
};

enum pl_kind {
	PL_KIND_NONE,
	PL_KIND_CLUSTER_IP,
	PL_KIND_NODE_PORT,
	PL_KIND_EXTERNAL_IP,
	PL_KIND_LOAD_BALANCER,
};

enum pl_frontend_flags {
	/* The Service's policy for this frontend is Local: clients that the short
	 * circuit does not cover get the local list, and DROP when it is empty. */
	PL_FE_LOCAL = 1 << 0,
	/* Pods of this node and the node itself get the cluster list even under
	 * PL_FE_LOCAL (external frontends with a local-pod detector). */
	PL_FE_SHORT_CIRCUIT = 1 << 1,
	/* Masquerade every client (external frontends under policy Cluster,
	 * masqueradeAll). */
	PL_FE_MASQ = 1 << 2,
	/* Masquerade clients that are not pods of this node (cluster IPs where
	 * there is a local-pod detector). */
	PL_FE_MASQ_OFF_POD = 1 << 3,
	/* Consult the source ranges; a source in none of them is dropped. */
	PL_FE_SOURCE_RANGES = 1 << 4,
	/* Some endpoint somewhere is usable: an empty list means DROP, not REJECT. */
	PL_FE_HAS_ENDPOINTS = 1 << 5,
	/* The socket hook leaves this frontend to the packet path. */
	PL_FE_NO_SOCKET = 1 << 6,
	/* A node port on a loopback address: the socket hook serves it to the
	 * host's own network namespace, the packet path never. */
	PL_FE_LOCALHOST = 1 << 7,
	/* Keep the client's address when the chosen endpoint is on this node,
	 * although PL_FE_MASQ is set (preserveClientAddress). */
	PL_FE_KEEP_LOCAL_CLIENT = 1 << 8,
};

struct pl_frontend {
	__u32 service;		/* id of the Service port in `services` */
	__u32 cluster_set;	/* endpoint set that policy Cluster uses; 0: empty */
	__u32 cluster_count;
	__u32 local_set;	/* endpoint set that policy Local uses; 0: empty */
	__u32 local_count;
	__u32 flags;		/* enum pl_frontend_flags */
	__u32 affinity_s;	/* ClientIP affinity in seconds; 0: none */
	__u8 kind;		/* enum pl_kind */
	__u8 pad[3];
};

/*
 * slots: HASH. The endpoints of a set, at index 0 .. count - 1. A set is
 * written once, under an id that is never used again, before the frontends
 * that name it are switched to it.
 */
struct pl_slot_key {
	__u32 set;
	__u32 index;
};

enum pl_endpoint_flags {
	PL_EP_ON_NODE = 1 << 0,
	PL_EP_READY = 1 << 1,
	PL_EP_SERVING = 1 << 2,
	PL_EP_TERMINATING = 1 << 3,
};

struct pl_slot {
	struct pl_addr addr;
	__be16 port;		/* NBO */
	__u16 flags;		/* enum pl_endpoint_flags */
	/* The owner: the kernel may reuse an element under a reader, so a reader
	 * compares these and looks the frontend up once more on a mismatch. */
	__u32 set;
	__u32 service;
};

/* members: HASH. Only for sets with affinity: is this endpoint in the set? */
struct pl_member_key {
	__u32 set;
	__be16 port;		/* NBO */
	__u16 pad;
	struct pl_addr addr;
};

struct pl_member {
	__u32 index;		/* its slot */
};

/* backends: HASH. Every endpoint of a Service port that still serves, in a
 * list or not: UDP flows and retransmitted SYNs to others are decided anew. */
struct pl_backend_key {
	__u32 service;
	__be16 port;		/* NBO */
	__u16 pad;
	struct pl_addr addr;
};

struct pl_backend {
	__u32 flags;		/* enum pl_endpoint_flags */
};

/* services: HASH by id. Names for people; no program reads it. */
struct pl_service {
	char namespace[PL_NAME_MAX];
	char name[PL_NAME_MAX];
	char port_name[PL_NAME_MAX];	/* "" where the port has none */
	__u8 proto;
	__u8 family;		/* 4 or 6 */
	__u8 pad[2];
};

/* addresses: HASH. The gate that every packet passes: does anything at this
 * destination concern us? Kept while flows to a deleted frontend live. */
enum pl_address_flags {
	/* An active cluster IP: what no frontend serves is rejected. */
	PL_ADDR_CLUSTER_IP = 1 << 0,
};

struct pl_address {
	__u16 port_min;		/* host byte order, inclusive */
	__u16 port_max;
	__u8 flags;		/* enum pl_address_flags */
	__u8 pad[3];
};

/* source_ranges: LPM_TRIE. */
struct pl_source_key {
	__u32 prefixlen;	/* bits; 32 for the service and those of the prefix */
	__u32 service;		/* a fixed-width part of the prefix, byte order irrelevant */
	struct pl_addr addr;
};

struct pl_source {
	__u32 allowed;		/* 1 */
};

/* devices: HASH by ifindex. */
enum pl_device_flags {
	/* Its far end is a pod of this node (detectLocalMode of interfaces). */
	PL_DEV_LOCAL_POD = 1 << 0,
};

struct pl_device {
	__u32 flags;		/* enum pl_device_flags */
};

/* excluded_netns: HASH by network namespace cookie: no socket translation. */
struct pl_excluded {
	__u32 reason;		/* 1: configured */
};

/* meta: ARRAY of 1. Ids are reserved here before they are used. */
struct pl_meta {
	__u64 layout_hash;
	__u32 next_service;	/* ids from here on have never been handed out */
	__u32 next_set;
	__u64 written_ns;	/* when the agent last brought the maps up to date */
};

/* ---- what the programs write: flows ------------------------------------ */

/*
 * flows (HASH: confirmed flows, never evicted) and opening (LRU_HASH: flows
 * that the far end has not confirmed, and those that do not fit in `flows`).
 * Each flow has two entries: the forward one under the tuple that the client
 * sends, the reply one under the tuple that the backend sends.
 */
struct pl_flow_key {
	struct pl_addr src;
	struct pl_addr dst;
	__be16 sport;		/* NBO */
	__be16 dport;		/* NBO */
	__u8 proto;
	__u8 pad[3];
};

enum pl_flow_flags {
	PL_FLOW_REPLY = 1 << 0,		/* this is the reply entry */
	PL_FLOW_MASQ = 1 << 1,		/* every forward packet carries the mark */
	PL_FLOW_SPORT = 1 << 2,		/* the source port is rewritten, too */
	PL_FLOW_ANSWERED = 1 << 3,	/* a packet has come in this direction (reply entry) */
	PL_FLOW_CONFIRMED = 1 << 4,	/* has moved to `flows`; in `opening`: stale */
	PL_FLOW_FIN = 1 << 5,		/* FIN seen in this direction */
	PL_FLOW_RST = 1 << 6,		/* RST seen in this direction */
	PL_FLOW_ON_NODE = 1 << 7,	/* the backend is on this node */
};

struct pl_flow {
	__u64 seen_ns;		/* last packet of this direction, at most 1 s stale */
	__u64 created_ns;
	struct pl_addr nat_addr;	/* forward: backend; reply: frontend */
	__be16 nat_port;	/* NBO; forward: backend; reply: frontend */
	/* NBO; forward: source port that the backend sees; reply: the port from
	 * which the client sent. The key's own port unless PL_FLOW_SPORT. */
	__be16 client_port;
	__u32 service;
	__u32 set;		/* the list that it was chosen from */
	__u16 flags;		/* enum pl_flow_flags */
	__u8 kind;		/* enum pl_kind */
	__u8 pad;
};

/*
 * reply_gate: ARRAY of 1. By a hash of address and port: has this endpoint ever
 * been chosen? What comes from any other is no reply, and needs no look at the
 * flows. Set before the flow's entries are made, never cleared: a byte too many
 * costs a lookup, one too few would lose replies.
 */
#define PL_REPLY_GATE_SIZE 65536

struct pl_reply_gate {
	__u8 chosen[PL_REPLY_GATE_SIZE];
};

/* affinity: LRU_HASH. */
enum pl_client_type {
	PL_CLIENT_ADDR,		/* packet path: the source address */
	PL_CLIENT_NETNS,	/* socket hook: the network namespace's cookie */
};

struct pl_affinity_key {
	__u32 service;
	__u32 type;		/* enum pl_client_type */
	struct pl_addr client;	/* PL_CLIENT_NETNS: the cookie in the last 8 bytes, host order */
};

struct pl_affinity {
	__u64 seen_ns;		/* last new connection */
	struct pl_addr addr;
	__be16 port;		/* NBO */
	__u8 pad[6];
};

/* sockets: HASH by socket cookie. Translated connected sockets. */
struct pl_socket {
	__u64 created_ns;
	__u64 netns;		/* cookie of its network namespace */
	struct pl_addr frontend;
	struct pl_addr backend;
	__be16 frontend_port;	/* NBO */
	__be16 backend_port;	/* NBO */
	__u32 service;
	__u8 proto;
	__u8 family;		/* of the socket call: 4 or 6 (mapped addresses: 6) */
	__u8 kind;		/* enum pl_kind */
	__u8 pad[5];
};

/* peers: LRU_HASH. Unconnected UDP sockets: both directions of a translation. */
enum pl_peer_direction {
	PL_PEER_FORWARD,	/* key: frontend, value: backend */
	PL_PEER_REPLY,		/* key: backend, value: frontend */
};

struct pl_peer_key {
	__u64 cookie;
	struct pl_addr addr;
	__be16 port;		/* NBO */
	__u8 direction;		/* enum pl_peer_direction */
	__u8 pad[5];
};

struct pl_peer {
	__u64 seen_ns;
	struct pl_addr addr;
	__be16 port;		/* NBO */
	__u8 pad[2];
	__u32 service;
};

/* fragments: LRU_HASH. The ports of a fragmented datagram (RFC 791, 8200). */
struct pl_fragment_key {
	struct pl_addr src;
	struct pl_addr dst;
	__be32 id;		/* NBO */
	__u8 proto;
	__u8 pad[3];
};

struct pl_fragment {
	__be16 sport;		/* NBO */
	__be16 dport;		/* NBO */
};

/* ---- counters ----------------------------------------------------------- */

enum pl_hook {
	PL_HOOK_SOCKET,
	PL_HOOK_TC,
	PL_HOOK_XDP,
	PL_HOOK_MAX,
};

/* service_stats: PERCPU_HASH by service id; the agent makes the entries. */
struct pl_service_stats {
	__u64 served[PL_HOOK_MAX];	/* connections and UDP flows decided */
	__u64 rejected;
	__u64 dropped;
};

/*
 * reasons: PERCPU_ARRAY of __u64, counted at the one exit of each program. The
 * same word, in lower case with hyphens and without PL_, is used in metrics,
 * events, the CLI and tests.
 */
enum pl_reason {
	PL_NONE,
	/* nothing is answered */
	PL_DROP_NO_LOCAL_ENDPOINT,	/* policy Local, endpoints elsewhere only */
	PL_DROP_SOURCE_RANGE,		/* loadBalancerSourceRanges */
	PL_DROP_UNALLOCATED,		/* address of a service range that no Service has */
	PL_DROP_SERVICE_LEAK,		/* would have left the node for a service range */
	PL_DROP_FRAGMENT,		/* its first fragment has not been seen */
	PL_DROP_STALE_SLOT,		/* the slot had another owner, twice */
	PL_DROP_NAT_FAILED,		/* the kernel refused the rewrite */
	PL_DROP_NO_SOURCE_PORT,		/* reply tuples collide, no port was free */
	PL_DROP_TABLE_FULL,		/* no entry for the flow could be made */
	PL_DROP_REJECT_LIMITED,		/* a rejection above the rate limit */
	/* answered */
	PL_REJECT_NO_ENDPOINT,
	PL_REJECT_NO_FRONTEND,		/* port of an active cluster IP that no Service has */
	PL_RESET_UNKNOWN_FLOW,		/* TCP, not a SYN, and no entry */
	/* served, and worth knowing */
	PL_FLOW_TABLE_FULL,		/* a confirmed flow had to stay in `opening` */
	PL_FLOW_COLLISION,		/* another endpoint, or source port, was taken */
	PL_FLOW_RESELECTED,		/* a UDP flow's backend was gone */
	PL_SOCKET_TABLE_FULL,		/* no entry: TCP served without, UDP left to packets */
	PL_REASON_MAX,
};

/* ---- settings: .rodata, set before load --------------------------------- */

struct pl_range {
	struct pl_addr addr;
	struct pl_addr mask;
};

enum pl_setting_flags {
	/* Another proxy's flows may be alive: unknown non-SYN TCP passes. */
	PL_SET_TAKEOVER = 1 << 0,
	PL_SET_REJECT_UNKNOWN_PORTS = 1 << 1,
	PL_SET_DROP_UNALLOCATED = 1 << 2,
	/* Connected UDP sockets can be destroyed when their endpoint goes. */
	PL_SET_UDP_CONNECT = 1 << 3,
	/* Local pods are told by device (PL_DEV_LOCAL_POD), not by address. */
	PL_SET_POD_BY_DEVICE = 1 << 4,
};

struct pl_settings {
	__u64 host_netns;	/* cookie of the host's network namespace */
	__u32 flags;		/* enum pl_setting_flags */
	__u32 masquerade_mark;	/* kube-proxy's bit: 0x4000 */
	__u32 reject_per_second;	/* per CPU */
	__u32 service_range_count;
	__u32 pod_range_count;
	__u32 pad;
	struct pl_range service_ranges[PL_SERVICE_RANGES_MAX];
	struct pl_range pod_ranges[PL_POD_RANGES_MAX];
};

#define PL_SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type)
PL_SIZE(pl_addr, 16);
PL_SIZE(pl_frontend_key, 20);
PL_SIZE(pl_frontend, 32);
PL_SIZE(pl_slot_key, 8);
PL_SIZE(pl_slot, 28);
PL_SIZE(pl_member_key, 24);
PL_SIZE(pl_backend_key, 24);
PL_SIZE(pl_service, 196);
PL_SIZE(pl_address, 8);
PL_SIZE(pl_source_key, 24);
PL_SIZE(pl_meta, 24);
PL_SIZE(pl_flow_key, 40);
PL_SIZE(pl_flow, 48);
PL_SIZE(pl_reply_gate, PL_REPLY_GATE_SIZE);
PL_SIZE(pl_affinity_key, 24);
PL_SIZE(pl_affinity, 32);
PL_SIZE(pl_socket, 64);
PL_SIZE(pl_peer_key, 32);
PL_SIZE(pl_peer, 32);
PL_SIZE(pl_fragment_key, 40);
PL_SIZE(pl_settings, 32 + 32 * (PL_SERVICE_RANGES_MAX + PL_POD_RANGES_MAX));
#undef PL_SIZE

#endif /* PORTOLAN_ABI_H */
