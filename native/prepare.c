// SPDX-License-Identifier: Apache-2.0
/* prepare.c - settings in .rodata and the pins of maps, before an object is loaded. */
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include "object.h"

static const struct btf_var_secinfo *pl_rodata_variable(const struct btf *btf, const char *name)
{
	int id = btf__find_by_name_kind(btf, ".rodata", BTF_KIND_DATASEC);
	const struct btf_type *section = id > 0 ? btf__type_by_id(btf, id) : NULL;
	const struct btf_var_secinfo *info;

	if (!section)
		return NULL;
	info = btf_var_secinfos(section);
	for (int i = 0; i < btf_vlen(section); i++, info++) {
		const struct btf_type *variable = btf__type_by_id(btf, info->type);

		if (!strcmp(btf__name_by_offset(btf, variable->name_off), name))
			return info;
	}
	return NULL;
}

static struct bpf_map *pl_rodata_map(struct bpf_object *bpf)
{
	struct bpf_map *map;

	bpf_object__for_each_map(map, bpf) {
		const char *suffix = strrchr(bpf_map__name(map), '.');

		if (bpf_map__is_internal(map) && suffix && !strcmp(suffix, ".rodata"))
			return map;
	}
	return NULL;
}

int pl_variable_set(struct bpf_object *bpf, const char *name, const uint8_t *data,
			   uint32_t len)
{
	const struct btf_var_secinfo *variable = NULL;
	struct bpf_map *map = pl_rodata_map(bpf);
	uint8_t *section;
	size_t size;

	if (map && bpf_object__btf(bpf))
		variable = pl_rodata_variable(bpf_object__btf(bpf), name);
	if (!variable) {
		pl_log_add("no variable '%s' in .rodata\n", name);
		return -ENOENT;
	}
	section = (uint8_t *)bpf_map__initial_value(map, &size);
	if (variable->size != len) {
		pl_log_add("variable '%s' has %u bytes, not %u\n", name, variable->size, len);
		return -EMSGSIZE;
	}
	if (!section || variable->offset > size || len > size - variable->offset)
		return -ERANGE;
	memcpy(section + variable->offset, data, len);
	return 0;
}

static bool pl_same(const char *map, const char *path, const char *what, uint32_t pinned,
		    uint32_t wanted)
{
	if (pinned == wanted)
		return true;
	pl_log_add("map '%s' is pinned at %s with %s %u, this object needs %u\n", map, path, what,
		   pinned, wanted);
	return false;
}

/* libbpf would refuse, too, but says neither which map nor what differs. */
int pl_pin_check(struct bpf_map *map)
{
	const char *path = bpf_map__pin_path(map), *name = bpf_map__name(map);
	struct bpf_map_info info = {};
	bool same = true;
	int fd, ret;

	if (!path)
		return 0;
	fd = bpf_obj_get(path);
	if (fd < 0) {
		if (errno == ENOENT)
			return 0;
		ret = -errno;
		pl_log_add("map '%s': cannot open what is pinned at %s\n", name, path);
		return ret;
	}
	ret = pl_info(fd, &info, sizeof(info));
	close(fd);
	if (ret < 0)
		return ret;
	same &= pl_same(name, path, "type", info.type, bpf_map__type(map));
	same &= pl_same(name, path, "key size", info.key_size, bpf_map__key_size(map));
	same &= pl_same(name, path, "value size", info.value_size, bpf_map__value_size(map));
	same &= pl_same(name, path, "max_entries", info.max_entries, bpf_map__max_entries(map));
	same &= pl_same(name, path, "flags", info.map_flags, bpf_map__map_flags(map));
	return same ? 0 : -EEXIST;
}
