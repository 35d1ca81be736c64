/* SPDX-License-Identifier: Apache-2.0 */
/* map.h - what map.c and dump.c share. */
#ifndef PORTOLAN_MAP_H
#define PORTOLAN_MAP_H

#include "internal.h"

struct pl_map_shape {
	uint32_t type;
	uint32_t key;	/* bytes */
	uint32_t value;	/* bytes as user space sees them: all CPUs' for per-CPU maps */
	uint32_t max_entries;
};

PL_HIDDEN int pl_map_shape_of(int fd, struct pl_map_shape *shape);

#endif /* PORTOLAN_MAP_H */
