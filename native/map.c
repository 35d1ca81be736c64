// SPDX-License-Identifier: Apache-2.0
/*
 * map.c - map elements, one by one and in batches. Sizes are asked of the
 * kernel at every call: a file descriptor that has become another map's must
 * not make the kernel write past the caller's buffer.
 */
#include <fcntl.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "map.h"

/* Elements per call: keeps the kernel's temporary memory small. */
#define PL_CHUNK 16384

static bool pl_map_is_percpu(uint32_t type)
{
	return type == BPF_MAP_TYPE_PERCPU_HASH || type == BPF_MAP_TYPE_PERCPU_ARRAY ||
	       type == BPF_MAP_TYPE_LRU_PERCPU_HASH ||
	       type == BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE;
}

int pl_map_shape_of(int fd, struct pl_map_shape *shape)
{
	struct bpf_map_info info = {};
	int ret = pl_info(fd, &info, sizeof(info));

	if (ret < 0)
		return ret;
	*shape = (struct pl_map_shape){
		.type = info.type,
		.key = info.key_size,
		.value = info.value_size,
		.max_entries = info.max_entries,
	};
	if (pl_map_is_percpu(info.type)) {
		int cpus = libbpf_num_possible_cpus();

		if (cpus < 0)
			return cpus;
		shape->value = (info.value_size + 7) / 8 * 8 * cpus;
	}
	return 0;
}

int pl_map_info(int fd, uint32_t *out, uint32_t out_len)
{
	struct bpf_map_info info = {};
	int ret;

	if (!out || out_len < 6 * sizeof(*out))
		return -EMSGSIZE;
	ret = pl_info(fd, &info, sizeof(info));
	if (ret < 0)
		return ret;
	if (!pl_fd_is(fd, "bpf-map"))
		return -EINVAL;
	out[0] = info.type;
	out[1] = info.id;
	out[2] = info.key_size;
	out[3] = info.value_size;
	out[4] = info.max_entries;
	out[5] = info.map_flags;
	return 0;
}

int pl_map_update(int fd, const uint8_t *key, uint32_t key_len, const uint8_t *value,
		  uint32_t value_len, uint32_t flags)
{
	struct pl_map_shape shape;
	int ret = pl_map_shape_of(fd, &shape);

	if (ret < 0)
		return ret;
	if (!key || !value || key_len != shape.key || value_len != shape.value)
		return -EMSGSIZE;
	return pl_result(bpf_map_update_elem(fd, key, value, flags));
}

int pl_map_lookup(int fd, const uint8_t *key, uint32_t key_len, uint8_t *value,
		  uint32_t value_len)
{
	struct pl_map_shape shape;
	int ret = pl_map_shape_of(fd, &shape);

	if (ret < 0)
		return ret;
	if (!key || !value || key_len != shape.key || value_len != shape.value)
		return -EMSGSIZE;
	return pl_result(bpf_map_lookup_elem(fd, key, value));
}

int pl_map_delete(int fd, const uint8_t *key, uint32_t key_len)
{
	struct pl_map_shape shape;
	int ret = pl_map_shape_of(fd, &shape);

	if (ret < 0)
		return ret;
	if (!key || key_len != shape.key)
		return -EMSGSIZE;
	return pl_result(bpf_map_delete_elem(fd, key));
}

struct pl_batch {
	int fd;
	struct pl_map_shape shape;
	const uint8_t *keys;
	const uint8_t *values;	/* NULL: delete */
	uint32_t count;
	uint32_t done;
	uint32_t missing;
	bool singles;		/* the kernel has no batches for this map */
};

static int pl_batch_single(struct pl_batch *b)
{
	const uint8_t *key = b->keys + (size_t)b->done * b->shape.key;
	int ret;

	if (b->values)
		ret = bpf_map_update_elem(b->fd, key,
					  b->values + (size_t)b->done * b->shape.value, BPF_ANY);
	else
		ret = bpf_map_delete_elem(b->fd, key);
	ret = pl_result(ret);
	b->done += !ret;
	return ret;
}

/*
 * One call of the kernel. It reports how many elements it did, except when it
 * refuses before the first one: then it leaves the count as it was asked.
 * Whatever the reason, element by element tells what is really wrong.
 */
static int pl_batch_chunk(struct pl_batch *b)
{
	uint32_t left = b->count - b->done;
	uint32_t want = left < PL_CHUNK ? left : PL_CHUNK, did = want;
	const uint8_t *keys = b->keys + (size_t)b->done * b->shape.key;
	int ret;

	if (b->values)
		ret = pl_result(bpf_map_update_batch(
			b->fd, keys, b->values + (size_t)b->done * b->shape.value, &did, NULL));
	else
		ret = pl_result(bpf_map_delete_batch(b->fd, keys, &did, NULL));
	if (ret < 0 && did >= want) {
		b->singles = true;
		return 0;
	}
	b->done += did;
	return ret;
}

static int pl_batch_elements(struct pl_batch *b)
{
	while (b->done < b->count) {
		int ret = b->singles ? pl_batch_single(b) : pl_batch_chunk(b);

		if (ret == -ENOENT && !b->values) {
			b->missing++;
			b->done++;
		} else if (ret < 0) {
			return -ret;
		}
	}
	return 0;
}

/*
 * On a descriptor of its own: were the caller's closed meanwhile, and its
 * number given to another map, the sizes would no longer be right.
 */
static int pl_batch_run(struct pl_batch *b, uint32_t *out)
{
	b->fd = pl_result(fcntl(b->fd, F_DUPFD_CLOEXEC, 3));
	if (b->fd < 0)
		return b->fd;
	out[1] = pl_batch_elements(b);
	out[0] = b->done;
	close(b->fd);
	return 0;
}

int pl_map_update_batch(int fd, const uint8_t *keys, uint32_t keys_len, const uint8_t *values,
			uint32_t values_len, uint32_t count, uint32_t *out, uint32_t out_len)
{
	struct pl_batch b = { .fd = fd, .keys = keys, .values = values, .count = count };
	int ret = pl_map_shape_of(fd, &b.shape);

	if (ret < 0)
		return ret;
	if (!out || out_len < 2 * sizeof(*out) || !keys || !values ||
	    (uint64_t)count * b.shape.key != keys_len ||
	    (uint64_t)count * b.shape.value != values_len)
		return -EMSGSIZE;
	return pl_batch_run(&b, out);
}

int pl_map_delete_batch(int fd, const uint8_t *keys, uint32_t keys_len, uint32_t count,
			uint32_t *out, uint32_t out_len)
{
	struct pl_batch b = { .fd = fd, .keys = keys, .count = count };
	int ret = pl_map_shape_of(fd, &b.shape);

	if (ret < 0)
		return ret;
	if (!out || out_len < 3 * sizeof(*out) || !keys ||
	    (uint64_t)count * b.shape.key != keys_len)
		return -EMSGSIZE;
	ret = pl_batch_run(&b, out);
	out[2] = b.missing;
	return ret;
}
