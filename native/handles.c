// SPDX-License-Identifier: Apache-2.0
/*
 * handles.c - int handles instead of pointers: a slot and its generation, so
 * that a handle that has been closed, or never was one, is refused.
 */
#include <pthread.h>
#include "internal.h"

#define PL_SLOT_BITS 10
#define PL_SLOTS (1 << PL_SLOT_BITS)
#define PL_GENERATION_MASK (0x7fffffff >> PL_SLOT_BITS)

struct pl_slot {
	void *what;
	enum pl_handle_kind kind;
	uint32_t generation;
	bool busy;
};

static struct pl_slot slots[PL_SLOTS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

int pl_handle_new(enum pl_handle_kind kind, void *what)
{
	int handle = -EMFILE;

	pthread_mutex_lock(&mutex);
	for (int i = 0; i < PL_SLOTS; i++) {
		struct pl_slot *slot = &slots[i];

		if (slot->kind != PL_HANDLE_FREE)
			continue;
		slot->generation = (slot->generation + 1) & PL_GENERATION_MASK;
		if (!slot->generation)
			slot->generation = 1;
		slot->what = what;
		slot->kind = kind;
		slot->busy = false;
		handle = (int)(slot->generation << PL_SLOT_BITS) | i;
		break;
	}
	pthread_mutex_unlock(&mutex);
	return handle;
}

static struct pl_slot *pl_slot_of(int handle)
{
	struct pl_slot *slot;

	if (handle <= 0)
		return NULL;
	slot = &slots[handle & (PL_SLOTS - 1)];
	return slot->generation == (uint32_t)handle >> PL_SLOT_BITS ? slot : NULL;
}

void *pl_handle_get(int handle, enum pl_handle_kind kind)
{
	struct pl_slot *slot;
	void *what = NULL;

	pthread_mutex_lock(&mutex);
	slot = pl_slot_of(handle);
	if (slot && slot->kind == kind && !slot->busy) {
		slot->busy = true;
		what = slot->what;
	}
	pthread_mutex_unlock(&mutex);
	return what;
}

void pl_handle_put(int handle)
{
	pthread_mutex_lock(&mutex);
	slots[handle & (PL_SLOTS - 1)].busy = false;
	pthread_mutex_unlock(&mutex);
}

void pl_handle_free(int handle)
{
	struct pl_slot *slot = &slots[handle & (PL_SLOTS - 1)];

	pthread_mutex_lock(&mutex);
	slot->what = NULL;
	slot->kind = PL_HANDLE_FREE;
	slot->busy = false;
	pthread_mutex_unlock(&mutex);
}
