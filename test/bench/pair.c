// SPDX-License-Identifier: Apache-2.0
/*
 * Both ends of the bench's traffic, as bare as they can be: blocking calls, no output per operation, one CPU, so that
 * what is left is the kernel's work.
 *
 *   pair serve CPU PORT    echoes over TCP, one connection after the other, and over UDP
 *   pair client CPU        takes lines `short|open|udp|datagram ADDRESS PORT COUNT`, answers `ok`
 *
 * short: connect, one request, close. open: requests on one connection. udp: on one connected socket. datagram: on one
 * socket that is not connected.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define REQUEST_BYTES 64

static void die(const char *what)
{
	printf("failed: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	exit(1);
}

static void must(const char *what, long result)
{
	if (result < 0)
		die(what);
}

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	must("sched_setaffinity", sched_setaffinity(0, sizeof(set), &set));
}

static struct sockaddr_in address(const char *host, int port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };

	if (inet_pton(AF_INET, host, &to.sin_addr) != 1)
		die(host);
	return to;
}

static int bound(int type, int port)
{
	struct sockaddr_in at = address("0.0.0.0", port);
	int fd = socket(AF_INET, type, 0), one = 1;

	must("socket", fd);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	must("bind", bind(fd, (void *)&at, sizeof(at)));
	return fd;
}

static void *serve_udp(void *fd)
{
	char bytes[REQUEST_BYTES];
	struct sockaddr_in from;

	for (;;) {
		socklen_t size = sizeof(from);
		long length = recvfrom((int)(long)fd, bytes, sizeof(bytes), 0, (void *)&from, &size);

		if (length > 0)
			sendto((int)(long)fd, bytes, length, 0, (void *)&from, size);
	}
	return NULL;
}

static void serve(int port)
{
	int udp = bound(SOCK_DGRAM, port), tcp = bound(SOCK_STREAM, port), one = 1;
	char bytes[REQUEST_BYTES];
	pthread_t thread;

	must("listen", listen(tcp, 16));
	pthread_create(&thread, NULL, serve_udp, (void *)(long)udp);
	printf("ready\n");
	fflush(stdout);
	for (;;) {
		int fd = accept(tcp, NULL, NULL);
		long length;

		if (fd < 0)
			continue;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		while ((length = recv(fd, bytes, sizeof(bytes), 0)) > 0)
			send(fd, bytes, length, MSG_NOSIGNAL);
		close(fd);
	}
}

static int opened(int type, const struct sockaddr_in *to, int connected)
{
	struct timeval patience = { .tv_sec = 3 };
	int fd = socket(AF_INET, type, 0), one = 1;

	must("socket", fd);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (type == SOCK_STREAM)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connected)
		must("connect", connect(fd, (void *)to, sizeof(*to)));
	return fd;
}

static void ask(int fd, const struct sockaddr_in *to)
{
	char bytes[REQUEST_BYTES] = { 1 };

	must("send", sendto(fd, bytes, sizeof(bytes), 0, (void *)to, to ? sizeof(*to) : 0));
	if (recv(fd, bytes, sizeof(bytes), 0) != sizeof(bytes))
		die("recv");
}

static void run(const char *mode, const struct sockaddr_in *to, long count)
{
	int type = !strcmp(mode, "udp") || !strcmp(mode, "datagram") ? SOCK_DGRAM : SOCK_STREAM;
	int connected = strcmp(mode, "datagram") != 0;
	int each = !strcmp(mode, "short");
	int fd = -1;

	for (long i = 0; i < count; i++) {
		if (fd < 0)
			fd = opened(type, to, connected);
		ask(fd, connected ? NULL : to);
		if (each) {
			close(fd);
			fd = -1;
		}
	}
	if (fd >= 0)
		close(fd);
}

int main(int argc, char **argv)
{
	char mode[16], host[64];
	int port;
	long count;

	signal(SIGPIPE, SIG_IGN);
	if (argc < 3)
		return 2;
	stay_on(atoi(argv[2]));
	if (!strcmp(argv[1], "serve") && argc == 4)
		serve(atoi(argv[3]));
	printf("ready\n");
	fflush(stdout);
	while (scanf("%15s %63s %d %ld", mode, host, &port, &count) == 4) {
		struct sockaddr_in to = address(host, port);

		run(mode, &to, count);
		printf("ok\n");
		fflush(stdout);
	}
	return 0;
}
