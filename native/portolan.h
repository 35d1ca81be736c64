/* SPDX-License-Identifier: Apache-2.0 */
/*
 * portolan.h - the whole C ABI of libportolan.so: the kernel, as far as the
 * agent touches it. It is made for FFI and knows nothing of Services.
 *
 * Rules
 * - Every function returns a value >= 0, or a negative errno.
 * - Only integers, strings and byte buffers cross the border: no structs, no
 *   raw pointers out. Every buffer travels with its length in bytes, and the
 *   library checks it against what the kernel will read or write (-EMSGSIZE
 *   when it does not fit).
 * - What must be kept between calls is an int handle (slot and generation): a
 *   stale, foreign or busy handle is -EBADF, never a crash.
 * - File descriptors are close-on-exec and the caller's to close.
 * - `err` receives libbpf's messages and the end of the verifier's log, always
 *   NUL-terminated; it may be NULL with length 0.
 * - Calls on different handles may run at the same time on different threads.
 */
#ifndef PORTOLAN_H
#define PORTOLAN_H

#include <stdint.h>

#define PL_API __attribute__((visibility("default")))

/* Raised whenever a function changes its meaning or arguments. */
#define PL_ABI_VERSION 1

PL_API int pl_abi_version(void);
PL_API int pl_possible_cpus(void);

/* What this kernel can do, as a set of bits; -EPERM when it cannot be probed. */
#define PL_FEATURE_TCX 1	  /* tcx links (Linux 6.6) */
#define PL_FEATURE_SOCK_DESTROY 2 /* CONFIG_INET_DIAG_DESTROY */
#define PL_FEATURE_NETNS_COOKIE 4 /* SO_NETNS_COOKIE (Linux 5.14) */
#define PL_FEATURE_BTF 8	  /* /sys/kernel/btf/vmlinux */
PL_API int pl_features(void);

/* ---- BPF objects: open, set, load, close -------------------------------- */

/* The ELF bytes are copied. Returns a handle. */
PL_API int pl_object_open(const uint8_t *elf, uint32_t elf_len, const char *name, char *err,
			  uint32_t err_len);
/* Before load: overwrites a variable of .rodata, found by its name in BTF. */
PL_API int pl_object_set_variable(int object, const char *name, const uint8_t *data,
				  uint32_t data_len, char *err, uint32_t err_len);
/* Before load: the map pinned at `path` is used, or the new one pinned there. */
PL_API int pl_object_set_map_pin(int object, const char *map, const char *path, char *err,
				 uint32_t err_len);
PL_API int pl_object_set_map_max(int object, const char *map, uint32_t max_entries, char *err,
				 uint32_t err_len);
PL_API int pl_object_set_autoload(int object, const char *program, int on, char *err,
				  uint32_t err_len);
/* -EEXIST: a map is pinned with other parameters; `err` names map and path. */
PL_API int pl_object_load(int object, char *err, uint32_t err_len);
PL_API int pl_object_program_fd(int object, const char *name);
PL_API int pl_object_map_fd(int object, const char *name);
/* Instructions that the verifier walked (Linux 5.16); 0 where it is not told. */
PL_API int pl_object_verified(int object, const char *name);
PL_API int pl_object_close(int object);

/* ---- maps ---------------------------------------------------------------- */

/* out: type, id, key size, value size, max_entries, flags. */
PL_API int pl_map_info(int fd, uint32_t *out, uint32_t out_len);
/* flags: BPF_ANY, BPF_NOEXIST, BPF_EXIST. */
PL_API int pl_map_update(int fd, const uint8_t *key, uint32_t key_len, const uint8_t *value,
			 uint32_t value_len, uint32_t flags);
PL_API int pl_map_lookup(int fd, const uint8_t *key, uint32_t key_len, uint8_t *value,
			 uint32_t value_len);
PL_API int pl_map_delete(int fd, const uint8_t *key, uint32_t key_len);
/*
 * out: elements done, errno of the element that stopped it or 0. Where the
 * kernel has no batches for this kind of map, elements go one by one.
 */
PL_API int pl_map_update_batch(int fd, const uint8_t *keys, uint32_t keys_len,
			       const uint8_t *values, uint32_t values_len, uint32_t count,
			       uint32_t *out, uint32_t out_len);
/* out: elements done (those that were not there included), errno, missing. */
PL_API int pl_map_delete_batch(int fd, const uint8_t *keys, uint32_t keys_len, uint32_t count,
			       uint32_t *out, uint32_t out_len);
/* Reads all elements. out: count, key stride, value stride. Returns a handle. */
PL_API int pl_map_dump(int fd, uint32_t *out, uint32_t out_len);
/* Copies what a dump has read, and forgets it; with NULL buffers: forgets it. */
PL_API int pl_dump_take(int dump, uint8_t *keys, uint32_t keys_len, uint8_t *values,
			uint32_t values_len);

/* ---- programs: links, clsact, test runs ---------------------------------- */

/* target: ifindex (tcx) or cgroup fd. attach_type: enum bpf_attach_type. */
PL_API int pl_link_create(int program_fd, int target, uint32_t attach_type);
PL_API int pl_link_update(int link_fd, int program_fd);
PL_API int pl_link_detach(int link_fd);
/* out: id, program id, ifindex (0: none, or the device is gone). */
PL_API int pl_link_info(int link_fd, uint32_t *out, uint32_t out_len);

/* Our one filter at each clsact hook has this handle and priority. */
#define PL_TC_HANDLE 0x504c
#define PL_TC_PRIORITY 80
PL_API int pl_tc_attach(int ifindex, int egress, int program_fd, char *err, uint32_t err_len);
/* Returns 1, or 0 where there was no filter of ours. */
PL_API int pl_tc_detach(int ifindex, int egress, char *err, uint32_t err_len);

/* Context: in and out, `struct __sk_buff` for tc. out: retval, ns, lengths of data and context. */
PL_API int pl_program_run(int program_fd, const uint8_t *data, uint32_t data_len,
			  uint8_t *data_out, uint32_t data_out_len, uint8_t *context,
			  uint32_t context_len, uint32_t repeat, uint32_t *out, uint32_t out_len);
/* enum bpf_prog_type. */
PL_API int pl_program_type(int program_fd);

/* ---- files and network namespaces ---------------------------------------- */

PL_API int pl_pin(int fd, const char *path);
PL_API int pl_get_pinned(const char *path);
PL_API int pl_close(int fd);
/* flock(LOCK_EX | LOCK_NB). Returns the fd that holds it; -EAGAIN: taken. */
PL_API int pl_lock(const char *path);
PL_API int pl_mount_bpffs(const char *path);
/* out: statfs(2) f_type. */
PL_API int pl_filesystem_type(const char *path, uint32_t *out, uint32_t out_len);

/* out: two halves of the cookie, low first. path NULL: the own namespace. */
PL_API int pl_netns_cookie(const char *path, uint32_t *out, uint32_t out_len);
/*
 * sockets: records of 16 bytes: __u8 family (4, 6), __u8 protocol, 6 bytes of
 * zero, __u64 cookie. Returns how many were there and have been destroyed.
 */
PL_API int pl_destroy_sockets(const char *netns, const uint8_t *sockets, uint32_t sockets_len);

/* rtnetlink socket, non-blocking, in the groups of links and addresses. */
PL_API int pl_route_open(void);
/* kind: 0 links, 1 addresses. One dump at a time. Returns its sequence number. */
PL_API int pl_route_dump(int fd, int kind);
/* Returns bytes of whole messages; -EAGAIN: none; -ENOBUFS: some were lost. */
PL_API int pl_route_receive(int fd, uint8_t *out, uint32_t out_len);

#endif /* PORTOLAN_H */
