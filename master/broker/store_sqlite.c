/* SPDX-License-Identifier: ISC */
/*
 * store_sqlite.c - tasks in an SQLite database: the broker's side
 *
 * What gathers is handed to the storage thread as one batch at a time, and the
 * next one when that is back.
 *
 * Runs on the broker's thread.
 */
#include "master/broker/store_sqlite.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/clock.h"
#include "ipc/log.h"
#include "master/broker/catalog.h"
#include "master/broker/store_batch.h"
#include "master/broker/store_calls.h"
#include "master/broker/store_db.h"
#include "master/broker/store_late.h"
#include "master/broker/store_lock.h"
#include "master/broker/store_news.h"
#include "master/broker/store_open.h"
#include "master/broker/store_recover.h"
#include "master/broker/store_thread.h"
#include "master/broker/store_write.h"

#define ROWS_FIRST 64 /* room that is always there */
#define RETRY      1. /* s, after a failure */
#define TIDY_MIN   1. /* s */
/* s, between looks for room for the reserve */
#define RESERVE_LOOK 5.

struct sqlite_store {
	struct store base; /* first: a struct store * is one of these */
	struct ev_loop *loop;
	struct store_db db; /* the thread's, while it runs */
	struct store_thread thread;
	struct ev_async done;
	struct ev_timer retry, tidy;

	struct store_news news;
	struct store_calls calls;
	struct store_pause_list pauses;
	struct store_batch batch; /* the thread's, while `flying` */
	bool flying;
	int lock_fd; /* owned */
	bool late;   /* the batch goes without some of what was listed */
	bool again;  /* what has failed is to be tried again now */
	bool tidy_wanted, tidy_late;
	bool sync_news; /* limits.full_sync is another than the thread's */
	bool damaged;   /* and that was told */
	int health;     /* 0, or why the last write failed */
	uint64_t id_limit, seq_limit; /* noted in the database */
	struct store_counts counts;   /* as the last batch has told */
};

static struct sqlite_store *
store_of(struct store *s)
{
	return (struct sqlite_store *)s;
}

static int
sqlite_put(struct store *base, struct task *t)
{
	store_news_add(&store_of(base)->news, t, NEWS_PUT);
	return 0;
}

static void
sqlite_update(struct store *base, struct task *t)
{
	store_news_add(&store_of(base)->news, t, NEWS_UPDATE);
}

static void
sqlite_finish(struct store *base, struct task *t)
{
	store_news_add(&store_of(base)->news, t, NEWS_FINISH);
}

static void
sqlite_erase(struct store *base, struct task *t)
{
	store_news_add(&store_of(base)->news, t, NEWS_ERASE);
}

static int
sqlite_barrier(struct store *base, store_done_fn fn, void *arg)
{
	struct sqlite_store *s = store_of(base);

	return store_calls_barrier(&s->calls, s->news.n_listed, fn, arg);
}

static int
sqlite_get(struct store *base, uint64_t id, store_task_fn fn, void *arg)
{
	struct sqlite_store *s = store_of(base);

	return store_calls_get(&s->calls, s->news.n_listed, id, fn, arg);
}

static int
sqlite_list(struct store *base, const struct store_filter *f, store_list_fn fn,
    void *arg)
{
	struct sqlite_store *s = store_of(base);

	return store_calls_list(&s->calls, s->news.n_listed, f, fn, arg);
}

static int
sqlite_fetch(struct store *base, const struct store_range *range,
    store_list_fn fn, void *arg)
{
	struct sqlite_store *s = store_of(base);

	return store_calls_fetch(&s->calls, s->news.n_listed, range, fn, arg);
}

static int
sqlite_find(struct store *base, enum store_what what, const struct queue *q,
    const struct kind *kind, const char *text, store_found_fn fn, void *arg)
{
	struct sqlite_store *s = store_of(base);

	return store_calls_find(
	    &s->calls, s->news.n_listed, what, q, kind, text, fn, arg);
}

static int
sqlite_pause(struct store *base, const struct queue *q, bool paused)
{
	struct sqlite_store *s = store_of(base);
	struct store_pause_news *p;

	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return -ENOMEM;
	p->queue = q->name;
	p->paused = paused;
	STAILQ_INSERT_TAIL(&s->pauses, p, entry);
	return 0;
}

static void
sqlite_count(struct store *base, struct store_counts *out)
{
	const struct sqlite_store *s = store_of(base);

	*out = s->counts;
	out->ended_bytes = 0;
	out->n_dirty = s->news.n_dirty;
}

static bool
sqlite_has_news(const struct store *base, const struct task *t)
{
	(void)base;
	return store_news_has(t);
}

static bool
sqlite_is_idle(const struct store *base)
{
	const struct sqlite_store *s = (const struct sqlite_store *)base;

	return s->calls.n_open == 0 && s->news.n_dirty == 0 &&
	       STAILQ_EMPTY(&s->pauses) &&
	       (!s->flying || STAILQ_EMPTY(&s->batch.pauses));
}

/* Take to the batch what is to be written. */
static void
hand_over_news(struct sqlite_store *s)
{
	struct store_batch *b = &s->batch;

	ev_timer_stop(s->loop, &s->retry);
	s->again = false;
	store_news_hand_over(&s->news, b);
	STAILQ_CONCAT(&b->pauses, &s->pauses);
}

/*
 * Make a batch of what has gathered, all or only what is asked, and give it to
 * the thread.
 */
static void
hand_over(struct sqlite_store *s, bool writes)
{
	struct store_batch *b = &s->batch;
	bool tidy_only;

	s->flying = true;
	s->late = s->health != 0;
	b->only_reads = !writes;
	if (writes)
		hand_over_news(s);
	store_calls_hand_over(&s->calls, s->news.n_handed, s->late, b);
	tidy_only = b->n_rows == 0 && STAILQ_EMPTY(&b->calls);
	b->tidy = s->tidy_wanted && (tidy_only || s->tidy_late);
	if (b->tidy)
		s->tidy_wanted = s->tidy_late = false;
	b->probe = writes && s->health != 0;
	b->last_id = s->news.last_id;
	b->last_seq = s->news.last_seq;
	b->sync = s->sync_news ? s->news.limits.full_sync : -1;
	s->sync_news = false;
	store_thread_give(&s->thread, b);
}

/*
 * The last write has failed.  A disk that is full stays so for a while: not all
 * that is asked meanwhile is to wait until writing has failed once more.
 */
static void
start_failing(struct sqlite_store *s)
{
	bool writes = s->again || s->news.has_puts ||
		      store_calls_has_barrier(
			  &s->calls, s->news.n_handed + STORE_ROWS_MAX);

	if (!writes && !ev_is_active(&s->retry)) {
		/* What has run out starts at 0. */
		ev_timer_set(&s->retry, RETRY, 0.);
		ev_timer_start(s->loop, &s->retry);
	}
	if (writes || store_calls_has_look(&s->calls))
		hand_over(s, writes);
}

/* `again`: try once more what has failed. */
static void
start(struct sqlite_store *s, bool again)
{
	s->again = s->again || again;
	if (s->flying)
		return;
	if (s->health != 0)
		start_failing(s);
	else if (!STAILQ_EMPTY(&s->calls.list) ||
		 !STAILQ_EMPTY(&s->news.list) || !STAILQ_EMPTY(&s->pauses) ||
		 store_limit_is_near(s->news.last_id, s->id_limit) ||
		 store_limit_is_near(s->news.last_seq, s->seq_limit) ||
		 s->tidy_wanted || s->again)
		hand_over(s, true);
}

static void
sqlite_flush(struct store *base)
{
	start(store_of(base), false);
}

static void
free_pauses(struct store_pause_list *list)
{
	struct store_pause_news *p;

	while ((p = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, entry);
		free(p);
	}
}

/* The batch could not be written. */
static void
take_back(struct sqlite_store *s)
{
	struct store_batch *b = &s->batch;

	store_news_take_back(&s->news, b);
	STAILQ_CONCAT(&b->pauses, &s->pauses);
	STAILQ_CONCAT(&s->pauses, &b->pauses);
}

static void
settle(struct sqlite_store *s)
{
	store_news_settle(&s->news, &s->batch);
	free_pauses(&s->batch.pauses);
}

static void
set_health(struct sqlite_store *s, int err)
{
	int old = s->health;

	s->health = err;
	if ((old == 0) != (err == 0))
		s->news.hooks.health(
		    s->news.hooks.arg, err, err == 0 ? "" : s->batch.why);
}

static void
note_damage(struct sqlite_store *s)
{
	if (s->damaged || s->batch.damage == NULL)
		return;
	s->damaged = true;
	s->news.hooks.damage(s->news.hooks.arg, s->batch.damage);
}

/* Let the timer run for what is over next. */
static void
arm_tidy(struct sqlite_store *s)
{
	const struct store_batch *b = &s->batch;
	double wait;

	if (b->tidy_again)
		s->tidy_wanted = true;
	if (b->due_ms == INT64_MAX && !b->is_roomy && !s->tidy_wanted &&
	    !b->lacks_reserve) {
		ev_timer_stop(s->loop, &s->tidy);
		return;
	}
	wait =
	    (double)(b->due_ms - s->news.steady_ms - mono_now().ns / 1000000) /
	    1000.;
	if (b->lacks_reserve && wait > RESERVE_LOOK)
		wait = RESERVE_LOOK;
	if (wait < TIDY_MIN || b->is_roomy || s->tidy_wanted)
		wait = TIDY_MIN;
	/* Batch upon batch must not put it off. */
	if (wait <= TIDY_MIN && ev_is_active(&s->tidy) &&
	    ev_timer_remaining(s->loop, &s->tidy) <= wait)
		return;
	ev_timer_stop(s->loop, &s->tidy);
	ev_timer_set(&s->tidy, wait, 0.);
	ev_timer_start(s->loop, &s->tidy);
}

/* The numbers that a batch has come back with. */
static void
note_numbers(struct sqlite_store *s)
{
	s->counts = s->batch.counts;
	s->id_limit = s->batch.id_limit;
	s->seq_limit = s->batch.seq_limit;
}

static void
on_done(struct ev_loop *loop, struct ev_async *w, int revents)
{
	struct sqlite_store *s = w->data;
	struct store_batch *b = &s->batch;

	(void)loop;
	(void)revents;
	if (!s->flying || !store_thread_is_ready(&s->thread))
		return;
	note_numbers(s);
	note_damage(s);
	if (b->err < 0) {
		s->late = true;
		take_back(s);
		store_calls_fail_barriers(&s->calls, b->err, &b->calls);
		set_health(s, b->err);
	} else {
		if (b->wrote)
			set_health(s, 0);
		settle(s);
	}
	if (s->late)
		store_late_mend(&s->news, &b->calls);
	store_calls_tell(&s->calls, &s->news.hooks, &b->calls, 0);
	arm_tidy(s);
	store_batch_clear(b);
	s->flying = false;
	start(s, false);
}

static void
on_retry(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	start(w->data, true);
}

static void
on_tidy(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct sqlite_store *s = w->data;

	(void)loop;
	(void)revents;
	s->tidy_late = s->tidy_wanted;
	s->tidy_wanted = true;
	start(s, true);
}

/* Take the batch back that the thread is at, without telling anybody. */
static void
end_batch(struct sqlite_store *s)
{
	struct store_batch *b = &s->batch;

	store_thread_wait(&s->thread);
	if (b->err < 0)
		take_back(s);
	else
		settle(s);
	STAILQ_CONCAT(&b->calls, &s->calls.list);
	STAILQ_CONCAT(&s->calls.list, &b->calls);
	s->flying = false;
}

/* Write what is left, without telling anybody; 0, or why some could not be. */
static int
write_rest(struct sqlite_store *s)
{
	struct store_batch *b = &s->batch;
	int r;

	if (s->flying)
		end_batch(s);
	do {
		store_batch_clear(b);
		store_news_hand_over(&s->news, b);
		STAILQ_CONCAT(&b->pauses, &s->pauses);
		b->last_id = s->news.last_id;
		b->last_seq = s->news.last_seq;
		b->exact = true;
		b->only_reads = false;
		store_thread_give(&s->thread, b);
		store_thread_wait(&s->thread);
		r = b->err;
		end_batch(s);
	} while (r == 0 && !STAILQ_EMPTY(&s->news.list));
	return r;
}

static void
close_db(struct sqlite_store *s, bool checkpoint)
{
	store_db_close(&s->db, checkpoint);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
}

static void
sqlite_free(struct store *base)
{
	struct sqlite_store *s = store_of(base);
	int r;

	ev_timer_stop(s->loop, &s->retry);
	ev_timer_stop(s->loop, &s->tidy);
	s->news.quiet = true;
	r = write_rest(s);
	if (r < 0 && (s->news.n_dirty > 0 || !STAILQ_EMPTY(&s->pauses)))
		log_error("store: the news of %llu tasks could not be written "
			  "at the end: %s",
		    (unsigned long long)s->news.n_dirty, s->batch.why);
	store_thread_stop(&s->thread);
	ev_async_stop(s->loop, &s->done);
	store_news_drop(&s->news);
	free_pauses(&s->pauses);
	store_calls_tell(&s->calls, &s->news.hooks, &s->calls.list, -ECANCELED);
	store_batch_done(&s->batch);
	/* What the log of another database is must not be thrown away. */
	close_db(s, !store_db_has_moved(&s->db));
	free(s);
}

static const struct store_ops sqlite_ops = {
    .name = "sqlite",
    .put = sqlite_put,
    .update = sqlite_update,
    .finish = sqlite_finish,
    .erase = sqlite_erase,
    .barrier = sqlite_barrier,
    .get = sqlite_get,
    .list = sqlite_list,
    .fetch = sqlite_fetch,
    .find = sqlite_find,
    .pause = sqlite_pause,
    .count = sqlite_count,
    .flush = sqlite_flush,
    .has_news = sqlite_has_news,
    .is_idle = sqlite_is_idle,
    .free = sqlite_free,
};

void
store_sqlite_set_limits(
    struct store *base, const struct store_sqlite_limits *limits)
{
	struct sqlite_store *s = store_of(base);

	if (limits->full_sync != s->news.limits.full_sync)
		s->sync_news = true;
	s->news.limits = *limits;
}

void
store_sqlite_note_ids(struct store *base, uint64_t id, uint64_t seq)
{
	store_news_note_ids(&store_of(base)->news, id, seq);
}

static void
init(struct sqlite_store *s, struct ev_loop *loop,
    const struct store_sqlite_limits *limits, const struct store_hooks *hooks)
{
	s->base.ops = &sqlite_ops;
	s->loop = loop;
	s->lock_fd = -1;
	store_news_init(&s->news, hooks);
	s->news.limits = *limits;
	STAILQ_INIT(&s->calls.list);
	STAILQ_INIT(&s->pauses);
	store_batch_init(&s->batch);
	ev_async_init(&s->done, on_done);
	ev_timer_init(&s->retry, on_retry, RETRY, 0.);
	ev_timer_init(&s->tidy, on_tidy, TIDY_MIN, 0.);
	s->done.data = s->retry.data = s->tidy.data = s;
}

/*
 * Ids can be given out from now on, before anything else is written.  Where
 * this fails it is tried again with the first batch.
 */
static void
note_first(struct sqlite_store *s)
{
	struct store_batch *b = &s->batch;

	b->last_id = s->news.last_id;
	b->last_seq = s->news.last_seq;
	store_write(&s->db, b);
	store_batch_clear(b);
	s->id_limit = s->db.id_limit;
	s->seq_limit = s->db.seq_limit;
}

/* Open and recover the database; on an error its files are as they were. */
static int
open_and_recover(struct sqlite_store *s, const char *path, bool resume,
    struct store_found *found, char *why)
{
	struct store_db *d = &s->db;
	int r;

	r = store_open(d, path, s->news.limits.full_sync, why);
	if (r < 0)
		return r;
	r = store_recover(d, resume, &s->news.limits, found);
	if (r < 0) {
		if (snprintf(why, STORE_WHY_SIZE, "%s: %s", path,
			d->why[0] == '\0' ? strerror(-r) : d->why) < 0)
			why[0] = '\0';
	}
	return r;
}

/* The same, if need be with the room that is kept for it. */
static int
load(struct sqlite_store *s, const char *path, bool resume,
    struct store_found *found, char *why)
{
	struct store_db *d = &s->db;
	bool spent;
	int r;

	s->lock_fd = store_lock(path, why);
	if (s->lock_fd < 0)
		return s->lock_fd;
	r = open_and_recover(s, path, resume, found, why);
	spent = store_reserve_give_up(&d->reserve, path, r);
	if (spent) {
		store_db_close(d, false);
		memset(d, 0, sizeof(*d));
		store_found_done(found);
		r = open_and_recover(s, path, resume, found, why);
	}
	if (r < 0)
		return r;
	s->news.last_id = found->last_id;
	s->news.last_seq = found->last_seq;
	s->news.steady_ms = d->steady_ms;
	note_first(s);
	d->reserve.spent = spent;
	(void)store_reserve_keep(&d->reserve, path);
	s->counts = d->counts;
	return 0;
}

int
store_sqlite_open(struct ev_loop *loop, const char *path, bool resume,
    const struct store_sqlite_limits *limits, const struct store_hooks *hooks,
    struct store_found *found_out, struct store **out, char why[STORE_WHY_SIZE])
{
	struct store_found found = {0};
	struct sqlite_store *s;
	int r;

	s = calloc(1, sizeof(*s));
	if (s == NULL) {
		snprintf(why, STORE_WHY_SIZE, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	init(s, loop, limits, hooks);
	r = load(s, path, resume, &found, why);
	if (r < 0)
		goto err_db;
	r = store_batch_reserve(&s->batch, ROWS_FIRST);
	ev_async_start(loop, &s->done);
	if (r == 0)
		r = store_thread_start(&s->thread, &s->db, loop, &s->done);
	if (r < 0)
		goto err_batch;
	s->batch.due_ms = s->db.due_ms;
	s->batch.lacks_reserve = !s->db.reserve.there;
	arm_tidy(s);
	if (s->db.reserve.spent)
		ev_feed_event(loop, &s->retry, EV_TIMER);
	*found_out = found;
	*out = &s->base;
	return 0;

err_batch:
	snprintf(why, STORE_WHY_SIZE, "%s: %s", path, strerror(-r));
	ev_async_stop(loop, &s->done);
	store_batch_done(&s->batch);
err_db:
	close_db(s, false);
	store_found_done(&found);
	free(s);
	return r;
}
