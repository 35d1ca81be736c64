// SPDX-License-Identifier: Apache-2.0
/*
 * link.c - BPF links by the raw system call: libbpf 1.1 does not know tcx, and
 * the kernel takes the same arguments for every kind of link.
 */
#include <string.h>
#include <unistd.h>
#include <sys/syscall.h>
#include <linux/bpf.h>
#include <bpf/bpf.h>
#include "internal.h"

#define PL_LINK_TYPE_TCX 11	/* BPF_LINK_TYPE_TCX, Linux 6.6 */

static int pl_bpf(int command, void *attr, uint32_t size)
{
	return pl_result(syscall(__NR_bpf, command, attr, size));
}

int pl_link_create(int program_fd, int target, uint32_t attach_type)
{
	struct {
		uint32_t program_fd, target, attach_type, flags;
		uint64_t rest[4];
	} attr = { .program_fd = program_fd, .target = target, .attach_type = attach_type };

	return pl_bpf(BPF_LINK_CREATE, &attr, sizeof(attr));
}

int pl_link_update(int link_fd, int program_fd)
{
	struct {
		uint32_t link_fd, program_fd, flags, old_program_fd;
	} attr = { .link_fd = link_fd, .program_fd = program_fd };

	return pl_bpf(BPF_LINK_UPDATE, &attr, sizeof(attr));
}

int pl_link_detach(int link_fd)
{
	struct {
		uint32_t link_fd;
	} attr = { .link_fd = link_fd };

	return pl_bpf(BPF_LINK_DETACH, &attr, sizeof(attr));
}

int pl_link_info(int link_fd, uint32_t *out, uint32_t out_len)
{
	/* struct bpf_link_info, with the members that headers before 6.6 lack */
	struct {
		uint32_t type, id, program_id, pad;
		uint32_t tcx_ifindex, tcx_attach_type;
		uint64_t rest[8];
	} info;
	int ret;

	if (!out || out_len < 3 * sizeof(*out))
		return -EMSGSIZE;
	memset(&info, 0, sizeof(info));
	ret = pl_info(link_fd, &info, sizeof(info));
	if (ret < 0)
		return ret;
	/* bpf_link_prime() names the file otherwise than bpf_link_new_fd(). */
	if (!pl_fd_is(link_fd, "bpf_link") && !pl_fd_is(link_fd, "bpf-link"))
		return -EINVAL;
	out[0] = info.id;
	out[1] = info.program_id;
	out[2] = info.type == PL_LINK_TYPE_TCX ? info.tcx_ifindex : 0;
	return 0;
}
