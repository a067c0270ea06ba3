/* SPDX-License-Identifier: ISC */
/*
 * store_batch.c - what the broker's thread hands to the storage thread and back
 *
 * Runs on the broker's thread.
 */
#include "master/broker/store_batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* More room than this is given back after use. */
#define ROWS_KEPT 1024

int
store_batch_reserve(struct store_batch *b, size_t n)
{
	struct store_row *rows;
	size_t cap;

	if (n <= b->cap_rows)
		return 0;
	cap = b->cap_rows == 0 ? 64 : b->cap_rows;
	while (cap < n)
		cap *= 2;
	rows = reallocarray(b->rows, cap, sizeof(*rows));
	if (rows == NULL)
		return -ENOMEM;
	b->rows = rows;
	b->cap_rows = cap;
	return 0;
}

void
store_call_free(struct store_call *c)
{
	size_t i;

	for (i = 0; i < c->n_items; i++)
		task_unref(c->items[i].t);
	free(c->items);
	free(c->text);
	free(c);
}

void
store_batch_init(struct store_batch *b)
{
	memset(b, 0, sizeof(*b));
	TAILQ_INIT(&b->ended);
	STAILQ_INIT(&b->calls);
	STAILQ_INIT(&b->pauses);
	b->sync = -1;
}

void
store_batch_clear(struct store_batch *b)
{
	struct store_row *rows;
	size_t i;

	for (i = 0; i < b->n_rows; i++) {
		free(b->rows[i].error);
		free(b->rows[i].errors);
	}
	b->n_rows = 0;
	b->err = 0;
	b->tidy = b->tidy_again = b->wrote = false;
	if (b->cap_rows <= ROWS_KEPT)
		return;
	rows = reallocarray(b->rows, ROWS_KEPT, sizeof(*rows));
	if (rows != NULL) {
		b->rows = rows;
		b->cap_rows = ROWS_KEPT;
	}
}

void
store_batch_done(struct store_batch *b)
{
	store_batch_clear(b);
	free(b->rows);
	b->rows = NULL;
}
