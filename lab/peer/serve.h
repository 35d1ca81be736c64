/* SPDX-License-Identifier: Apache-2.0 */
/*
 * peer serve: every TCP connection and every UDP datagram is answered with one line that says who answered and whom it
 * saw, then with what was sent. UDP answers leave from the address that was asked, also on a host with many.
 */
#ifndef PEER_SERVE_H
#define PEER_SERVE_H

#include "common.h"

#define ECHO_BYTES 65536

/* A listener, a UDP socket or an accepted connection. */
struct endpoint {
	int fd;
	enum { LISTENER, DATAGRAMS, CONNECTION } kind;
	/* CONNECTION: bytes read and not yet written back. */
	char *pending;
	size_t at, length;
};

static int answer_line(char *line, const char *name, const struct sockaddr_storage *client,
		       const struct sockaddr_storage *server)
{
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];

	return snprintf(line, LINE_MAX_BYTES, "%s %s %d %s\n", name, address_text(client, from), port_of(client),
			address_text(server, to));
}

static void serve_open(int epoll, int family, int type, int port)
{
	struct endpoint *e = must(calloc(1, sizeof(*e)));
	struct sockaddr_storage any;
	int one = 1, megabytes = 8 << 20;

	parse_address(family == AF_INET ? "0.0.0.0" : "::", port, &any);
	e->kind = type == SOCK_STREAM ? LISTENER : DATAGRAMS;
	e->fd = socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (e->fd < 0 && errno == EAFNOSUPPORT) {
		free(e);
		return;
	}
	setsockopt(e->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (family == AF_INET6) {
		setsockopt(e->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
		setsockopt(e->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	} else {
		setsockopt(e->fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	}
	if (type == SOCK_DGRAM) {
		/* Above net.core.rmem_max where we may: bursts must not be lost here. */
		if (setsockopt(e->fd, SOL_SOCKET, SO_RCVBUFFORCE, &megabytes, sizeof(megabytes)))
			setsockopt(e->fd, SOL_SOCKET, SO_RCVBUF, &megabytes, sizeof(megabytes));
	}
	if (bind(e->fd, (void *)&any, address_size(&any)) || (type == SOCK_STREAM && listen(e->fd, 4096)))
		die("cannot listen on %s port %d: %s", type == SOCK_STREAM ? "tcp" : "udp", port, errno_name(errno));
	watch(epoll, EPOLL_CTL_ADD, e->fd, EPOLLIN, e);
}

static int serve_ports(int epoll, const char *list, int type)
{
	char *copy = must(strdup(list ? list : "")), *rest = NULL;
	int opened = 0;

	for (char *word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		int port = atoi(word);

		if (port < 1 || port > 65535)
			die("no port: %s", word);
		serve_open(epoll, AF_INET, type, port);
		serve_open(epoll, AF_INET6, type, port);
		opened++;
	}
	free(copy);
	return opened;
}

static void connection_close(struct endpoint *e)
{
	close(e->fd);
	free(e->pending);
	free(e);
}

/* @returns false when the connection was closed. */
static bool connection_flush(int epoll, struct endpoint *e)
{
	while (e->at < e->length) {
		ssize_t n = send(e->fd, e->pending + e->at, e->length - e->at, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			watch(epoll, EPOLL_CTL_MOD, e->fd, EPOLLOUT, e);
			return true;
		}
		if (n < 0) {
			connection_close(e);
			return false;
		}
		e->at += n;
	}
	e->at = e->length = 0;
	watch(epoll, EPOLL_CTL_MOD, e->fd, EPOLLIN, e);
	return true;
}

static void connection_read(int epoll, struct endpoint *e)
{
	ssize_t n = recv(e->fd, e->pending, ECHO_BYTES, 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		connection_close(e);
		return;
	}
	e->length = n;
	connection_flush(epoll, e);
}

static void serve_accept(int epoll, struct endpoint *listener, const char *name)
{
	for (;;) {
		struct sockaddr_storage client, server;
		socklen_t client_size = sizeof(client), server_size = sizeof(server);
		int one = 1;
		int fd = accept4(listener->fd, (void *)&client, &client_size, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct endpoint *e;

		if (fd < 0)
			return;
		if (getsockname(fd, (void *)&server, &server_size)) {
			close(fd);
			continue;
		}
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		e = must(calloc(1, sizeof(*e)));
		e->fd = fd;
		e->kind = CONNECTION;
		e->pending = must(malloc(ECHO_BYTES));
		e->length = answer_line(e->pending, name, &client, &server);
		watch(epoll, EPOLL_CTL_ADD, fd, EPOLLIN, e);
		connection_flush(epoll, e);
	}
}

/* Reads the destination address from the control messages and makes the control message that answers from it. */
static void answer_from(struct msghdr *message, struct sockaddr_storage *server)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo *info = (void *)CMSG_DATA(c);

			server->ss_family = AF_INET;
			((struct sockaddr_in *)server)->sin_addr = info->ipi_addr;
			info->ipi_spec_dst = info->ipi_addr;
			info->ipi_ifindex = 0;
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo *info = (void *)CMSG_DATA(c);

			server->ss_family = AF_INET6;
			((struct sockaddr_in6 *)server)->sin6_addr = info->ipi6_addr;
			/* A link-local address means something on one link only. */
			if (!IN6_IS_ADDR_LINKLOCAL(&info->ipi6_addr))
				info->ipi6_ifindex = 0;
		}
	}
}

static void serve_datagrams(struct endpoint *e, const char *name)
{
	static char payload[65536], line[LINE_MAX_BYTES];

	for (int burst = 0; burst < 256; burst++) {
		struct sockaddr_storage client, server = {};
		union {
			char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
			struct cmsghdr align;
		} control;
		struct iovec in = { payload, sizeof(payload) };
		struct iovec out[2] = { { line, 0 }, { payload, 0 } };
		struct msghdr m = { .msg_name = &client,
				    .msg_namelen = sizeof(client),
				    .msg_iov = &in,
				    .msg_iovlen = 1,
				    .msg_control = control.bytes,
				    .msg_controllen = sizeof(control) };
		ssize_t n = recvmsg(e->fd, &m, 0);

		if (n < 0)
			return;
		answer_from(&m, &server);
		out[0].iov_len = answer_line(line, name, &client, &server);
		out[1].iov_len = n;
		m.msg_iov = out;
		m.msg_iovlen = 2;
		m.msg_flags = 0;
		/* An answer that cannot be sent is a lost datagram: the one who asked counts it. */
		if (sendmsg(e->fd, &m, 0) < 0 && errno != EAGAIN)
			fprintf(stderr, "peer: answer: %s\n", errno_name(errno));
	}
}

static int serve(const struct options *o)
{
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	int opened = serve_ports(epoll, o->tcp_ports, SOCK_STREAM) + serve_ports(epoll, o->udp_ports, SOCK_DGRAM);

	if (!opened)
		die("serve needs --tcp or --udp with ports");
	printf("ready\n");
	fflush(stdout);
	while (!stop_asked) {
		struct epoll_event events[64];
		int n = epoll_wait(epoll, events, 64, -1);

		for (int i = 0; i < n; i++) {
			struct endpoint *e = events[i].data.ptr;

			if (e->kind == LISTENER)
				serve_accept(epoll, e, o->name);
			else if (e->kind == DATAGRAMS)
				serve_datagrams(e, o->name);
			else if (events[i].events & (EPOLLERR | EPOLLHUP))
				connection_close(e);
			else if (events[i].events & EPOLLOUT)
				connection_flush(epoll, e);
			else
				connection_read(epoll, e);
		}
	}
	return 0;
}

#endif
