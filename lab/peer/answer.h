/* SPDX-License-Identifier: Apache-2.0 */
/* What comes back on a flow: received, checked against what was asked. */
#ifndef PEER_ANSWER_H
#define PEER_ANSWER_H

#include "flow.h"

static inline bool introduce(struct flow *f, const char *line)
{
	return sscanf(line, "%63s %46s %d %46s", f->name, f->seen_address, &f->seen_port, f->server_address) == 4;
}

/*
 * Takes whole lines from what has arrived: the introduction, then the echo of the request.
 * @returns 0 when the answer is complete, EAGAIN when more must come, WRONG_ANSWER.
 */
static inline int flow_parse(struct flow *f)
{
	char *end;

	f->answer[f->length] = 0;
	while ((end = strchr(f->answer, '\n'))) {
		unsigned int sequence = 0;
		bool fine;

		*end = 0;
		fine = f->introduced ? sscanf(f->answer, "ask %u", &sequence) == 1 : introduce(f, f->answer);
		f->length -= end + 1 - f->answer;
		memmove(f->answer, end + 1, f->length + 1);
		if (!fine)
			return WRONG_ANSWER;
		/* A late echo, of a question that was counted as lost, is passed over. */
		if (f->introduced && sequence == f->sequence)
			return 0;
		f->introduced = true;
	}
	return EAGAIN;
}

static inline void drain_errors(struct flow *f)
{
	char control[512], payload[64];
	struct iovec in = { payload, sizeof(payload) };
	struct msghdr m = { .msg_iov = &in, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control) };

	while (recvmsg(f->fd, &m, MSG_ERRQUEUE) >= 0)
		m.msg_controllen = sizeof(control);
}

static inline int flow_receive(struct flow *f)
{
	const struct options *o = engine.o;
	struct iovec in = { f->answer + f->length, sizeof(f->answer) - 1 - f->length };
	struct msghdr m = {
		.msg_name = &f->source, .msg_namelen = sizeof(f->source), .msg_iov = &in, .msg_iovlen = 1
	};
	ssize_t n;

	if (o->udp) {
		f->length = 0;
		f->introduced = false;
		in = (struct iovec){ f->answer, sizeof(f->answer) - 1 };
	}
	n = recvmsg(f->fd, &m, 0);
	if (n < 0) {
		int error = errno;

		if (o->udp)
			drain_errors(f);
		return error;
	}
	if (!n && !o->udp)
		return CLOSED_EARLY;
	f->length += n;
	if (o->udp && !same_address(&f->source, &o->target))
		return WRONG_SOURCE;
	return flow_parse(f);
}

#endif
