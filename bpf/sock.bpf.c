// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * sock.bpf.c - the socket hook: translates a Service's address once, where a
 * process names it, so that no packet needs it. One set of stages (sock.h,
 * peer.h) serves both families; only reading and writing the call differ.
 *
 * Linux 5.10. Attached to a cgroup: every process in it and below.
 */
#include "peer.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

PL_INLINE int pl_on_connect(struct bpf_sock_addr *ctx, __u8 family)
{
	struct pl_call call = {};
	enum pl_verdict verdict;

	pl_call_read(ctx, &call, family);
	pl_call_read_owner(ctx, &call);
	verdict = pl_connect(&call);
	if (verdict == PL_TRANSLATE)
		pl_call_write(ctx, &call, family);
	return pl_sock_exit(&call, verdict);
}

PL_INLINE int pl_on_sendmsg(struct bpf_sock_addr *ctx, __u8 family)
{
	struct pl_call call = {};
	enum pl_verdict verdict;

	pl_call_read(ctx, &call, family);
	pl_call_read_peer(ctx, &call);
	verdict = pl_send(&call);
	if (verdict == PL_TRANSLATE)
		pl_call_write(ctx, &call, family);
	return pl_sock_exit(&call, verdict);
}

PL_INLINE int pl_on_recvmsg(struct bpf_sock_addr *ctx, __u8 family)
{
	struct pl_call call = {};

	pl_call_read(ctx, &call, family);
	pl_call_read_peer(ctx, &call);
	if (pl_receive(&call) == PL_TRANSLATE)
		pl_call_write(ctx, &call, family);
	return 1;
}

PL_INLINE int pl_on_peername(struct bpf_sock_addr *ctx, __u8 family)
{
	struct pl_call call = {};

	pl_call_read(ctx, &call, family);
	if (pl_socket_reply(&call) == PL_TRANSLATE)
		pl_call_write(ctx, &call, family);
	return 1;
}

#define PL_PROGRAM(name, section, stage, family)	\
	SEC(section)					\
	int name(struct bpf_sock_addr *ctx)		\
	{						\
		return stage(ctx, family);		\
	}

PL_PROGRAM(pl_connect4, "cgroup/connect4", pl_on_connect, 4)
PL_PROGRAM(pl_connect6, "cgroup/connect6", pl_on_connect, 6)
PL_PROGRAM(pl_sendmsg4, "cgroup/sendmsg4", pl_on_sendmsg, 4)
PL_PROGRAM(pl_sendmsg6, "cgroup/sendmsg6", pl_on_sendmsg, 6)
PL_PROGRAM(pl_recvmsg4, "cgroup/recvmsg4", pl_on_recvmsg, 4)
PL_PROGRAM(pl_recvmsg6, "cgroup/recvmsg6", pl_on_recvmsg, 6)
PL_PROGRAM(pl_peername4, "cgroup/getpeername4", pl_on_peername, 4)
PL_PROGRAM(pl_peername6, "cgroup/getpeername6", pl_on_peername, 6)

/* Never fails a release. */
SEC("cgroup/sock_release")
int pl_release(struct bpf_sock *ctx)
{
	pl_socket_forget(bpf_get_socket_cookie(ctx));
	return 1;
}
