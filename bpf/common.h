/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * common.h - what every stage uses: includes, settings, the clock, addresses
 * and counters.
 */
#ifndef PORTOLAN_COMMON_H
#define PORTOLAN_COMMON_H

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/in.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_core_read.h>
#include "abi.h"
#include "maps.h"

#define PL_INLINE static __always_inline
#define PL_NSEC_PER_SEC 1000000000ULL

/*
 * Set by the agent before load; frozen, so the verifier sees constants and
 * drops what a setting switches off. A changed setting means a new load and an
 * update of the links, never a half-written struct under a running program.
 */
const volatile struct pl_settings settings = {};

/* The kernel's own enumeration, for CO-RE: which helpers does it have? */
enum bpf_func_id___known {
	BPF_FUNC_ktime_get_coarse_ns___known = 160,
};

/* CLOCK_MONOTONIC; the coarse clock is several times cheaper (Linux 5.11). */
PL_INLINE __u64 pl_now(void)
{
	if (bpf_core_enum_value_exists(enum bpf_func_id___known,
				       BPF_FUNC_ktime_get_coarse_ns___known))
		return bpf_ktime_get_coarse_ns();
	return bpf_ktime_get_ns();
}

PL_INLINE bool pl_setting(__u32 flag)
{
	return settings.flags & flag;
}

/* clang 14 turns a 16-byte memcmp into a call that does not exist. */
PL_INLINE bool pl_addr_equal(const struct pl_addr *a, const struct pl_addr *b)
{
	const __u32 *x = (const __u32 *)a->b, *y = (const __u32 *)b->b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]));
}

PL_INLINE void pl_addr_from4(struct pl_addr *a, __be32 v4)
{
	__u32 *x = (__u32 *)a->b;

	x[0] = 0;
	x[1] = 0;
	x[2] = bpf_htonl(0xffff);
	x[3] = v4;
}

PL_INLINE void pl_addr_from6(struct pl_addr *a, const __u32 v6[4])
{
	__u32 *x = (__u32 *)a->b;

	x[0] = v6[0];
	x[1] = v6[1];
	x[2] = v6[2];
	x[3] = v6[3];
}

PL_INLINE bool pl_addr_is4(const struct pl_addr *a)
{
	const __u32 *x = (const __u32 *)a->b;

	return !(x[0] | x[1]) && x[2] == bpf_htonl(0xffff);
}

PL_INLINE __be32 pl_addr_word(const struct pl_addr *a, int i)
{
	return ((const __u32 *)a->b)[i];
}

/* 127.0.0.0/8, ::1, 169.254.0.0/16, fe80::/10: never a Service's business. */
PL_INLINE bool pl_addr_is_loopback(const struct pl_addr *a)
{
	const __u32 *x = (const __u32 *)a->b;

	if (pl_addr_is4(a))
		return a->b[12] == 127;
	return !(x[0] | x[1] | x[2]) && x[3] == bpf_htonl(1);
}

PL_INLINE bool pl_addr_is_linklocal(const struct pl_addr *a)
{
	if (pl_addr_is4(a))
		return a->b[12] == 169 && a->b[13] == 254;
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

PL_INLINE bool pl_addr_in(const struct pl_addr *a, const volatile struct pl_range *range)
{
	const __u32 *x = (const __u32 *)a->b;
	const volatile __u32 *base = (const volatile __u32 *)range->addr.b;
	const volatile __u32 *mask = (const volatile __u32 *)range->mask.b;

	return !(((x[0] ^ base[0]) & mask[0]) | ((x[1] ^ base[1]) & mask[1]) |
		 ((x[2] ^ base[2]) & mask[2]) | ((x[3] ^ base[3]) & mask[3]));
}

PL_INLINE bool pl_in_service_range(const struct pl_addr *a)
{
	for (__u32 i = 0; i < PL_SERVICE_RANGES_MAX; i++) {
		if (i >= settings.service_range_count)
			break;
		if (pl_addr_in(a, &settings.service_ranges[i]))
			return true;
	}
	return false;
}

PL_INLINE bool pl_in_pod_range(const struct pl_addr *a)
{
	for (__u32 i = 0; i < PL_POD_RANGES_MAX; i++) {
		if (i >= settings.pod_range_count)
			break;
		if (pl_addr_in(a, &settings.pod_ranges[i]))
			return true;
	}
	return false;
}

PL_INLINE void pl_count(__u32 reason)
{
	__u64 *count = bpf_map_lookup_elem(&reasons, &reason);

	if (count)
		(*count)++;
}

#endif /* PORTOLAN_COMMON_H */
