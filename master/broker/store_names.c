/* SPDX-License-Identifier: ISC */
/*
 * store_names.c - names of queues, kinds and pools as small numbers
 */
#include "master/broker/store_names.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void
store_names_done(struct store_names *s)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		free(s->names[i].text);
	free(s->names);
	free(s->slots);
	memset(s, 0, sizeof(*s));
}

int
store_names_add(struct store_names *s, int64_t id, const char *text)
{
	struct store_name *names;
	size_t cap;

	if (s->n == s->cap) {
		cap = s->cap == 0 ? 16 : 2 * s->cap;
		names = reallocarray(s->names, cap, sizeof(*names));
		if (names == NULL)
			return -ENOMEM;
		s->names = names;
		s->cap = cap;
	}
	s->names[s->n].id = id;
	s->names[s->n].text = strdup(text);
	if (s->names[s->n].text == NULL)
		return -ENOMEM;
	s->n++;
	return 0;
}

static size_t
slot_of(const struct store_names *s, const char *at)
{
	uint64_t h = (uint64_t)(uintptr_t)at * UINT64_C(0x9e3779b97f4a7c15);
	size_t i = (size_t)(h >> 32) & (s->n_slots - 1);

	while (s->slots[i].at != NULL && s->slots[i].at != at)
		i = (i + 1) & (s->n_slots - 1);
	return i;
}

/* Make room for one more; without it the name is found by its text. */
static int
grow(struct store_names *s)
{
	struct store_name_slot *old = s->slots;
	size_t i, n_old = s->n_slots;

	if (2 * (s->n_used + 1) <= s->n_slots)
		return 0;
	s->slots = calloc(n_old == 0 ? 64 : 2 * n_old, sizeof(*s->slots));
	if (s->slots == NULL) {
		s->slots = old;
		return -ENOMEM;
	}
	s->n_slots = n_old == 0 ? 64 : 2 * n_old;
	for (i = 0; i < n_old; i++)
		if (old[i].at != NULL)
			s->slots[slot_of(s, old[i].at)] = old[i];
	free(old);
	return 0;
}

int64_t
store_names_look_up(const struct store_names *s, const char *name)
{
	size_t i;

	for (i = 0; i < s->n; i++)
		if (strcmp(s->names[i].text, name) == 0)
			return s->names[i].id;
	return 0;
}

int64_t
store_names_find(struct store_names *s, const char *name)
{
	int64_t id;
	size_t i;

	if (s->n_slots > 0) {
		i = slot_of(s, name);
		if (s->slots[i].at != NULL)
			return s->slots[i].id;
	}
	id = store_names_look_up(s, name);
	if (id != 0 && grow(s) == 0) {
		s->slots[slot_of(s, name)] = (struct store_name_slot){name, id};
		s->n_used++;
	}
	return id;
}

const char *
store_names_text(const struct store_names *s, int64_t id)
{
	size_t low = 0, high = s->n, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (s->names[mid].id < id)
			low = mid + 1;
		else
			high = mid;
	}
	return low < s->n && s->names[low].id == id ? s->names[low].text : NULL;
}

void
store_names_keep(struct store_names *s)
{
	s->n_kept = s->n;
}

void
store_names_drop(struct store_names *s)
{
	if (s->n == s->n_kept)
		return;
	while (s->n > s->n_kept)
		free(s->names[--s->n].text);
	if (s->n_slots == 0)
		return;
	/* Some addresses may mean what is gone. */
	memset(s->slots, 0, s->n_slots * sizeof(*s->slots));
	s->n_used = 0;
}
