/* SPDX-License-Identifier: ISC */
/*
 * store_batch.h - what the broker's thread hands to the storage thread and back
 *
 * From store_thread_give until store_thread_is_ready the batch is the storage
 * thread's, but for the tasks that `t` and `ended` lead to, which only the
 * broker's thread ever touches.
 */
#ifndef GANGER_BROKER_STORE_BATCH_H
#define GANGER_BROKER_STORE_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "master/broker/store.h"

#define STORE_BATCH_WHY_SIZE 256

/* Bits of task.news and task.news_flying. */
enum store_news_kind {
	NEWS_PUT = 1,
	NEWS_UPDATE = 2,
	NEWS_FINISH = 4,
	NEWS_ERASE = 8,
	NEWS_ANY = 15,
	NEWS_LISTED = 16,   /* it is on the list of what has news */
	NEWS_WAS_ENDED = 32 /* its row in the database has ended */
};

/* A task as it is to be written. */
struct store_row {
	struct task *t;    /* a reference */
	struct task image; /* its values at the hand-over */
	unsigned news;
	const char *kind, *queue, *pool; /* pool may be NULL; they stay */
	char *error, *errors; /* owned: those of a task that may change them */
	int64_t ready_ms;     /* steady; 0: it is not ready */
	int64_t until_ms;     /* steady; of one that has ended */
};

/* A task as it was read; without a kind: one that the broker knows. */
struct store_item {
	struct task *t;                  /* owned; not resolved */
	const char *kind, *queue, *pool; /* they stay; pool may be NULL */
};

enum store_call_kind {
	CALL_BARRIER,
	CALL_GET,
	CALL_LIST,
	CALL_FETCH,
	CALL_FIND
};

struct store_call {
	enum store_call_kind kind;
	union {
		store_done_fn done;
		store_task_fn task;
		store_list_fn list;
		store_found_fn found;
	} fn;
	void *arg;
	uint64_t
	    after; /* to be carried out when so much has been handed over */

	uint64_t id;                /* CALL_GET */
	struct store_filter filter; /* CALL_LIST; names stand for pointers */
	struct store_range range;   /* CALL_FETCH */
	enum store_what what;       /* CALL_FIND */
	const char *queue_name, *kind_name; /* they stay; or NULL */
	char *text; /* owned: the key of a fetch, what is looked for */

	int err;
	struct store_item *items; /* owned */
	size_t n_items, cap_items;
	uint64_t cursor;
	uint64_t found_id;
	int found_state;
	STAILQ_ENTRY(store_call) entry;
};

STAILQ_HEAD(store_call_list, store_call);

/* That a queue is paused now, or not. */
struct store_pause_news {
	const char *queue; /* it stays */
	bool paused;
	STAILQ_ENTRY(store_pause_news) entry;
};

STAILQ_HEAD(store_pause_list, store_pause_news);

struct store_batch {
	struct store_row *rows; /* owned */
	size_t n_rows, cap_rows;
	struct task_list ended; /* of the rows, those to be told; in order */
	struct store_call_list calls;
	struct store_pause_list pauses;
	bool only_reads;            /* nothing is to be written now */
	uint64_t last_id, last_seq; /* given out so far */
	bool exact;                 /* note them as they are: this is the end */
	bool probe; /* write something, to see whether that works */
	bool tidy;  /* drop what is over, give space back */
	int sync;   /* 1: each commit is synced; 0: not; -1: as it is */

	/* What has come of it. */
	bool wrote; /* and it is kept */
	int err;    /* of the writing; set before: nothing is written */
	char why[STORE_BATCH_WHY_SIZE];
	const char *damage; /* of the file, in words, which stay; or NULL */
	struct store_counts counts;
	uint64_t id_limit, seq_limit; /* what the database notes */
	int64_t due_ms;     /* steady, when to tidy next; INT64_MAX: never */
	bool is_roomy;      /* much of the file is free: to be given back */
	bool lacks_reserve; /* which is to be made as soon as there is room */
	bool tidy_again;    /* there was too much for one step */
};

/*
 * Ids and places in order are noted in the database in steps, and in time: no
 * commit is to be waited for by who gives them out.
 */
#define STORE_LIMIT_STEP 65536
#define STORE_LIMIT_LEFT 32768

/* Is `limit`, as noted, so near to what is given out that it wants raising? */
static inline bool
store_limit_is_near(uint64_t last, uint64_t limit)
{
	return last + STORE_LIMIT_LEFT > limit;
}

/* Make room for n rows.  -ENOMEM. */
int store_batch_reserve(struct store_batch *b, size_t n);

/* Free what came of a call, and the call. */
void store_call_free(struct store_call *c);

/* Empty it of rows, keeping the room. */
void store_batch_clear(struct store_batch *b);
void store_batch_init(struct store_batch *b);
void store_batch_done(struct store_batch *b);

#endif
