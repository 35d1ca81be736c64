// SPDX-License-Identifier: Apache-2.0
/* address.h - addresses and sockets from the words of a command. */
#ifndef CLIENT_ADDRESS_H
#define CLIENT_ADDRESS_H

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define TEXT 256

struct address {
	struct sockaddr_storage at;
	socklen_t length;
};

/* An IPv4 address for an AF_INET6 socket must be given as ::ffff:a.b.c.d. */
static struct address address_of(const char *text, int port)
{
	struct address a = {0};
	struct sockaddr_in *v4 = (struct sockaddr_in *)&a.at;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a.at;

	if (strchr(text, ':')) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		inet_pton(AF_INET6, text, &v6->sin6_addr);
		a.length = sizeof(*v6);
	} else {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		inet_pton(AF_INET, text, &v4->sin_addr);
		a.length = sizeof(*v4);
	}
	return a;
}

static const char *address_text(const struct address *a, char *text, size_t size)
{
	char host[INET6_ADDRSTRLEN] = "?";
	int port = 0;

	if (a->at.ss_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->at;

		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		port = ntohs(v6->sin6_port);
	} else if (a->at.ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->at;

		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		port = ntohs(v4->sin_port);
	}
	snprintf(text, size, "%s %d", host, port);
	return text;
}

static int open_socket(const char *type, int family)
{
	struct timeval second = { .tv_sec = 2 };
	struct linger reset = { .l_onoff = 1 };
	bool mptcp = !strcmp(type, "mptcp");
	bool tcp = mptcp || !strcmp(type, "tcp");
	int fd = socket(family == 6 ? AF_INET6 : AF_INET, tcp ? SOCK_STREAM : SOCK_DGRAM,
			mptcp ? IPPROTO_MPTCP : 0);

	if (fd < 0)
		return fd;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &second, sizeof(second));
	/* Thousands of connections must not leave thousands in TIME_WAIT. */
	if (tcp)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	return fd;
}

#endif
