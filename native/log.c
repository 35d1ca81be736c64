// SPDX-License-Identifier: Apache-2.0
/*
 * log.c - libbpf prints through one callback for the whole process; here it
 * goes to a buffer of the thread that made the call, and from there, shortened
 * in the middle, to the caller. Nothing is ever written to stderr.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <bpf/libbpf.h>
#include "internal.h"

/* A verifier log may have 16 MiB and more; what exceeds this is dropped. */
#define PL_LOG_MAX (32U << 20)

struct pl_log {
	char *text;
	size_t len;
	size_t capacity;
	bool on;
};

static __thread struct pl_log log;

static bool pl_log_reserve(size_t more)
{
	size_t capacity = log.capacity ? log.capacity : 4096;
	char *text;

	if (log.len + more + 1 > PL_LOG_MAX)
		return false;
	while (capacity < log.len + more + 1)
		capacity *= 2;
	if (capacity == log.capacity)
		return true;
	text = realloc(log.text, capacity);
	if (!text)
		return false;
	log.text = text;
	log.capacity = capacity;
	return true;
}

static int pl_log_append(const char *format, va_list args)
{
	va_list again;
	int len;

	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, again);
	va_end(again);
	if (len > 0 && pl_log_reserve(len)) {
		vsnprintf(log.text + log.len, len + 1, format, args);
		log.len += len;
	}
	return len;
}

static int pl_log_print(enum libbpf_print_level level, const char *format, va_list args)
{
	return log.on && level != LIBBPF_DEBUG ? pl_log_append(format, args) : 0;
}

__attribute__((constructor)) static void pl_log_init(void)
{
	libbpf_set_print(pl_log_print);
}

void pl_log_begin(void)
{
	log.len = 0;
	log.on = true;
}

void pl_log_add(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	pl_log_append(format, args);
	va_end(args);
}

/* The first words say what failed, the last ones why: the middle can go. */
static void pl_log_copy(char *err, uint32_t err_len)
{
	char note[64];
	size_t head, tail;
	int n;

	if (log.len < err_len) {
		memcpy(err, log.text, log.len);
		err[log.len] = 0;
		return;
	}
	n = snprintf(note, sizeof(note), "\n[... of %zu bytes, some are left out ...]\n", log.len);
	if (err_len < 4 * sizeof(note)) {
		memcpy(err, log.text, err_len - 1);
		err[err_len - 1] = 0;
		return;
	}
	head = err_len / 4;
	tail = err_len - 1 - head - n;
	memcpy(err, log.text, head);
	memcpy(err + head, note, n);
	memcpy(err + head + n, log.text + log.len - tail, tail);
	err[err_len - 1] = 0;
}

int pl_log_end(int ret, char *err, uint32_t err_len)
{
	if (err && err_len) {
		err[0] = 0;
		if (log.text)
			pl_log_copy(err, err_len);
	}
	free(log.text);
	memset(&log, 0, sizeof(log));
	return ret;
}
