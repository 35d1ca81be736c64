/* SPDX-License-Identifier: Apache-2.0 */
/* object.h - what an object is checked for and set before it is loaded. */
#ifndef PORTOLAN_OBJECT_H
#define PORTOLAN_OBJECT_H

#include <bpf/libbpf.h>
#include "internal.h"

/* -EINVAL for BTF that libbpf would stumble over. */
PL_HIDDEN int pl_elf_check(const uint8_t *elf, uint32_t len);
/* Overwrites a variable of .rodata, found by its name in BTF. */
PL_HIDDEN int pl_variable_set(struct bpf_object *bpf, const char *name, const uint8_t *data,
			      uint32_t len);
/* -EEXIST where what is pinned at the map's path is another map. */
PL_HIDDEN int pl_pin_check(struct bpf_map *map);

#endif /* PORTOLAN_OBJECT_H */
