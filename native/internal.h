/* SPDX-License-Identifier: Apache-2.0 */
/* internal.h - what the library's own files share. */
#ifndef PORTOLAN_INTERNAL_H
#define PORTOLAN_INTERNAL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/netlink.h>
#include "portolan.h"

#define PL_HIDDEN __attribute__((visibility("hidden")))
#define PL_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* handles.c: a handle that is got is busy until it is put or taken. */
enum pl_handle_kind {
	PL_HANDLE_FREE,
	PL_HANDLE_OBJECT,
	PL_HANDLE_DUMP,
};

PL_HIDDEN int pl_handle_new(enum pl_handle_kind kind, void *what);
PL_HIDDEN void *pl_handle_get(int handle, enum pl_handle_kind kind);
PL_HIDDEN void pl_handle_put(int handle);
PL_HIDDEN void pl_handle_free(int handle);

/* log.c: what libbpf says on this thread between begin and end. */
PL_HIDDEN void pl_log_begin(void);
PL_HIDDEN void pl_log_add(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Hands `ret` through, so that a function can end with it. */
PL_HIDDEN int pl_log_end(int ret, char *err, uint32_t err_len);

/* netns.c: socket(2) inside the network namespace at `path`; NULL: our own. */
PL_HIDDEN int pl_netns_socket(const char *path, int domain, int type, int protocol);

/* netlink.c */
typedef int (*pl_netlink_each)(const struct nlmsghdr *message, void *context);

/*
 * Sends one request and gives every reply to `each`, until the kernel is done
 * or `each` returns something other than 0, which is then returned.
 */
PL_HIDDEN int pl_netlink_talk(int fd, struct nlmsghdr *request, pl_netlink_each each,
			      void *context);

/* misc.c: BPF_OBJ_GET_INFO_BY_FD, with one errno for what is not open. */
PL_HIDDEN int pl_info(int fd, void *info, uint32_t len);
/* misc.c: that call answers for any kind; this tells bpf-map, bpf-prog, bpf_link apart. */
PL_HIDDEN bool pl_fd_is(int fd, const char *kind);
/* misc.c: the name of a program by its id; "" where it is gone. */
PL_HIDDEN void pl_program_name(uint32_t id, char *name, size_t size);

/* sock-destroy.c, for the probe */
PL_HIDDEN int pl_destroy_probe(void);

static inline int pl_result(long ret)
{
	return ret < 0 ? -errno : (int)ret;
}

#endif /* PORTOLAN_INTERNAL_H */
