// SPDX-License-Identifier: Apache-2.0
/*
 * elf-check.c - libbpf 1.1 follows the type ids of BTF wherever they lead; a
 * damaged object must be refused, not crash the agent.
 */
#include <gelf.h>
#include <string.h>
#include <bpf/btf.h>
#include "object.h"

/* How long a chain of typedefs, qualifiers, arrays and structs may be. */
#define PL_DEPTH_MAX 32

static bool pl_id_ok(const struct btf *btf, uint32_t id)
{
	return id < btf__type_cnt(btf);
}

static bool pl_name_ok(const struct btf *btf, uint32_t offset)
{
	return btf__name_by_offset(btf, offset);
}

/* The type that this one is made of, which libbpf follows without counting. */
static uint32_t pl_next_id(const struct btf_type *type)
{
	if (btf_is_mod(type) || btf_is_typedef(type))
		return type->type;
	return btf_is_array(type) ? btf_array(type)->type : 0;
}

static bool pl_members_ok(const struct btf *btf, const struct btf_type *type, int depth);

static bool pl_chain_ok(const struct btf *btf, uint32_t id, int depth)
{
	const struct btf_type *type;

	for (; id; id = pl_next_id(type)) {
		if (++depth > PL_DEPTH_MAX || !pl_id_ok(btf, id))
			return false;
		type = btf__type_by_id(btf, id);
		if (btf_is_composite(type) && !pl_members_ok(btf, type, depth))
			return false;
	}
	return true;
}

static bool pl_members_ok(const struct btf *btf, const struct btf_type *type, int depth)
{
	const struct btf_member *member = btf_members(type);

	for (int i = 0; i < btf_vlen(type); i++, member++)
		if (!pl_name_ok(btf, member->name_off) || !pl_chain_ok(btf, member->type, depth))
			return false;
	return true;
}

static bool pl_variables_ok(const struct btf *btf, const struct btf_type *section)
{
	const struct btf_var_secinfo *info = btf_var_secinfos(section);

	for (int i = 0; i < btf_vlen(section); i++, info++) {
		const struct btf_type *variable;

		if (!info->type || !pl_id_ok(btf, info->type))
			return false;
		variable = btf__type_by_id(btf, info->type);
		if (!btf_is_var(variable) && !btf_is_func(variable))
			return false;
	}
	return true;
}

static bool pl_parameters_ok(const struct btf *btf, const struct btf_type *prototype)
{
	const struct btf_param *parameter = btf_params(prototype);

	for (int i = 0; i < btf_vlen(prototype); i++, parameter++)
		if (!pl_id_ok(btf, parameter->type) || !pl_name_ok(btf, parameter->name_off))
			return false;
	return pl_id_ok(btf, prototype->type);
}

static bool pl_values_ok(const struct btf *btf, const struct btf_type *type)
{
	for (int i = 0; i < btf_vlen(type); i++)
		if (!pl_name_ok(btf, btf_is_enum(type) ? btf_enum(type)[i].name_off :
							 btf_enum64(type)[i].name_off))
			return false;
	return true;
}

static bool pl_type_ok(const struct btf *btf, uint32_t id)
{
	const struct btf_type *type = btf__type_by_id(btf, id);

	if (!pl_name_ok(btf, type->name_off))
		return false;
	switch (btf_kind(type)) {
	case BTF_KIND_PTR:
		return pl_id_ok(btf, type->type);
	case BTF_KIND_FUNC:
		return type->type && pl_id_ok(btf, type->type) &&
		       btf_is_func_proto(btf__type_by_id(btf, type->type));
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return type->type && pl_chain_ok(btf, type->type, 0);
	case BTF_KIND_DATASEC:
		return pl_variables_ok(btf, type);
	case BTF_KIND_FUNC_PROTO:
		return pl_parameters_ok(btf, type);
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return pl_values_ok(btf, type);
	default:
		return pl_chain_ok(btf, id, 0);
	}
}

static int pl_btf_check(const void *data, uint32_t size)
{
	struct btf *btf = btf__new(data, size);
	int ret = btf ? 0 : -errno;

	for (uint32_t id = 1; !ret && id < btf__type_cnt(btf); id++) {
		if (pl_type_ok(btf, id))
			continue;
		pl_log_add("BTF type %u is damaged\n", id);
		ret = -EINVAL;
	}
	btf__free(btf);
	return ret;
}

/* No .BTF at all, or no ELF, is for libbpf to say. */
int pl_elf_check(const uint8_t *bytes, uint32_t len)
{
	Elf_Scn *section = NULL;
	GElf_Shdr header;
	size_t names;
	int ret = 0;
	Elf *elf;

	elf_version(EV_CURRENT);
	elf = elf_memory((char *)bytes, len);
	if (!elf || elf_getshdrstrndx(elf, &names)) {
		elf_end(elf);
		return 0;
	}
	while (!ret && (section = elf_nextscn(elf, section))) {
		const char *name;
		Elf_Data *data;

		if (!gelf_getshdr(section, &header))
			continue;
		name = elf_strptr(elf, names, header.sh_name);
		if (!name || strcmp(name, ".BTF"))
			continue;
		data = elf_rawdata(section, NULL);
		if (data && data->d_buf)
			ret = pl_btf_check(data->d_buf, data->d_size);
	}
	elf_end(elf);
	return ret;
}
