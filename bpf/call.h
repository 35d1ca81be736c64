/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * call.h - a socket call without its family: read from the context, and written
 * back. Nothing after it knows whether connect4 or connect6 has run.
 */
#ifndef PORTOLAN_CALL_H
#define PORTOLAN_CALL_H

#include "select.h"

#define PL_AF_INET6 10

/* A socket call, the same for both families and all hooks. */
struct pl_call {
	/* What the process names (connect, sendmsg), or what the kernel is about
	 * to tell it (recvmsg, getpeername). */
	struct pl_frontend_key remote;
	/* The peer of a connected socket, as the kernel has it. */
	struct pl_addr peer;
	__be16 peer_port;
	bool connected;
	/* Opened by the kernel (NFS, subflows of MPTCP): no sock_release program
	 * runs for it, so an entry would never go. */
	bool kernel;
	__u8 family;			/* of the address: 4 or 6 */
	__u64 cookie;
	__u64 netns;
	struct pl_choice choice;	/* addr and port: what to put in its place */
	enum pl_reason reason;		/* counted at the exit */
};

PL_INLINE bool pl_call_on_host(const struct pl_call *call)
{
	return settings.host_netns && call->netns == settings.host_netns;
}

PL_INLINE void pl_call_read(struct bpf_sock_addr *ctx, struct pl_call *call, __u8 family)
{
	if (family == 4) {
		pl_addr_from4(&call->remote.addr, ctx->user_ip4);
	} else {
		/* Java's habit, ::ffff:10.96.0.1, is the form that the maps have. */
		const __u32 v6[4] = { ctx->user_ip6[0], ctx->user_ip6[1],
				      ctx->user_ip6[2], ctx->user_ip6[3] };

		pl_addr_from6(&call->remote.addr, v6);
	}
	call->remote.port = ctx->user_port;
	call->remote.proto = ctx->protocol;
	call->family = family;
	call->cookie = bpf_get_socket_cookie(ctx);
	call->netns = bpf_get_netns_cookie(ctx);
}

/* struct sock of the kernel, as far as it matters here. */
struct sock___kernel {
	unsigned char sk_kern_sock : 1;
} __attribute__((preserve_access_index));

/* TCP only: no user can make the kernel connect UDP sockets at will. */
PL_INLINE void pl_call_read_owner(struct bpf_sock_addr *ctx, struct pl_call *call)
{
	struct sock___kernel *sk = (void *)bpf_skc_to_tcp_sock(ctx->sk);

	if (sk && bpf_core_field_exists(sk->sk_kern_sock))
		call->kernel = BPF_CORE_READ_BITFIELD(sk, sk_kern_sock);
}

/* UDP: is the socket connected, and where? An AF_INET6 one may send IPv4. */
PL_INLINE void pl_call_read_peer(struct bpf_sock_addr *ctx, struct pl_call *call)
{
	const volatile struct bpf_sock *sk = ctx->sk;

	if (!sk || sk->state != BPF_TCP_ESTABLISHED)
		return;
	/* All is read before the choice: clang would join loads of two branches
	 * over a computed address, which the verifier refuses. */
	const __u32 v6[4] = { sk->dst_ip6[0], sk->dst_ip6[1], sk->dst_ip6[2], sk->dst_ip6[3] };
	__be32 v4 = sk->dst_ip4;

	call->connected = true;
	call->peer_port = sk->dst_port;
	if (sk->family == PL_AF_INET6)
		pl_addr_from6(&call->peer, v6);
	else
		pl_addr_from4(&call->peer, v4);
}

/* A mapped address stays mapped: its backend is IPv4, too. */
PL_INLINE void pl_call_write(struct bpf_sock_addr *ctx, const struct pl_call *call, __u8 family)
{
	const struct pl_addr *to = &call->choice.addr;

	ctx->user_port = call->choice.port;
	if (family == 4) {
		ctx->user_ip4 = pl_addr_word(to, 3);
		return;
	}
	if (!pl_addr_is4(&call->remote.addr)) {
		ctx->user_ip6[0] = pl_addr_word(to, 0);
		ctx->user_ip6[1] = pl_addr_word(to, 1);
		ctx->user_ip6[2] = pl_addr_word(to, 2);
	}
	ctx->user_ip6[3] = pl_addr_word(to, 3);
}

#endif /* PORTOLAN_CALL_H */
