/* SPDX-License-Identifier: ISC */
/*
 * store_news.h - tasks with news for the database
 *
 * News of several kinds about a task become one write.  When a batch can't be
 * written, all puts are over, also those that wait for the next one, and told
 * so; all else is news again.
 */
#ifndef GANGER_BROKER_STORE_NEWS_H
#define GANGER_BROKER_STORE_NEWS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "master/broker/store_batch.h"
#include "master/broker/store_sqlite.h"

#define STORE_ROWS_MAX 4096 /* of one batch: so long is a commit at most */

STAILQ_HEAD(store_news_list, task);

struct store_news {
	struct store_news_list list; /* a reference each */
	struct task_list ended;      /* of them, to be told; in order */
	uint64_t n_listed, n_handed; /* so far; what has failed, not */
	uint64_t n_dirty;            /* references to tasks with news */
	uint64_t last_id, last_seq;  /* the highest ones given out */
	bool has_puts;               /* on the list */
	bool quiet;                  /* nobody is told any more */
	int64_t steady_ms;
	struct store_sqlite_limits limits;
	struct store_hooks hooks;
};

void store_news_init(struct store_news *n, const struct store_hooks *hooks);

/* t has such news; its values are taken at the hand-over.  Takes a reference.
 */
void store_news_add(
    struct store_news *n, struct task *t, enum store_news_kind kind);

void store_news_note_ids(struct store_news *n, uint64_t id, uint64_t seq);

/* Take what is on the list to the batch, as far as it has room. */
void store_news_hand_over(struct store_news *n, struct store_batch *b);

/* b is written: tell what has ended, let go of what has no more news. */
void store_news_settle(struct store_news *n, struct store_batch *b);

/* b could not be written. */
void store_news_take_back(struct store_news *n, struct store_batch *b);

/* True when the database does not have t as it is. */
bool store_news_has(const struct task *t);

/* Let go of all that is on the list. */
void store_news_drop(struct store_news *n);

#endif
