/* SPDX-License-Identifier: Apache-2.0 */
/* What happened: counts by result and by who answered, latencies; printed as one line of JSON. */
#ifndef PEER_TALLY_H
#define PEER_TALLY_H

#include "engine.h"

#define ANSWERERS_MAX 4096
#define ERRORS_MAX 32

struct answerer {
	char name[NAME_MAX_BYTES];
	long count;
	/* When the first and the last question that it answered were asked, ms since 1970. */
	double first_ms, last_ms;
};

static struct {
	long started, ok, failed, other_peer, moved;
	double started_ms, first_failure_ms, last_failure_ms;
	struct {
		int error;
		long count;
	} errors[ERRORS_MAX];
	struct answerer answerers[ANSWERERS_MAX];
	int answerer_count;
	uint32_t *latencies;
	size_t latency_count, latency_room;
} tally;

static inline struct answerer *answerer_of(const char *name)
{
	struct answerer *a = tally.answerers;

	for (; a < tally.answerers + tally.answerer_count; a++)
		if (!strcmp(a->name, name))
			return a;
	if (tally.answerer_count == ANSWERERS_MAX)
		die("more than %d different servers answered", ANSWERERS_MAX);
	tally.answerer_count++;
	snprintf(a->name, sizeof(a->name), "%s", name);
	a->first_ms = -1;
	return a;
}

static inline void tally_latency(int64_t microseconds)
{
	if (tally.latency_count == tally.latency_room) {
		tally.latency_room = tally.latency_room ? tally.latency_room * 2 : 4096;
		tally.latencies = must(realloc(tally.latencies, tally.latency_room * sizeof(uint32_t)));
	}
	tally.latencies[tally.latency_count++] = microseconds;
}

/* `asked_ms`: when the question was asked, by the wall clock. */
static inline void tally_answer(const struct flow *f, double asked_ms)
{
	struct answerer *a = answerer_of(f->name);

	tally.ok++;
	a->count++;
	if (a->first_ms < 0)
		a->first_ms = asked_ms;
	a->last_ms = asked_ms;
}

static inline void tally_failure(int error)
{
	tally.failed++;
	tally.last_failure_ms = wall_ms();
	if (tally.failed == 1)
		tally.first_failure_ms = tally.last_failure_ms;
	for (int i = 0; i < ERRORS_MAX; i++) {
		if (tally.errors[i].count && tally.errors[i].error != error)
			continue;
		tally.errors[i].error = error;
		tally.errors[i].count++;
		return;
	}
}

static inline long tally_of(int error)
{
	for (int i = 0; i < ERRORS_MAX; i++)
		if (tally.errors[i].count && tally.errors[i].error == error)
			return tally.errors[i].count;
	return 0;
}

static int compare_latency(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static inline uint32_t quantile(double q)
{
	return tally.latency_count ? tally.latencies[(size_t)(q * (tally.latency_count - 1))] : 0;
}

static inline void print_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		if ((unsigned char)*text >= ' ')
			putchar(*text);
	}
	putchar('"');
}

static inline void print_answerers(void)
{
	printf("\"answerers\":{");
	for (int i = 0; i < tally.answerer_count; i++) {
		const struct answerer *a = &tally.answerers[i];

		if (i)
			putchar(',');
		print_text(a->name);
		printf(":{\"count\":%ld,\"firstMs\":%.3f,\"lastMs\":%.3f}", a->count, a->first_ms, a->last_ms);
	}
	putchar('}');
}

static inline void print_failures(void)
{
	long refused = tally_of(ECONNREFUSED), reset = tally_of(ECONNRESET) + tally_of(CLOSED_EARLY);
	long timeout = tally_of(ETIMEDOUT), wrong = tally_of(WRONG_SOURCE) + tally_of(WRONG_ANSWER);
	bool more = false;

	printf("\"failed\":%ld,\"refused\":%ld,\"reset\":%ld,\"timeout\":%ld,\"wrongSource\":%ld,\"other\":%ld",
	       tally.failed, refused, reset, timeout, wrong, tally.failed - refused - reset - timeout - wrong);
	printf(",\"errors\":{");
	for (int i = 0; i < ERRORS_MAX && tally.errors[i].count; i++, more = true)
		printf("%s\"%s\":%ld", more ? "," : "", failure_name(tally.errors[i].error), tally.errors[i].count);
	printf("}");
	if (tally.failed)
		printf(",\"firstFailureMs\":%.3f,\"lastFailureMs\":%.3f", tally.first_failure_ms,
		       tally.last_failure_ms);
}

/* The whole tally without braces, so that a mode can add its own fields. */
static inline void print_tally(void)
{
	qsort(tally.latencies, tally.latency_count, sizeof(uint32_t), compare_latency);
	printf("\"startedMs\":%.3f,\"endedMs\":%.3f,\"started\":%ld,\"ok\":%ld,", tally.started_ms, wall_ms(),
	       tally.started, tally.ok);
	print_failures();
	printf(",\"otherPeer\":%ld,", tally.other_peer);
	print_answerers();
	printf(",\"latencyUs\":{\"p50\":%u,\"p99\":%u,\"max\":%u}", quantile(0.5), quantile(0.99), quantile(1));
}

static inline void print_progress(void)
{
	printf("{\"progress\":true,\"nowMs\":%.3f,\"started\":%ld,\"ok\":%ld,\"failed\":%ld,", wall_ms(), tally.started,
	       tally.ok, tally.failed);
	print_answerers();
	printf("}\n");
	fflush(stdout);
}

#endif
