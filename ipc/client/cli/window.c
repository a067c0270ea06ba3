/* SPDX-License-Identifier: ISC */
/*
 * window.c - put texts that come in any order back into their order
 */
#include "ipc/client/cli/window.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
window_init(struct window *w, size_t n_slots)
{
	assert(n_slots > 0);
	memset(w, 0, sizeof(*w));
	w->slots = calloc(n_slots, sizeof(*w->slots));
	if (w->slots == NULL)
		return -ENOMEM;
	w->n_slots = n_slots;
	return 0;
}

void
window_done(struct window *w)
{
	size_t i;

	for (i = 0; i < w->n_slots; i++)
		free(w->slots[i].text);
	free(w->slots);
	memset(w, 0, sizeof(*w));
}

bool
window_has(const struct window *w, uint64_t n)
{
	return n >= w->head && n - w->head < w->n_slots;
}

void
window_put(struct window *w, uint64_t n, char *text, size_t len)
{
	struct window_slot *slot = &w->slots[n % w->n_slots];

	assert(window_has(w, n));
	assert(slot->text == NULL);
	slot->text = text;
	slot->len = len;
	w->bytes += len;
}

void
window_pass(struct window *w)
{
	assert(w->slots[w->head % w->n_slots].text == NULL);
	w->head++;
}

char *
window_pop(struct window *w, size_t *len_out)
{
	struct window_slot *slot = &w->slots[w->head % w->n_slots];
	char *text;

	text = slot->text;
	if (text == NULL)
		return NULL;
	*len_out = slot->len;
	slot->text = NULL;
	w->bytes -= slot->len;
	w->head++;
	return text;
}
