/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * anchor.h - keeps in BTF what no field has as its type. Flags live in fields
 * of a fixed width, and the compiler describes only types that something
 * refers to; user space's constants are generated from this description.
 */
#ifndef PORTOLAN_ANCHOR_H
#define PORTOLAN_ANCHOR_H

#include "abi.h"

/* The numbers of abi.h that are #defines. */
enum pl_limits {
	PL_LIMIT_LAYOUT_VERSION = PL_LAYOUT_VERSION,
	PL_LIMIT_NAME_MAX = PL_NAME_MAX,
	PL_LIMIT_SERVICE_RANGES_MAX = PL_SERVICE_RANGES_MAX,
	PL_LIMIT_POD_RANGES_MAX = PL_POD_RANGES_MAX,
};

/* Every enumeration of abi.h: a new one gets a line here. */
union pl_enums {
	enum pl_limits limits;
	enum pl_kind kind;
	enum pl_frontend_flags frontend_flags;
	enum pl_endpoint_flags endpoint_flags;
	enum pl_address_flags address_flags;
	enum pl_device_flags device_flags;
	enum pl_flow_flags flow_flags;
	enum pl_client_type client_type;
	enum pl_peer_direction peer_direction;
	enum pl_hook hook;
	enum pl_reason reason;
	enum pl_setting_flags setting_flags;
};

/* Four bytes of .rodata that nothing reads. */
const volatile union pl_enums pl_enums = {};

#endif /* PORTOLAN_ANCHOR_H */
