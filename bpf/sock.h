/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * sock.h - the stages of connect(): the frontend that it names, the endpoint
 * that it gets, and the entry by which getpeername() and the agent find it
 * again. peer.h has unconnected UDP.
 */
#ifndef PORTOLAN_SOCK_H
#define PORTOLAN_SOCK_H

#include "call.h"

#define PL_ECONNREFUSED 111

/*
 * bpf_set_retval() came with Linux 5.18, but to connect() and sendmsg() only
 * with 6.1 (8a67f2de9b1d). BTF does not say who may call a helper: this one,
 * of the same release, stands for it.
 */
enum bpf_func_id___linux61 {
	BPF_FUNC_user_ringbuf_drain___linux61 = 209,
};

enum pl_verdict {
	PL_PASS,		/* the call goes on as it is */
	PL_TRANSLATE,		/* ... with the address of call->choice */
	PL_REFUSE,		/* it fails with ECONNREFUSED */
};

/*
 * Copies the frontend at `key`. Since Linux 6.1 a freed element of a hash is
 * reused at once, so a reader that is preempted may find another frontend's
 * value in it: it was ours if our key still leads to it afterwards.
 */
PL_INLINE bool pl_frontend_copy(const struct pl_frontend_key *key, struct pl_frontend *fe)
{
	const struct pl_frontend *now = bpf_map_lookup_elem(&frontends, key);

	for (int attempt = 0; attempt < 2; attempt++) {
		const struct pl_frontend *before = now;

		if (!now)
			return false;
		*fe = *now;
		now = bpf_map_lookup_elem(&frontends, key);
		if (now == before)
			return true;
	}
	return false;
}

/*
 * The frontend that this call is for, if it is the socket hook's to serve. A
 * loopback address is served to the host alone, and only by its own frontends.
 */
PL_INLINE bool pl_sock_frontend(const struct pl_call *call, struct pl_frontend *fe)
{
	const struct pl_addr *addr = &call->remote.addr;
	bool loopback = pl_addr_is_loopback(addr);

	if (pl_addr_is_linklocal(addr) || !pl_frontend_copy(&call->remote, fe))
		return false;
	if (fe->flags & (PL_FE_NO_SOCKET | PL_FE_SOURCE_RANGES))
		return false;
	if (loopback != !!(fe->flags & PL_FE_LOCALHOST) || (loopback && !pl_call_on_host(call)))
		return false;
	return !bpf_map_lookup_elem(&excluded_netns, &call->netns);
}

/*
 * Every process here is on the node: policy Local of an external frontend is
 * short-circuited for the host itself always, for pods where there is a
 * detector (PL_FE_SHORT_CIRCUIT); internalTrafficPolicy never is.
 */
PL_INLINE enum pl_reason pl_sock_select(struct pl_call *call, struct pl_frontend *fe,
					struct pl_client *client, int attempt)
{
	if (pl_call_on_host(call))
		fe->flags |= PL_FE_SHORT_CIRCUIT;
	client->on_node = fe->kind != PL_KIND_CLUSTER_IP;
	client->affinity.type = PL_CLIENT_NETNS;
	__builtin_memcpy(&client->affinity.client.b[8], &call->netns, sizeof(call->netns));
	return pl_select(fe, client, attempt, &call->choice);
}

/* Silence (DROP) is the packet path's to keep, a refusal is ours to give. */
PL_INLINE enum pl_verdict pl_sock_choose(struct pl_call *call, struct pl_frontend *fe,
					 struct pl_client *client)
{
	enum pl_reason reason = PL_DROP_STALE_SLOT;

	for (int attempt = 0; attempt < 2 && reason == PL_DROP_STALE_SLOT; attempt++) {
		if (!pl_sock_frontend(call, fe))
			return PL_PASS;
		reason = pl_sock_select(call, fe, client, 0);
	}
	if (reason == PL_NONE)
		return PL_TRANSLATE;
	if (reason == PL_DROP_NO_LOCAL_ENDPOINT)
		return PL_PASS;
	call->reason = reason;
	if (reason == PL_DROP_STALE_SLOT)
		return PL_PASS;
	pl_count_refused(fe->service, reason);
	return PL_REFUSE;
}

/* Removes the entry of a socket that is none of ours, or none any more. */
PL_INLINE void pl_socket_forget(__u64 cookie)
{
	/* Most sockets have none: a lookup takes no lock. */
	if (bpf_map_lookup_elem(&sockets, &cookie))
		bpf_map_delete_elem(&sockets, &cookie);
}

PL_INLINE long pl_socket_remember(const struct pl_call *call, const struct pl_frontend *fe)
{
	struct pl_socket value = {
		.created_ns = pl_now(),
		.netns = call->netns,
		.frontend = call->remote.addr,
		.backend = call->choice.addr,
		.frontend_port = call->remote.port,
		.backend_port = call->choice.port,
		.service = fe->service,
		.proto = call->remote.proto,
		.family = call->family,
		.kind = fe->kind,
	};

	return bpf_map_update_elem(&sockets, &call->cookie, &value, BPF_ANY);
}

PL_INLINE enum pl_verdict pl_connect_new(struct pl_call *call)
{
	struct pl_frontend fe = {};
	struct pl_client client = {};
	enum pl_verdict verdict;
	__u8 proto = call->remote.proto;

	if (proto != IPPROTO_TCP && !(proto == IPPROTO_UDP && pl_setting(PL_SET_UDP_CONNECT)))
		return PL_PASS;
	verdict = pl_sock_choose(call, &fe, &client);
	if (verdict != PL_TRANSLATE)
		return verdict;
	if (!call->kernel && pl_socket_remember(call, &fe)) {
		call->reason = PL_SOCKET_TABLE_FULL;
		/* Nobody could destroy this socket when its endpoint goes. */
		if (proto == IPPROTO_UDP)
			return PL_PASS;
	}
	pl_remember_client(&fe, &client, &call->choice);
	pl_count_served(fe.service, PL_HOOK_SOCKET);
	return PL_TRANSLATE;
}

/* connect(). A refused one leaves the socket, and so its entry, as it was. */
PL_INLINE enum pl_verdict pl_connect(struct pl_call *call)
{
	enum pl_verdict verdict = pl_connect_new(call);

	if (verdict == PL_PASS)
		pl_socket_forget(call->cookie);
	return verdict;
}

/* The frontend to which this socket is connected, if `remote` is its backend. */
PL_INLINE enum pl_verdict pl_socket_reply(struct pl_call *call)
{
	const struct pl_socket *socket = bpf_map_lookup_elem(&sockets, &call->cookie);

	if (!socket || socket->backend_port != call->remote.port ||
	    !pl_addr_equal(&socket->backend, &call->remote.addr))
		return PL_PASS;
	call->choice.addr = socket->frontend;
	call->choice.port = socket->frontend_port;
	return PL_TRANSLATE;
}

/* The one exit of connect() and sendmsg(). */
PL_INLINE int pl_sock_exit(const struct pl_call *call, enum pl_verdict verdict)
{
	if (call->reason)
		pl_count(call->reason);
	if (verdict != PL_REFUSE)
		return 1;
	if (bpf_core_enum_value_exists(enum bpf_func_id___linux61,
				       BPF_FUNC_user_ringbuf_drain___linux61))
		bpf_set_retval(-PL_ECONNREFUSED);
	return 0;	/* EPERM, unless a value is set */
}

#endif /* PORTOLAN_SOCK_H */
