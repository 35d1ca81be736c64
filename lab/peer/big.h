/* SPDX-License-Identifier: Apache-2.0 */
/* peer big: many bytes there and back, compared one by one: segmentation offload, fragments, checksums. */
#ifndef PEER_BIG_H
#define PEER_BIG_H

#include "tally.h"

#include <poll.h>

/* Differs at every offset and every power of two nearby, so that no shifted or repeated piece looks right. */
static inline char byte_at(long offset)
{
	return (char)(offset * 131 + (offset >> 8) * 29 + (offset >> 16) * 7);
}

static void fill(char *to, long offset, size_t length)
{
	for (size_t i = 0; i < length; i++)
		to[i] = byte_at(offset + i);
}

static int compare(const char *from, long offset, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (from[i] != byte_at(offset + i))
			return WRONG_ANSWER;
	return 0;
}

/* What has come back over TCP: the introduction, then our bytes. */
struct coming_back {
	char line[LINE_MAX_BYTES];
	size_t line_length;
	bool introduced;
	long bytes;
};

static int take(struct coming_back *c, const char *from, size_t length)
{
	int error;

	while (length && !c->introduced) {
		if (c->line_length == sizeof(c->line) - 1)
			return WRONG_ANSWER;
		c->introduced = *from == '\n';
		c->line[c->line_length++] = c->introduced ? 0 : *from;
		from++;
		length--;
	}
	error = compare(from, c->bytes, length);
	c->bytes += length;
	return error;
}

static int big_tcp(int fd, const struct options *o, struct coming_back *c)
{
	static char out[65536], in[65536];
	long sent = 0;

	while (c->bytes < o->bytes || !c->introduced) {
		struct pollfd p = { fd, POLLIN | (sent < o->bytes ? POLLOUT : 0), 0 };
		int n = poll(&p, 1, o->timeout_ms), error;
		ssize_t moved;

		if (n <= 0)
			return n ? errno : ETIMEDOUT;
		if (p.revents & POLLOUT) {
			size_t length = o->bytes - sent < (long)sizeof(out) ? o->bytes - sent : (long)sizeof(out);

			fill(out, sent, length);
			moved = send(fd, out, length, MSG_NOSIGNAL | MSG_DONTWAIT);
			if (moved < 0 && errno != EAGAIN)
				return errno;
			sent += moved > 0 ? moved : 0;
		}
		if (p.revents & (POLLIN | POLLERR | POLLHUP)) {
			moved = recv(fd, in, sizeof(in), MSG_DONTWAIT);
			if (moved < 0 && errno == EAGAIN)
				continue;
			if (moved <= 0)
				return moved ? errno : CLOSED_EARLY;
			error = take(c, in, moved);
			if (error)
				return error;
		}
	}
	return 0;
}

static int big_udp(int fd, const struct options *o, struct coming_back *c)
{
	static char out[DATAGRAM_MAX], in[65536];
	struct sockaddr_storage source;
	socklen_t size = sizeof(source);
	struct pollfd p = { fd, POLLIN, 0 };
	ssize_t n;

	fill(out, 0, o->bytes);
	if (sendto(fd, out, o->bytes, 0, o->connected ? NULL : (void *)&o->target,
		   o->connected ? 0 : address_size(&o->target)) < 0)
		return errno;
	if (poll(&p, 1, o->timeout_ms) != 1)
		return ETIMEDOUT;
	n = recvfrom(fd, in, sizeof(in), 0, (void *)&source, &size);
	if (n < 0)
		return errno;
	if (!same_address(&source, &o->target))
		return WRONG_SOURCE;
	if (take(c, in, n))
		return WRONG_ANSWER;
	return c->bytes == o->bytes ? 0 : WRONG_ANSWER;
}

static int big_connect(int fd, const struct options *o)
{
	struct timeval limit = { o->timeout_ms / 1000, o->timeout_ms % 1000 * 1000 };

	if (o->udp && !o->connected)
		return 0;
	/* Bounds connect() too. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (!connect(fd, (void *)&o->target, address_size(&o->target)))
		return 0;
	return errno == EINPROGRESS || errno == EAGAIN ? ETIMEDOUT : errno;
}

static int big(const struct options *o)
{
	int fd = socket(o->target.ss_family, (o->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
	int64_t start = now_us();
	struct coming_back c = {};
	int error;

	/* The answer carries a line before the bytes. */
	if (o->udp && o->bytes > DATAGRAM_MAX - LINE_MAX_BYTES)
		die("a datagram takes at most %d bytes", DATAGRAM_MAX - LINE_MAX_BYTES);
	error = fd < 0 ? errno : big_connect(fd, o);
	if (!error)
		error = o->udp ? big_udp(fd, o, &c) : big_tcp(fd, o, &c);
	if (o->json) {
		printf("{\"mode\":\"big\",\"ok\":%s,\"bytes\":%ld,\"us\":%lld,\"error\":\"%s\",\"answer\":",
		       error ? "false" : "true", c.bytes, (long long)(now_us() - start),
		       error ? failure_name(error) : "");
		print_text(c.line);
		printf("}\n");
	} else {
		printf("%s after %ld bytes, %s\n", error ? failure_name(error) : "ok", c.bytes, c.line);
	}
	return error != 0;
}

#endif
