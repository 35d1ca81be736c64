// SPDX-License-Identifier: Apache-2.0
/* server.h - tells every client who answered, and whom it saw. */
#ifndef CLIENT_SERVER_H
#define CLIENT_SERVER_H

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#include "address.h"

struct listener {
	int fd;
	char name[40];
};

static void *serve_connection(void *arg)
{
	struct listener *connection = arg;
	struct address peer = { .length = sizeof(peer.at) };
	char text[TEXT], from[64];
	ssize_t n;

	getpeername(connection->fd, (struct sockaddr *)&peer.at, &peer.length);
	n = snprintf(text, sizeof(text), "%s %s\n", connection->name,
		     address_text(&peer, from, sizeof(from)));
	if (send(connection->fd, text, n, MSG_NOSIGNAL) == n)
		while ((n = recv(connection->fd, text, sizeof(text), 0)) > 0)
			;
	close(connection->fd);
	free(connection);
	return NULL;
}

static void *serve_tcp(void *arg)
{
	const struct listener *listener = arg;
	pthread_attr_t small;
	pthread_t thread;

	pthread_attr_init(&small);
	pthread_attr_setdetachstate(&small, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&small, 64 * 1024);
	for (;;) {
		struct listener *connection = malloc(sizeof(*connection));

		*connection = *listener;
		connection->fd = accept(listener->fd, NULL, NULL);
		if (connection->fd < 0 ||
		    pthread_create(&thread, &small, serve_connection, connection)) {
			close(connection->fd);
			free(connection);
		}
	}
	return NULL;
}

static void *serve_udp(void *arg)
{
	const struct listener *listener = arg;

	for (;;) {
		struct address peer = { .length = sizeof(peer.at) };
		char text[TEXT], from[64], in[64];
		ssize_t n = recvfrom(listener->fd, in, sizeof(in), 0,
				     (struct sockaddr *)&peer.at, &peer.length);

		if (n < 0)
			continue;
		n = snprintf(text, sizeof(text), "%s %s", listener->name,
			     address_text(&peer, from, sizeof(from)));
		sendto(listener->fd, text, n, 0, (struct sockaddr *)&peer.at, peer.length);
	}
	return NULL;
}

static int serve(const char *addr, int port, const char *name)
{
	for (int tcp = 0; tcp < 2; tcp++) {
		struct listener *listener = calloc(1, sizeof(*listener));
		struct address at = address_of(addr, port);
		pthread_t thread;
		int one = 1;

		snprintf(listener->name, sizeof(listener->name), "%s", name);
		listener->fd = socket(at.at.ss_family, tcp ? SOCK_STREAM : SOCK_DGRAM, 0);
		setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(listener->fd, (struct sockaddr *)&at.at, at.length) ||
		    (tcp && listen(listener->fd, 1024)))
			return -1;
		pthread_create(&thread, NULL, tcp ? serve_tcp : serve_udp, listener);
	}
	return 0;
}

#endif
