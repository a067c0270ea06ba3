/* SPDX-License-Identifier: ISC */
/*
 * store_news.c - tasks with news for the database
 *
 * A task is on the list until the next hand-over, with one reference; while the
 * storage thread writes it, the batch has another.  Nothing is allocated for
 * what must not fail: the list goes through the tasks.
 *
 * Runs on the broker's thread.
 */
#include "master/broker/store_news.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ipc/clock.h"
#include "master/broker/catalog.h"
#include "master/broker/crew.h"

void
store_news_init(struct store_news *n, const struct store_hooks *hooks)
{
	memset(n, 0, sizeof(*n));
	STAILQ_INIT(&n->list);
	TAILQ_INIT(&n->ended);
	n->hooks = *hooks;
}

void
store_news_add(struct store_news *n, struct task *t, enum store_news_kind kind)
{
	t->news = (uint8_t)(t->news | kind);
	if (kind == NEWS_PUT)
		n->has_puts = true;
	if (kind == NEWS_FINISH)
		TAILQ_INSERT_TAIL(&n->ended, t, entry);
	if ((t->news & NEWS_LISTED) != 0)
		return;
	t->news |= NEWS_LISTED;
	(void)task_ref(t);
	STAILQ_INSERT_TAIL(&n->list, t, news_entry);
	n->n_listed++;
	n->n_dirty++;
}

void
store_news_note_ids(struct store_news *n, uint64_t id, uint64_t seq)
{
	if (id > n->last_id)
		n->last_id = id;
	if (seq > n->last_seq)
		n->last_seq = seq;
}

static int64_t
time_to_keep(const struct store_news *n, const struct task *t)
{
	if (t->state == TASK_FAILED || t->state == TASK_QUARANTINED)
		return n->limits.failed_ttl_ms;
	if (t->result_ttl_ms >= 0)
		return t->result_ttl_ms;
	return n->limits.result_ttl_ms;
}

/* Copy what the broker may replace meanwhile. */
static int
copy_errors(struct store_row *row)
{
	struct task *t = &row->image;

	if (task_is_final(t))
		return 0;
	if (t->error != NULL) {
		row->error = strdup(t->error);
		t->error = row->error;
		if (row->error == NULL)
			return -ENOMEM;
	}
	if (t->errors != NULL) {
		row->errors = strdup(t->errors);
		t->errors = row->errors;
		if (row->errors == NULL)
			return -ENOMEM;
	}
	return 0;
}

/* Note t as it is now; the batch has a reference to it. */
static int
fill_row(const struct store_news *n, struct store_row *row, struct task *t)
{
	int64_t now = mono_now().ns / 1000000 + n->steady_ms;
	int64_t ttl;

	memset(row, 0, sizeof(*row));
	row->t = t;
	row->image = *t;
	row->news = t->news & (NEWS_ANY | NEWS_WAS_ENDED);
	row->kind = t->kind->name;
	row->queue = t->queue->name;
	row->pool = t->crew == NULL ? NULL : t->crew->name;
	if (t->state == TASK_READY && t->ready_at.ns != 0)
		row->ready_ms = t->ready_at.ns / 1000000 + n->steady_ms;
	if (task_is_final(t)) {
		ttl = time_to_keep(n, t);
		if (ttl > 0)
			row->until_ms =
			    now > INT64_MAX - ttl ? INT64_MAX : now + ttl;
	}
	return copy_errors(row);
}

/* Take the first of the news to the batch. */
static void
hand_over_first(struct store_news *n, struct store_batch *b)
{
	struct task *t = STAILQ_FIRST(&n->list);

	STAILQ_REMOVE_HEAD(&n->list, news_entry);
	n->n_handed++;
	if ((t->news & NEWS_ANY) == 0) {
		/* It was let go of meanwhile. */
		t->news = (uint8_t)(t->news & ~NEWS_LISTED);
		n->n_dirty--;
		task_unref(t);
		return;
	}
	store_news_note_ids(n, t->id, t->seq);
	if (fill_row(n, &b->rows[b->n_rows++], t) < 0) {
		b->err = -ENOMEM;
		snprintf(b->why, sizeof(b->why), "%s", strerror(ENOMEM));
	}
	t->news_flying = t->news & NEWS_ANY;
	t->news &= NEWS_WAS_ENDED;
}

void
store_news_hand_over(struct store_news *n, struct store_batch *b)
{
	size_t i;

	n->has_puts = false;
	/* What finds no room now has its turn in the next batch. */
	while (!STAILQ_EMPTY(&n->list) && b->n_rows < STORE_ROWS_MAX &&
	       store_batch_reserve(b, b->n_rows + 1) == 0)
		hand_over_first(n, b);
	if (STAILQ_EMPTY(&n->list)) {
		TAILQ_CONCAT(&b->ended, &n->ended, entry);
		return;
	}
	for (i = 0; i < b->n_rows; i++) {
		if ((b->rows[i].news & NEWS_FINISH) == 0)
			continue;
		TAILQ_REMOVE(&n->ended, b->rows[i].t, entry);
		TAILQ_INSERT_TAIL(&b->ended, b->rows[i].t, entry);
	}
}

/* The batch's reference to the task of a row is over. */
static void
release(struct store_news *n, struct store_row *row)
{
	n->n_dirty--;
	task_unref(row->t);
}

/* The put of a row has failed: neither it nor what came after it is kept. */
static void
drop_put(struct store_news *n, struct store_batch *b, struct store_row *row)
{
	struct task *t = row->t;

	if ((t->news_flying & NEWS_FINISH) != 0)
		TAILQ_REMOVE(&b->ended, t, entry);
	else if ((t->news & NEWS_FINISH) != 0)
		TAILQ_REMOVE(&n->ended, t, entry);
	t->news_flying = 0;
	t->news &= NEWS_LISTED;
	if (!n->quiet)
		n->hooks.put_failed(n->hooks.arg, t, b->err);
}

/* And no put that has yet to be tried: its turn may be long in coming. */
static void
drop_waiting_puts(struct store_news *n, int err)
{
	struct task *t;

	STAILQ_FOREACH(t, &n->list, news_entry) {
		if ((t->news & NEWS_PUT) == 0)
			continue;
		store_news_note_ids(n, t->id, t->seq);
		if ((t->news & NEWS_FINISH) != 0)
			TAILQ_REMOVE(&n->ended, t, entry);
		t->news &= NEWS_LISTED;
		if (!n->quiet)
			n->hooks.put_failed(n->hooks.arg, t, err);
	}
	n->has_puts = false;
}

/* What was not written is news again, and before all others. */
static void
take_back(struct store_news *n, struct store_row *row)
{
	struct task *t = row->t;

	t->news = (uint8_t)(t->news | t->news_flying);
	t->news_flying = 0;
	if ((t->news & NEWS_LISTED) != 0) {
		release(n, row);
		return;
	}
	t->news |= NEWS_LISTED;
	STAILQ_INSERT_HEAD(&n->list, t, news_entry);
	n->n_handed--;
}

void
store_news_take_back(struct store_news *n, struct store_batch *b)
{
	size_t i;

	/* First of all, so that what follows finds it so. */
	for (i = 0; i < b->n_rows; i++)
		if ((b->rows[i].news & NEWS_PUT) != 0)
			drop_put(n, b, &b->rows[i]);
	drop_waiting_puts(n, b->err);
	for (i = b->n_rows; i-- > 0;) {
		if ((b->rows[i].news & NEWS_PUT) != 0)
			release(n, &b->rows[i]);
		else
			take_back(n, &b->rows[i]);
	}
	TAILQ_CONCAT(&b->ended, &n->ended, entry);
	TAILQ_CONCAT(&n->ended, &b->ended, entry);
}

void
store_news_settle(struct store_news *n, struct store_batch *b)
{
	struct task *t;
	size_t i;

	for (i = 0; i < b->n_rows; i++) {
		t = b->rows[i].t;
		t->news_flying = 0;
		t->news = (uint8_t)(t->news & ~NEWS_WAS_ENDED);
		if (task_is_final(&b->rows[i].image))
			t->news |= NEWS_WAS_ENDED;
	}
	while ((t = TAILQ_FIRST(&b->ended)) != NULL) {
		TAILQ_REMOVE(&b->ended, t, entry);
		if (!n->quiet)
			n->hooks.ended(n->hooks.arg, t);
	}
	for (i = 0; i < b->n_rows; i++)
		release(n, &b->rows[i]);
}

bool
store_news_has(const struct task *t)
{
	return (t->news & NEWS_ANY) != 0 || t->news_flying != 0;
}

void
store_news_drop(struct store_news *n)
{
	struct task *t;

	while ((t = STAILQ_FIRST(&n->list)) != NULL) {
		STAILQ_REMOVE_HEAD(&n->list, news_entry);
		t->news = 0;
		task_unref(t);
	}
}
