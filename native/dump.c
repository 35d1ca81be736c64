// SPDX-License-Identifier: Apache-2.0
/*
 * dump.c - all elements of a map, in memory that grows as they come: a map for
 * half a million flows that holds ten costs ten.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include "map.h"

#define PL_CHUNK_MIN 1024
#define PL_CHUNK_MAX (1U << 20)
/* LPM tries under change make some kernels ask for another try. */
#define PL_RETRIES 16

struct pl_dump {
	int fd;
	struct pl_map_shape shape;
	uint8_t *keys;
	uint8_t *values;
	uint32_t count;
	uint32_t capacity;
};

static int pl_dump_reserve(struct pl_dump *dump, uint32_t more)
{
	uint32_t capacity = dump->capacity ? dump->capacity : PL_CHUNK_MIN;
	uint8_t *keys, *values;

	while (capacity - dump->count < more)
		capacity *= 2;
	if (capacity == dump->capacity)
		return 0;
	keys = realloc(dump->keys, (size_t)capacity * dump->shape.key);
	if (!keys)
		return -ENOMEM;
	dump->keys = keys;
	values = realloc(dump->values, (size_t)capacity * dump->shape.value);
	if (!values)
		return -ENOMEM;
	dump->values = values;
	dump->capacity = capacity;
	return 0;
}

static uint8_t *pl_dump_key(struct pl_dump *dump)
{
	return dump->keys + (size_t)dump->count * dump->shape.key;
}

static uint8_t *pl_dump_value(struct pl_dump *dump)
{
	return dump->values + (size_t)dump->count * dump->shape.value;
}

/*
 * Returns 0 at the end, -EOPNOTSUPP where the kernel has no batches for this
 * map. -ENOSPC asks for a chunk that holds a whole hash bucket; hashes end
 * with -ENOENT and a valid count, arrays with an empty chunk.
 */
static int pl_dump_batches(struct pl_dump *dump, uint8_t *position)
{
	uint32_t chunk = PL_CHUNK_MIN;
	bool first = true;
	int retries = 0;

	while (chunk <= PL_CHUNK_MAX) {
		uint32_t count = chunk;
		int ret = pl_dump_reserve(dump, chunk);

		if (ret < 0)
			return ret;
		ret = pl_result(bpf_map_lookup_batch(dump->fd, first ? NULL : position, position,
						     pl_dump_key(dump), pl_dump_value(dump),
						     &count, NULL));
		if (ret == -ENOSPC) {
			chunk *= 2;
			continue;
		}
		if (ret < 0 && ret != -ENOENT && ret != -EINTR)
			return first ? -EOPNOTSUPP : ret;
		dump->count += count;
		if (ret == -ENOENT || (!ret && !count))
			return 0;
		if (ret == -EINTR && ++retries > PL_RETRIES)
			return -EOPNOTSUPP;
		if (count)
			first = false;
		if (chunk < 16 * PL_CHUNK_MIN)
			chunk *= 2;
	}
	return -EOPNOTSUPP;
}

/*
 * The old way. A key that vanishes under the walk sends it back to the start,
 * so it is bounded; in a map that does not change it sees each element once.
 */
static int pl_dump_singles(struct pl_dump *dump, uint8_t *key)
{
	uint64_t steps = 2ULL * dump->shape.max_entries + PL_CHUNK_MIN;
	bool first = true;

	dump->count = 0;
	while (steps--) {
		int ret = pl_dump_reserve(dump, 1);

		if (ret < 0)
			return ret;
		if (bpf_map_get_next_key(dump->fd, first ? NULL : key, pl_dump_key(dump)))
			return errno == ENOENT ? 0 : -errno;
		first = false;
		memcpy(key, pl_dump_key(dump), dump->shape.key);
		if (!bpf_map_lookup_elem(dump->fd, key, pl_dump_value(dump)))
			dump->count++;
		else if (errno != ENOENT)
			return -errno;
	}
	return 0;
}

static void pl_dump_free(struct pl_dump *dump)
{
	free(dump->keys);
	free(dump->values);
	free(dump);
}

static int pl_dump_run(struct pl_dump *dump)
{
	int ret = pl_map_shape_of(dump->fd, &dump->shape);
	uint8_t *position;

	if (ret < 0)
		return ret;
	/* Of something else the sizes are nonsense, and memory comes before the kernel's no. */
	if (!pl_fd_is(dump->fd, "bpf-map"))
		return -EINVAL;
	if (!dump->shape.key || !dump->shape.value)
		return -EOPNOTSUPP;
	/* A position is a key or a bucket number, whichever is longer. */
	position = calloc(1, dump->shape.key + sizeof(uint64_t));
	if (!position)
		return -ENOMEM;
	ret = pl_dump_batches(dump, position);
	if (ret == -EOPNOTSUPP)
		ret = pl_dump_singles(dump, position);
	free(position);
	return ret;
}

int pl_map_dump(int fd, uint32_t *out, uint32_t out_len)
{
	struct pl_dump *dump;
	int ret;

	if (!out || out_len < 3 * sizeof(*out))
		return -EMSGSIZE;
	dump = calloc(1, sizeof(*dump));
	if (!dump)
		return -ENOMEM;
	/* A descriptor of its own, as for batches: see map.c. */
	dump->fd = pl_result(fcntl(fd, F_DUPFD_CLOEXEC, 3));
	ret = dump->fd < 0 ? dump->fd : pl_dump_run(dump);
	if (dump->fd >= 0)
		close(dump->fd);
	out[0] = dump->count;
	out[1] = dump->shape.key;
	out[2] = dump->shape.value;
	if (!ret)
		ret = pl_handle_new(PL_HANDLE_DUMP, dump);
	if (ret < 0)
		pl_dump_free(dump);
	return ret;
}

int pl_dump_take(int handle, uint8_t *keys, uint32_t keys_len, uint8_t *values,
		 uint32_t values_len)
{
	struct pl_dump *dump = pl_handle_get(handle, PL_HANDLE_DUMP);

	if (!dump)
		return -EBADF;
	if (keys || values) {
		if (!keys || !values || keys_len != (uint64_t)dump->count * dump->shape.key ||
		    values_len != (uint64_t)dump->count * dump->shape.value) {
			pl_handle_put(handle);
			return -EMSGSIZE;
		}
		memcpy(keys, dump->keys, keys_len);
		memcpy(values, dump->values, values_len);
	}
	pl_dump_free(dump);
	pl_handle_free(handle);
	return 0;
}
