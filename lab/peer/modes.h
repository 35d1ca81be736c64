/* SPDX-License-Identifier: Apache-2.0 */
/* peer ask, peer load, peer hold: when flows are opened, and what happens after an answer. */
#ifndef PEER_MODES_H
#define PEER_MODES_H

#include "tally.h"

static double asked_ms(const struct flow *f)
{
	return wall_ms() - (now_us() - f->asked_us) / 1e3;
}

/* ---- ask: one after the other, each answer printed ---- */

static struct {
	int left;
	struct flow *kept;
} asking;

static void ask_print(const struct flow *f, int error)
{
	if (!engine.o->json) {
		if (error)
			printf("%s\n", failure_name(error));
		else
			printf("%s %s %d %s\n", f->name, f->seen_address, f->seen_port, f->server_address);
		return;
	}
	printf("{\"atMs\":%.3f,\"us\":%lld,", asked_ms(f), (long long)(now_us() - f->asked_us));
	if (error) {
		printf("\"error\":\"%s\"", failure_name(error));
	} else {
		printf("\"name\":");
		print_text(f->name);
		printf(",\"client\":\"%s\",\"clientPort\":%d,\"server\":\"%s\"", f->seen_address, f->seen_port,
		       f->server_address);
	}
	printf(",\"otherPeer\":%s}\n", f->other_peer ? "true" : "false");
}

static void ask_answered(struct flow *f)
{
	tally_answer(f, asked_ms(f));
	ask_print(f, 0);
	if (engine.o->keep)
		asking.kept = f;
	else
		flow_close(f);
}

static void ask_failed(struct flow *f, int error)
{
	tally_failure(error);
	ask_print(f, error);
	flow_close(f);
}

static int ask(const struct options *o)
{
	engine_start(o, (struct flow_events){ ask_answered, ask_failed });
	for (int i = 0; i < o->count && !stop_asked; i++) {
		struct flow *kept = asking.kept;
		int64_t pause = i ? now_us() + o->interval_ms * 1000LL : 0;

		while (pause > now_us() && !stop_asked)
			usleep(pause - now_us() > 1000 ? 1000 : 100);
		asking.kept = NULL;
		if (kept)
			flow_ask(kept);
		else
			flow_open();
		while (engine.waiting.first)
			engine_turn(now_us() + 1000000);
	}
	fflush(stdout);
	return tally.failed || !tally.ok;
}

/* ---- load: new flows at a steady rate, each asks once ---- */

static void load_answered(struct flow *f)
{
	tally_latency(now_us() - f->opened_us);
	tally_answer(f, f->opened_wall_ms);
	tally.other_peer += f->other_peer;
	flow_close(f);
}

static void load_failed(struct flow *f, int error)
{
	tally_failure(error);
	flow_close(f);
}

static int load(const struct options *o)
{
	int64_t start, end, report;

	engine_start(o, (struct flow_events){ load_answered, load_failed });
	tally.started_ms = wall_ms();
	start = now_us();
	end = start + o->seconds * 1000000LL;
	report = start + o->progress_ms * 1000LL;
	while (now_us() < end && !stop_asked) {
		long due = (now_us() - start) * o->rate / 1000000 + 1;
		int64_t wake;

		for (; tally.started < due; tally.started++)
			flow_open();
		wake = start + tally.started * 1000000LL / o->rate;
		engine_turn(wake < end ? wake : end);
		if (o->progress_ms && now_us() >= report) {
			print_progress();
			report += o->progress_ms * 1000LL;
		}
	}
	while (engine.waiting.first)
		engine_turn(now_us() + 1000000);
	printf("{\"mode\":\"load\",\"rate\":%d,", o->rate);
	print_tally();
	printf("}\n");
	return tally.failed || !tally.ok;
}

/* ---- hold: flows that stay, each asks again and again ---- */

static struct {
	long alive, reconnected;
} held;

static void hold_answered(struct flow *f)
{
	tally_latency(now_us() - f->asked_us);
	tally_answer(f, asked_ms(f));
	if (!f->last_name[0]) {
		held.alive++;
		tally.other_peer += f->other_peer;
	} else if (strcmp(f->last_name, f->name)) {
		tally.moved++;
	}
	memcpy(f->last_name, f->name, sizeof(f->last_name));
	flow_rest(f, engine.o->interval_ms * 1000LL);
}

static void hold_failed(struct flow *f, int error)
{
	/*
	 * SOCK_DESTROY leaves ECONNABORTED on the socket and takes its peer away: a send that comes
	 * before the error is read hears of the missing peer first (udp_sendmsg).
	 */
	if (engine.o->reconnect && engine.o->udp &&
	    (error == ECONNABORTED || error == EDESTADDRREQ)) {
		held.reconnected++;
		held.alive -= f->last_name[0] != 0;
		flow_close(f);
		flow_open();
		return;
	}
	tally_failure(error);
	/* A lost datagram does not end a UDP flow. */
	if (engine.o->udp && f->sequence) {
		flow_rest(f, engine.o->interval_ms * 1000LL);
		return;
	}
	held.alive -= f->last_name[0] != 0;
	flow_close(f);
}

static int hold(const struct options *o)
{
	int64_t start, end, report;

	engine_start(o, (struct flow_events){ hold_answered, hold_failed });
	tally.started_ms = wall_ms();
	start = now_us();
	end = start + o->seconds * 1000000LL;
	report = start + o->progress_ms * 1000LL;
	/* Opened over the first interval, so that their questions stay spread. */
	while (now_us() < end && !stop_asked) {
		int64_t step = o->interval_ms * 1000LL / o->connections;

		while (tally.started < o->connections && now_us() >= start + tally.started * step) {
			tally.started++;
			flow_open();
		}
		ask_rested();
		engine_turn(tally.started < o->connections ? start + tally.started * step : now_us() + 100000);
		if (o->progress_ms && now_us() >= report) {
			print_progress();
			report += o->progress_ms * 1000LL;
		}
	}
	while (engine.waiting.first)
		engine_turn(now_us() + 1000000);
	printf("{\"mode\":\"hold\",\"connections\":%d,\"alive\":%ld,\"moved\":%ld,\"reconnected\":%ld,", o->connections,
	       held.alive, tally.moved, held.reconnected);
	print_tally();
	printf("}\n");
	return tally.failed || !tally.ok;
}

#endif
