// SPDX-License-Identifier: Apache-2.0
/* load.h - whole exchanges with a server, counted by who answered. */
#ifndef CLIENT_LOAD_H
#define CLIENT_LOAD_H

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "address.h"

#define NAMES 32

/* Who answered how often; also errors, by their name. */
struct tally {
	char name[NAMES][48];
	int count[NAMES];
};

static void tally_add(struct tally *tally, const char *name, int count)
{
	for (int i = 0; i < NAMES; i++) {
		if (tally->count[i] && strcmp(tally->name[i], name))
			continue;
		snprintf(tally->name[i], sizeof(tally->name[i]), "%s", name);
		tally->count[i] += count;
		return;
	}
}

static void tally_print(const struct tally *tally)
{
	printf("ok");
	for (int i = 0; i < NAMES && tally->count[i]; i++)
		printf(" %s=%d", tally->name[i], tally->count[i]);
	printf("\n");
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Connects (tcp, udp-connected) or sends (udp), and reads the server's name. */
static bool exchange(struct tally *tally, const char *type, const struct address *to)
{
	int fd = open_socket(strcmp(type, "tcp") ? "udp" : "tcp",
			     to->at.ss_family == AF_INET6 ? 6 : 4);
	const struct sockaddr *at = (const struct sockaddr *)&to->at;
	char text[TEXT] = "";
	ssize_t n = -1;

	if (!strcmp(type, "udp"))
		n = sendto(fd, "?", 1, 0, at, to->length) == 1 ? 0 : -1;
	else if (!connect(fd, at, to->length))
		n = strcmp(type, "tcp") ? send(fd, "?", 1, 0) - 1 : 0;
	if (!n)
		n = recv(fd, text, sizeof(text) - 1, 0);
	if (n > 0)
		text[strcspn(text, " ")] = 0;
	tally_add(tally, n > 0 ? text : n ? strerrorname_np(errno) : "closed", 1);
	close(fd);
	return n > 0;
}

struct load {
	pthread_t thread;
	char type[16];
	struct address to;
	int64_t until;
	struct tally tally;
};

static void *load_thread(void *arg)
{
	struct load *load = arg;

	while (now_ms() < load->until)
		exchange(&load->tally, load->type, &load->to);
	return NULL;
}

static void load(const char *type, const struct address *to, int threads, int ms)
{
	struct load *loads = calloc(threads, sizeof(*loads));
	struct tally tally = {0};

	for (int i = 0; i < threads; i++) {
		snprintf(loads[i].type, sizeof(loads[i].type), "%s", type);
		loads[i].to = *to;
		loads[i].until = now_ms() + ms;
		pthread_create(&loads[i].thread, NULL, load_thread, &loads[i]);
	}
	for (int i = 0; i < threads; i++) {
		pthread_join(loads[i].thread, NULL);
		for (int j = 0; j < NAMES && loads[i].tally.count[j]; j++)
			tally_add(&tally, loads[i].tally.name[j], loads[i].tally.count[j]);
	}
	tally_print(&tally);
	free(loads);
}

#endif
