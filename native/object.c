// SPDX-License-Identifier: Apache-2.0
/* object.c - a BPF object from its ELF bytes to loaded programs and maps. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "object.h"

enum pl_object_state {
	PL_OBJECT_OPEN,
	PL_OBJECT_LOADED,
	PL_OBJECT_FAILED,	/* libbpf loads an object at most once */
};

struct pl_object {
	struct bpf_object *bpf;
	enum pl_object_state state;
};

int pl_object_open(const uint8_t *elf, uint32_t elf_len, const char *name, char *err,
		   uint32_t err_len)
{
	LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = name);
	struct pl_object *object;
	int handle;

	pl_log_begin();
	handle = elf && elf_len && name ? pl_elf_check(elf, elf_len) : -EINVAL;
	if (handle < 0)
		return pl_log_end(handle, err, err_len);
	object = calloc(1, sizeof(*object));
	if (!object)
		return pl_log_end(-ENOMEM, err, err_len);
	object->bpf = bpf_object__open_mem(elf, elf_len, &options);
	if (!object->bpf) {
		int ret = -errno;

		free(object);
		return pl_log_end(ret, err, err_len);
	}
	handle = pl_handle_new(PL_HANDLE_OBJECT, object);
	if (handle < 0) {
		bpf_object__close(object->bpf);
		free(object);
	}
	return pl_log_end(handle, err, err_len);
}

/* Gets an object that has not been loaded; on -EBADF and -EBUSY nothing is held. */
static int pl_object_get_open(int handle, struct pl_object **object)
{
	*object = pl_handle_get(handle, PL_HANDLE_OBJECT);
	if (!*object)
		return -EBADF;
	if ((*object)->state == PL_OBJECT_OPEN)
		return 0;
	pl_handle_put(handle);
	return -EBUSY;
}

int pl_object_set_variable(int handle, const char *name, const uint8_t *data, uint32_t data_len,
			   char *err, uint32_t err_len)
{
	struct pl_object *object;
	int ret;

	pl_log_begin();
	if (!name || !data)
		return pl_log_end(-EINVAL, err, err_len);
	ret = pl_object_get_open(handle, &object);
	if (!ret) {
		ret = pl_variable_set(object->bpf, name, data, data_len);
		pl_handle_put(handle);
	}
	return pl_log_end(ret, err, err_len);
}

static struct bpf_map *pl_map_of(struct pl_object *object, const char *name)
{
	struct bpf_map *map = bpf_object__find_map_by_name(object->bpf, name);

	if (!map)
		pl_log_add("no map '%s' in this object\n", name);
	return map;
}

static struct bpf_program *pl_program_of(struct pl_object *object, const char *name)
{
	struct bpf_program *program = bpf_object__find_program_by_name(object->bpf, name);

	if (!program)
		pl_log_add("no program '%s' in this object\n", name);
	return program;
}

int pl_object_set_map_pin(int handle, const char *map, const char *path, char *err,
			  uint32_t err_len)
{
	struct pl_object *object;
	int ret;

	pl_log_begin();
	if (!map || !path)
		return pl_log_end(-EINVAL, err, err_len);
	ret = pl_object_get_open(handle, &object);
	if (!ret) {
		struct bpf_map *found = pl_map_of(object, map);

		ret = found ? bpf_map__set_pin_path(found, path) : -ENOENT;
		pl_handle_put(handle);
	}
	return pl_log_end(ret, err, err_len);
}

int pl_object_set_map_max(int handle, const char *map, uint32_t max_entries, char *err,
			  uint32_t err_len)
{
	struct pl_object *object;
	int ret;

	pl_log_begin();
	if (!map || !max_entries)
		return pl_log_end(-EINVAL, err, err_len);
	ret = pl_object_get_open(handle, &object);
	if (!ret) {
		struct bpf_map *found = pl_map_of(object, map);

		ret = found ? bpf_map__set_max_entries(found, max_entries) : -ENOENT;
		pl_handle_put(handle);
	}
	return pl_log_end(ret, err, err_len);
}

int pl_object_set_autoload(int handle, const char *program, int on, char *err, uint32_t err_len)
{
	struct pl_object *object;
	int ret;

	pl_log_begin();
	if (!program)
		return pl_log_end(-EINVAL, err, err_len);
	ret = pl_object_get_open(handle, &object);
	if (!ret) {
		struct bpf_program *found = pl_program_of(object, program);

		ret = found ? bpf_program__set_autoload(found, on) : -ENOENT;
		pl_handle_put(handle);
	}
	return pl_log_end(ret, err, err_len);
}

int pl_object_load(int handle, char *err, uint32_t err_len)
{
	struct pl_object *object;
	struct bpf_map *map;
	int ret;

	pl_log_begin();
	ret = pl_object_get_open(handle, &object);
	if (ret)
		return pl_log_end(ret, err, err_len);
	bpf_object__for_each_map(map, object->bpf) {
		ret = pl_pin_check(map);
		if (ret)
			break;
	}
	if (!ret) {
		ret = bpf_object__load(object->bpf);
		object->state = ret ? PL_OBJECT_FAILED : PL_OBJECT_LOADED;
	}
	pl_handle_put(handle);
	return pl_log_end(ret, err, err_len);
}

static int pl_dup(int fd)
{
	return fd < 0 ? -ENODATA : pl_result(fcntl(fd, F_DUPFD_CLOEXEC, 3));
}

int pl_object_program_fd(int handle, const char *name)
{
	struct pl_object *object = pl_handle_get(handle, PL_HANDLE_OBJECT);
	struct bpf_program *program;
	int ret;

	if (!object)
		return -EBADF;
	program = name ? bpf_object__find_program_by_name(object->bpf, name) : NULL;
	ret = program ? pl_dup(bpf_program__fd(program)) : -ENOENT;
	pl_handle_put(handle);
	return ret;
}

int pl_object_map_fd(int handle, const char *name)
{
	struct pl_object *object = pl_handle_get(handle, PL_HANDLE_OBJECT);
	struct bpf_map *map;
	int ret;

	if (!object)
		return -EBADF;
	map = name ? bpf_object__find_map_by_name(object->bpf, name) : NULL;
	ret = map ? pl_dup(bpf_map__fd(map)) : -ENOENT;
	pl_handle_put(handle);
	return ret;
}

int pl_object_verified(int handle, const char *name)
{
	struct bpf_prog_info info = {};
	int fd = pl_object_program_fd(handle, name), ret;

	if (fd < 0)
		return fd;
	ret = pl_info(fd, &info, sizeof(info));
	close(fd);
	return ret < 0 ? ret : (int)info.verified_insns;
}

int pl_object_close(int handle)
{
	struct pl_object *object = pl_handle_get(handle, PL_HANDLE_OBJECT);

	if (!object)
		return -EBADF;
	bpf_object__close(object->bpf);
	free(object);
	pl_handle_free(handle);
	return 0;
}
