/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * peer.h - unconnected UDP: sendmsg() with an address, recvmsg() that asks for
 * one. A socket keeps its backend for a frontend while the backend serves, and
 * is told the frontend when the backend answers.
 */
#ifndef PORTOLAN_PEER_H
#define PORTOLAN_PEER_H

#include "sock.h"

#define PL_PEER_TRIES 4

PL_INLINE struct pl_peer *pl_peer_find(__u64 cookie, enum pl_peer_direction direction,
				       const struct pl_addr *addr, __be16 port)
{
	struct pl_peer_key key = { .cookie = cookie, .port = port, .direction = direction };

	key.addr = *addr;
	return bpf_map_lookup_elem(&peers, &key);
}

PL_INLINE long pl_peer_write(const struct pl_call *call, enum pl_peer_direction direction)
{
	bool forward = direction == PL_PEER_FORWARD;
	struct pl_peer_key key = {
		.cookie = call->cookie,
		.addr = forward ? call->remote.addr : call->choice.addr,
		.port = forward ? call->remote.port : call->choice.port,
		.direction = direction,
	};
	struct pl_peer value = {
		.seen_ns = pl_now(),
		.addr = forward ? call->choice.addr : call->remote.addr,
		.port = forward ? call->choice.port : call->remote.port,
		.service = call->choice.service,
	};

	return bpf_map_update_elem(&peers, &key, &value, BPF_ANY);
}

PL_INLINE void pl_peer_touch(struct pl_peer *peer)
{
	__u64 now = pl_now();

	/* At most once a second: a write would move the cache line each time. */
	if (now - peer->seen_ns > PL_NSEC_PER_SEC)
		peer->seen_ns = now;
}

/* Whose answers do those of the chosen backend pass for? */
enum pl_peer_owner {
	PL_PEER_NOBODY,
	PL_PEER_OURS,
	PL_PEER_ANOTHER,	/* another frontend that this socket talks to */
};

PL_INLINE enum pl_peer_owner pl_peer_owner(const struct pl_call *call)
{
	const struct pl_peer *reply = pl_peer_find(call->cookie, PL_PEER_REPLY,
						   &call->choice.addr, call->choice.port);

	if (!reply)
		return PL_PEER_NOBODY;
	if (reply->port == call->remote.port && pl_addr_equal(&reply->addr, &call->remote.addr))
		return PL_PEER_OURS;
	return PL_PEER_ANOTHER;
}

/* The backend that this socket already uses for the frontend, while it serves. */
PL_INLINE bool pl_peer_keep(struct pl_call *call, const struct pl_frontend *fe)
{
	struct pl_peer *peer = pl_peer_find(call->cookie, PL_PEER_FORWARD, &call->remote.addr,
					    call->remote.port);

	if (!peer)
		return false;
	call->choice.addr = peer->addr;
	call->choice.port = peer->port;
	call->choice.service = fe->service;
	if (!pl_backend_listed(fe->service, &call->choice.addr, call->choice.port)) {
		call->reason = PL_FLOW_RESELECTED;
		return false;
	}
	pl_peer_touch(peer);
	/* The last frontend spoken to owns a shared backend's answers; the lookup
	 * also keeps the reply entry as recently used as this one. */
	if (pl_peer_owner(call) != PL_PEER_OURS)
		pl_peer_write(call, PL_PEER_REPLY);
	return true;
}

/*
 * Two frontends with one backend make answers that look alike: takes another
 * endpoint, where affinity leaves the choice. Else the last one spoken to wins.
 */
PL_INLINE bool pl_peer_separate(struct pl_call *call, struct pl_frontend *fe,
				struct pl_client *client)
{
	for (int attempt = 1; attempt < PL_PEER_TRIES; attempt++) {
		if (pl_peer_owner(call) != PL_PEER_ANOTHER)
			return true;
		call->reason = PL_FLOW_COLLISION;
		if (fe->affinity_s || call->choice.count < 2)
			return true;
		if (pl_sock_select(call, fe, client, attempt))
			return false;
	}
	return true;
}

PL_INLINE enum pl_verdict pl_peer_new(struct pl_call *call, struct pl_frontend *fe)
{
	struct pl_client client = {};
	enum pl_verdict verdict = pl_sock_choose(call, fe, &client);

	if (verdict != PL_TRANSLATE)
		return verdict;
	if (!pl_peer_separate(call, fe, &client)) {
		call->reason = PL_DROP_STALE_SLOT;
		return PL_PASS;
	}
	/* First the answers: they may come before sendmsg() returns. */
	if (pl_peer_write(call, PL_PEER_REPLY) || pl_peer_write(call, PL_PEER_FORWARD)) {
		call->reason = PL_SOCKET_TABLE_FULL;
		return PL_PASS;
	}
	pl_remember_client(fe, &client, &call->choice);
	pl_count_served(fe->service, PL_HOOK_SOCKET);
	return PL_TRANSLATE;
}

/*
 * A connected socket hears its peer only: to the frontend behind its peer it
 * sends to the peer, and a frontend that it reaches by packets stays there.
 */
PL_INLINE bool pl_send_connected(struct pl_call *call, enum pl_verdict *verdict)
{
	const struct pl_socket *socket = bpf_map_lookup_elem(&sockets, &call->cookie);

	*verdict = PL_PASS;
	if (call->peer_port == call->remote.port &&
	    pl_addr_equal(&call->peer, &call->remote.addr))
		return true;
	if (!socket || socket->frontend_port != call->remote.port ||
	    !pl_addr_equal(&socket->frontend, &call->remote.addr))
		return false;
	call->choice.addr = socket->backend;
	call->choice.port = socket->backend_port;
	*verdict = PL_TRANSLATE;
	return true;
}

/* sendmsg() with an address. */
PL_INLINE enum pl_verdict pl_send(struct pl_call *call)
{
	struct pl_frontend fe = {};
	enum pl_verdict verdict;

	if (call->remote.proto != IPPROTO_UDP)
		return PL_PASS;
	if (call->connected && pl_send_connected(call, &verdict))
		return verdict;
	if (!pl_sock_frontend(call, &fe))
		return PL_PASS;
	if (pl_peer_keep(call, &fe))
		return PL_TRANSLATE;
	return pl_peer_new(call, &fe);
}

/* recvmsg() that asks who sent it. */
PL_INLINE enum pl_verdict pl_receive(struct pl_call *call)
{
	struct pl_peer *peer;

	if (call->connected && pl_socket_reply(call) == PL_TRANSLATE)
		return PL_TRANSLATE;
	peer = pl_peer_find(call->cookie, PL_PEER_REPLY, &call->remote.addr, call->remote.port);
	if (!peer)
		return PL_PASS;
	call->choice.addr = peer->addr;
	call->choice.port = peer->port;
	pl_peer_touch(peer);
	return PL_TRANSLATE;
}

#endif /* PORTOLAN_PEER_H */
