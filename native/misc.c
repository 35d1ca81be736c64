// SPDX-License-Identifier: Apache-2.0
/* misc.c - pins, descriptors, file systems, and programs as such. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "internal.h"

int pl_abi_version(void)
{
	return PL_ABI_VERSION;
}

int pl_possible_cpus(void)
{
	return libbpf_num_possible_cpus();
}

int pl_info(int fd, void *info, uint32_t len)
{
	int ret = pl_result(bpf_obj_get_info_by_fd(fd, info, &len));

	return ret == -EBADFD ? -EBADF : ret;
}

bool pl_fd_is(int fd, const char *kind)
{
	static const char prefix[] = "anon_inode:";
	char path[64], target[64] = "";

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (readlink(path, target, sizeof(target) - 1) < 0)
		return false;
	return !strncmp(target, prefix, strlen(prefix)) && !strcmp(target + strlen(prefix), kind);
}

void pl_program_name(uint32_t id, char *name, size_t size)
{
	struct bpf_prog_info info = {};
	int fd = bpf_prog_get_fd_by_id(id);

	name[0] = 0;
	if (fd < 0)
		return;
	if (!pl_info(fd, &info, sizeof(info))) {
		strncpy(name, info.name, size - 1);
		name[size - 1] = 0;
	}
	close(fd);
}

int pl_program_type(int program_fd)
{
	struct bpf_prog_info info = {};
	int ret = pl_info(program_fd, &info, sizeof(info));

	return ret < 0 ? ret : (int)info.type;
}

int pl_program_run(int program_fd, const uint8_t *data, uint32_t data_len, uint8_t *data_out,
		   uint32_t data_out_len, uint8_t *context, uint32_t context_len,
		   uint32_t repeat, uint32_t *out, uint32_t out_len)
{
	LIBBPF_OPTS(bpf_test_run_opts, options,
		    .data_in = data, .data_size_in = data_len,
		    .data_out = data_out, .data_size_out = data_out_len,
		    .ctx_in = context_len ? context : NULL, .ctx_size_in = context_len,
		    .ctx_out = context_len ? context : NULL, .ctx_size_out = context_len,
		    .repeat = repeat);
	int ret;

	if (!data || !data_out || (context_len && !context) || !out || out_len < 4 * sizeof(*out))
		return -EMSGSIZE;
	ret = pl_result(bpf_prog_test_run_opts(program_fd, &options));
	if (ret < 0)
		return ret;
	out[0] = options.retval;
	out[1] = options.duration;
	out[2] = options.data_size_out;
	out[3] = options.ctx_size_out;
	return 0;
}

int pl_pin(int fd, const char *path)
{
	return path ? pl_result(bpf_obj_pin(fd, path)) : -EINVAL;
}

int pl_get_pinned(const char *path)
{
	return path ? pl_result(bpf_obj_get(path)) : -EINVAL;
}

int pl_close(int fd)
{
	return pl_result(close(fd));
}

int pl_lock(const char *path)
{
	int fd, ret;

	if (!path)
		return -EINVAL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = pl_result(flock(fd, LOCK_EX | LOCK_NB));
	if (ret < 0) {
		close(fd);
		return ret;
	}
	return fd;
}

int pl_mount_bpffs(const char *path)
{
	return path ? pl_result(mount("bpf", path, "bpf", 0, "mode=0700")) : -EINVAL;
}

int pl_filesystem_type(const char *path, uint32_t *out, uint32_t out_len)
{
	struct statfs info;
	int ret;

	if (!path)
		return -EINVAL;
	if (!out || out_len < sizeof(*out))
		return -EMSGSIZE;
	ret = pl_result(statfs(path, &info));
	if (!ret)
		out[0] = (uint32_t)info.f_type;
	return ret;
}
