/* SPDX-License-Identifier: Apache-2.0 */
/* Turns the flows' wheel: events, rests, answers that are overdue. */
#ifndef PEER_ENGINE_H
#define PEER_ENGINE_H

#include "answer.h"

static inline void flow_connected(struct flow *f)
{
	int error = 0;
	socklen_t size = sizeof(error);

	getsockopt(f->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (!error) {
		f->connecting = false;
		check_peer(f);
		watch(engine.epoll, EPOLL_CTL_MOD, f->fd, EPOLLIN, f);
		error = flow_send(f);
	}
	if (error)
		flow_fail(f, error);
}

static inline void flow_event(struct flow *f)
{
	int error;

	if (f->connecting) {
		flow_connected(f);
		return;
	}
	error = flow_receive(f);
	if (error == EAGAIN || (f->resting && !error))
		return;
	if (f->resting) {
		list_remove(&engine.idle, f);
		list_append(&engine.waiting, f);
		f->resting = false;
	}
	if (error) {
		flow_fail(f, error);
		return;
	}
	list_remove(&engine.waiting, f);
	engine.on.answered(f);
}

/* Leaves the flow alone for a while; after its answer, when it is on no list. */
static inline void flow_rest(struct flow *f, int64_t microseconds)
{
	f->resting = true;
	f->due_us = now_us() + microseconds;
	list_append(&engine.idle, f);
}

/* Asks again on every flow that has rested long enough. */
static inline void ask_rested(void)
{
	int64_t now = now_us();
	struct flow *f;

	while ((f = engine.idle.first) && f->due_us <= now) {
		list_remove(&engine.idle, f);
		f->resting = false;
		flow_ask(f);
	}
}

/* Serves events until `until_us`, and fails flows whose answer is overdue. */
static inline void engine_turn(int64_t until_us)
{
	struct epoll_event events[128];
	int64_t now = now_us(), wake = until_us;
	int n;

	if (engine.waiting.first && engine.waiting.first->due_us < wake)
		wake = engine.waiting.first->due_us;
	if (engine.idle.first && engine.idle.first->due_us < wake)
		wake = engine.idle.first->due_us;
	n = epoll_wait(engine.epoll, events, 128, wake > now ? (wake - now + 999) / 1000 : 0);
	for (int i = 0; i < n; i++)
		flow_event(events[i].data.ptr);
	now = now_us();
	while (engine.waiting.first && engine.waiting.first->due_us <= now)
		flow_fail(engine.waiting.first, ETIMEDOUT);
}

static inline void engine_start(const struct options *o, struct flow_events on)
{
	engine.o = o;
	engine.on = on;
	engine.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (engine.epoll < 0)
		die("epoll: %s", errno_name(errno));
}

#endif
