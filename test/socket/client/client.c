// SPDX-License-Identifier: Apache-2.0
/*
 * client.c - socket calls by hand: one command a line on stdin, one answer a
 * line on stdout ("ok ...", or "error ENAME"). Tests drive it from a cgroup and
 * network namespace of their own, where each call has to be exact. `serve`
 * makes it a server as well, that tells who it is and whom it sees.
 */
#include <stdint.h>
#include <stdlib.h>
#include "load.h"
#include "server.h"

#define SLOTS 64

static int slots[SLOTS];
static int families[SLOTS];

static void answer(long result)
{
	if (result < 0)
		printf("error %s\n", strerrorname_np(errno));
	else
		printf("ok\n");
}

static void answer_address(int result, const struct address *a, const char *text)
{
	char buffer[64];

	if (result < 0)
		answer(-1);
	else
		printf("ok %s %s\n", address_text(a, buffer, sizeof(buffer)), text);
}

static long send_with_source(int fd, const struct address *to, char *text, const char *source)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
		struct cmsghdr align;
	} control = {0};
	struct iovec data = { .iov_base = text, .iov_len = strlen(text) };
	struct msghdr message = {
		.msg_name = (void *)&to->at,
		.msg_namelen = to->length,
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
	};
	bool v6 = to->at.ss_family == AF_INET6;
	struct in_pktinfo info4 = {0};
	struct in6_pktinfo info6 = {0};
	size_t size = v6 ? sizeof(info6) : sizeof(info4);
	struct cmsghdr *header = &control.align;

	inet_pton(AF_INET, source, &info4.ipi_spec_dst);
	inet_pton(AF_INET6, source, &info6.ipi6_addr);
	message.msg_controllen = CMSG_SPACE(size);
	header->cmsg_level = v6 ? IPPROTO_IPV6 : IPPROTO_IP;
	header->cmsg_type = v6 ? IPV6_PKTINFO : IP_PKTINFO;
	header->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(header), v6 ? (void *)&info6 : (void *)&info4, size);
	return sendmsg(fd, &message, 0);
}

static void set_option(int fd, const char *option)
{
	int one = 1;
	bool port = !strcmp(option, "reuseport");

	answer(setsockopt(fd, SOL_SOCKET, port ? SO_REUSEPORT : SO_REUSEADDR, &one, sizeof(one)));
}

static void receive(int fd)
{
	struct address from = { .length = sizeof(from.at) };
	char text[TEXT] = "";
	int n = recvfrom(fd, text, sizeof(text) - 1, 0, (struct sockaddr *)&from.at, &from.length);

	text[strcspn(text, "\n")] = 0;
	answer_address(n, &from, text);
}

static void tell_name(int fd, bool peer)
{
	struct address a = { .length = sizeof(a.at) };
	struct sockaddr *at = (struct sockaddr *)&a.at;

	answer_address(peer ? getpeername(fd, at, &a.length) : getsockname(fd, at, &a.length),
		       &a, "");
}

static void tell_cookie(int fd)
{
	uint64_t cookie = 0;
	socklen_t length = sizeof(cookie);

	getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &length);
	printf("ok %llu\n", (unsigned long long)cookie);
}

/* Commands on a socket: words[0] command, words[1] slot, then arguments. */
static void run_socket(char **w, int slot)
{
	struct address to = address_of(w[2], atoi(w[3]));
	struct sockaddr *at = (struct sockaddr *)&to.at;
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	int fd = slots[slot];

	if (!strcmp(w[0], "socket"))
		answer(slots[slot] = open_socket(w[2], families[slot] = atoi(w[3])));
	else if (!strcmp(w[0], "option"))
		set_option(fd, w[2]);
	else if (!strcmp(w[0], "bind"))
		answer(bind(fd, at, to.length));
	else if (!strcmp(w[0], "connect"))
		answer(connect(fd, at, to.length));
	else if (!strcmp(w[0], "disconnect"))
		answer(connect(fd, &none, sizeof(none)));
	else if (!strcmp(w[0], "fastopen"))
		answer(sendto(fd, w[4], strlen(w[4]), MSG_FASTOPEN, at, to.length));
	else if (!strcmp(w[0], "send"))
		answer(send(fd, w[2], strlen(w[2]), MSG_NOSIGNAL));
	else if (!strcmp(w[0], "sendto"))
		answer(sendto(fd, w[4], strlen(w[4]), 0, at, to.length));
	else if (!strcmp(w[0], "sendmsg"))
		answer(send_with_source(fd, &to, w[4], w[5]));
	else if (!strcmp(w[0], "receive"))
		receive(fd);
	else if (!strcmp(w[0], "peer") || !strcmp(w[0], "name"))
		tell_name(fd, *w[0] == 'p');
	else if (!strcmp(w[0], "cookie"))
		tell_cookie(fd);
	else if (!strcmp(w[0], "close"))
		answer(close(fd));
	else
		printf("error unknown command %s\n", w[0]);
}

static void run(char **w)
{
	struct tally tally = {0};
	struct address to = address_of(w[2], atoi(w[3]));

	if (!strcmp(w[0], "serve")) {
		answer(serve(w[1], atoi(w[2]), w[3]));
	} else if (!strcmp(w[0], "ask")) {
		/* Failures take seconds each: a dozen are enough to know. */
		for (int i = atoi(w[4]), failed = 0; i > 0 && failed < 12; i--)
			failed += !exchange(&tally, w[1], &to);
		tally_print(&tally);
	} else if (!strcmp(w[0], "load")) {
		load(w[1], &to, atoi(w[4]), atoi(w[5]));
	} else if (atoi(w[1]) >= 0 && atoi(w[1]) < SLOTS) {
		run_socket(w, atoi(w[1]));
	} else {
		printf("error no such slot\n");
	}
}

int main(void)
{
	char line[TEXT];

	setvbuf(stdout, NULL, _IOLBF, 0);
	while (fgets(line, sizeof(line), stdin)) {
		char *words[8] = {"", "", "", "", "", "", "", ""};
		int n = 0;

		for (char *w = strtok(line, " \n"); w && n < 8; w = strtok(NULL, " \n"))
			words[n++] = w;
		if (n)
			run(words);
	}
	return 0;
}
