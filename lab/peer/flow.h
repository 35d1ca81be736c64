/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One conversation with a server, without blocking: open, ask, hear the answer, ask again or close. `ask`, `load` and
 * `hold` differ only in when they open flows and what they do after an answer.
 */
#ifndef PEER_FLOW_H
#define PEER_FLOW_H

#include "common.h"

/* Failures that are no errno. Above every errno. */
#define WRONG_SOURCE 4001
#define WRONG_ANSWER 4002
#define CLOSED_EARLY 4003

struct flow {
	int fd;
	bool connecting;
	/* On the idle list: connected, and asking nothing at the moment. */
	bool resting;
	/* The server has introduced itself; always so for UDP, where each answer does. */
	bool introduced;
	unsigned int sequence;
	int64_t opened_us, asked_us, due_us;
	double opened_wall_ms;
	char answer[LINE_MAX_BYTES * 2];
	size_t length;
	/* The last introduction, split: who answered, whom it saw, which address it was asked on. */
	char name[NAME_MAX_BYTES], seen_address[INET6_ADDRSTRLEN + 1], server_address[INET6_ADDRSTRLEN + 1];
	int seen_port;
	/* Who answered the time before. */
	char last_name[NAME_MAX_BYTES];
	/* getpeername() tells another address than the one that was asked. */
	bool other_peer;
	struct sockaddr_storage source;
	struct flow *next, *previous;
};

/* What to do at a flow's turning points; `error` is an errno, WRONG_… or 0. */
struct flow_events {
	void (*answered)(struct flow *flow);
	void (*failed)(struct flow *flow, int error);
};

/* Flows in the order in which they are due; appended at the end, since every wait of one kind is equally long. */
struct flow_list {
	struct flow *first, *last;
};

static struct {
	const struct options *o;
	struct flow_events on;
	int epoll;
	struct flow_list waiting, idle;
	int open;
} engine;

static inline void list_append(struct flow_list *list, struct flow *f)
{
	f->next = NULL;
	f->previous = list->last;
	if (list->last)
		list->last->next = f;
	else
		list->first = f;
	list->last = f;
}

static inline void list_remove(struct flow_list *list, struct flow *f)
{
	if (f->previous)
		f->previous->next = f->next;
	else
		list->first = f->next;
	if (f->next)
		f->next->previous = f->previous;
	else
		list->last = f->previous;
}

static inline const char *failure_name(int error)
{
	return error == WRONG_SOURCE ? "wrong-source" :
	       error == WRONG_ANSWER ? "wrong-answer" :
	       error == CLOSED_EARLY ? "closed-early" :
				       errno_name(error);
}

/* Closes and forgets; the caller has taken it from its list. */
static inline void flow_close(struct flow *f)
{
	if (f->fd >= 0)
		close(f->fd);
	engine.open--;
	free(f);
}

static inline void flow_fail(struct flow *f, int error)
{
	list_remove(&engine.waiting, f);
	engine.on.failed(f, error);
}

static inline bool flow_bind(const struct flow *f, const struct options *o)
{
	struct sockaddr_storage from;
	int one = 1;
	const char *any = o->target.ss_family == AF_INET ? "0.0.0.0" : "::";

	if (!o->bind_port && !o->bind_address)
		return true;
	if (!parse_address(o->bind_address ? o->bind_address : any, o->bind_port, &from))
		die("no address: %s", o->bind_address);
	setsockopt(f->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	return !bind(f->fd, (void *)&from, address_size(&from));
}

static inline void check_peer(struct flow *f)
{
	struct sockaddr_storage peer;
	socklen_t size = sizeof(peer);

	if (!getpeername(f->fd, (void *)&peer, &size))
		f->other_peer = !same_address(&peer, &engine.o->target);
}

static inline int flow_send(struct flow *f)
{
	char request[32];
	int length = snprintf(request, sizeof(request), "ask %u\n", ++f->sequence);
	const struct options *o = engine.o;
	bool addressed = o->udp && !o->connected;

	f->asked_us = now_us();
	if (sendto(f->fd, request, length, MSG_NOSIGNAL, addressed ? (void *)&o->target : NULL,
		   addressed ? address_size(&o->target) : 0) < 0)
		return errno;
	return 0;
}

/* Asks (again); the answer is due within the timeout. The flow is on no list before and on `waiting` after. */
static inline void flow_ask(struct flow *f)
{
	int error;

	f->due_us = now_us() + engine.o->timeout_ms * 1000LL;
	list_append(&engine.waiting, f);
	error = f->connecting ? 0 : flow_send(f);
	if (error)
		flow_fail(f, error);
}

/* @returns an errno, or 0 when the socket is made and, for TCP, the connection is on its way. */
static inline int flow_start(struct flow *f)
{
	const struct options *o = engine.o;
	int family = o->target.ss_family, one = 1;

	f->fd = socket(family, (o->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (f->fd < 0)
		return errno;
	/* Without it an unconnected UDP socket never hears of a refusal. */
	if (o->udp)
		setsockopt(f->fd, family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6,
			   family == AF_INET ? IP_RECVERR : IPV6_RECVERR, &one, sizeof(one));
	else
		setsockopt(f->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (!flow_bind(f, o))
		return errno;
	if (o->udp && !o->connected)
		return 0;
	if (connect(f->fd, (void *)&o->target, address_size(&o->target))) {
		if (errno != EINPROGRESS)
			return errno;
		f->connecting = true;
		return 0;
	}
	check_peer(f);
	return 0;
}

static inline void flow_open(void)
{
	struct flow *f = must(calloc(1, sizeof(*f)));
	int error;

	engine.open++;
	f->opened_us = f->asked_us = now_us();
	f->opened_wall_ms = wall_ms();
	error = flow_start(f);
	if (error) {
		list_append(&engine.waiting, f);
		flow_fail(f, error);
		return;
	}
	watch(engine.epoll, EPOLL_CTL_ADD, f->fd, f->connecting ? EPOLLOUT : EPOLLIN, f);
	flow_ask(f);
}

#endif
