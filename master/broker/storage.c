/* SPDX-License-Identifier: ISC */
/*
 * storage.c - the broker and its stores
 *
 * Durable tasks are kept in a database, volatile ones in memory.  What the
 * database tells unasked is passed on to where it belongs.
 */
#include "master/broker/storage.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ipc/log.h"
#include "master/broker/life.h"
#include "master/broker/reconfigure.h"
#include "master/broker/store_memory.h"
#include "master/broker/store_split.h"
#include "master/broker/store_sqlite.h"

#define ROOM_LOOK 5. /* s between looks whether there is room again */

/* Tasks that wait to be written; more are started when fewer do. */
#define BEHIND_MAX 50000

static void
on_put_failed(void *arg, struct task *t, int err)
{
	life_put_failed(arg, t, err);
}

static void
on_ended(void *arg, struct task *t)
{
	life_ended(arg, t);
}

static int
on_resolve(void *arg, struct task *t, const char *kind, const char *queue,
    const char *pool)
{
	struct broker *b = arg;
	int r;

	r = catalog_need_kind(&b->catalog, kind, &t->kind);
	if (r == 0)
		r = catalog_need_queue(&b->catalog, queue, &t->queue);
	if (r == 0 && pool != NULL)
		r = reconfigure_need_crew(b, pool, &t->crew);
	return r;
}

static void
on_health(void *arg, int err, const char *why)
{
	struct broker *b = arg;

	if (err < 0)
		log_error("the store can't be written: %s; durable tasks are "
			  "refused, what was answered is kept, and it is tried "
			  "again",
		    why);
	else if (b->store_failing != 0)
		log_info("the store is written again");
	b->store_failing = err < 0 ? -err : 0;
	snprintf(b->store_why, sizeof(b->store_why), "%s", err < 0 ? why : "");
}

static void
on_damage(void *arg, const char *why)
{
	struct broker *b = arg;

	log_error("%s: %s; new durable tasks are refused, and of those that "
		  "wait only what can be read is run",
	    b->settings->store_path, why);
	snprintf(b->store_damage, sizeof(b->store_damage), "%s", why);
}

const char *
storage_trouble(const struct broker *b)
{
	if (b->store_failing != 0)
		return b->store_why;
	return b->store_damage[0] == '\0' ? NULL : b->store_damage;
}

static struct store_sqlite_limits
limits_of(const struct broker_settings *s)
{
	struct store_sqlite_limits limits = {
	    .result_ttl_ms = s->result_ttl_ms,
	    .failed_ttl_ms = s->failed_ttl_ms,
	    .full_sync = s->full_sync,
	};

	return limits;
}

static enum storage_room
look_for_room(struct broker *b, char *why)
{
	const struct broker_settings *s = b->settings;
	struct store_counts n = {0};

	if (s->store_path == NULL)
		return STORAGE_HAS_ROOM;
	if (s->max_store > 0)
		store_count(b->store, &n);
	if (s->max_store > 0 && n.file_bytes - n.free_bytes >= s->max_store) {
		snprintf(why, STORE_WHY_SIZE,
		    "the store is full (max_store, %llu)",
		    (unsigned long long)s->max_store);
		return STORAGE_IS_FULL;
	}
	if (!disk_is_low(&b->disk, s->store_path, s->min_free))
		return STORAGE_HAS_ROOM;
	snprintf(why, STORE_WHY_SIZE,
	    "the store's disk is nearly full (min_free, %llu): %llu bytes are "
	    "left",
	    (unsigned long long)s->min_free,
	    (unsigned long long)b->disk.free_bytes);
	return STORAGE_DISK_IS_LOW;
}

enum storage_room
storage_check_room(struct broker *b, char *why)
{
	enum storage_room room = look_for_room(b, why);

	/* That it is over, the timer tells: it may come and go. */
	if (room == STORAGE_HAS_ROOM || b->store_full)
		return room;
	b->store_full = true;
	ev_timer_again(b->loop, &b->room_timer);
	log_warn("%s; durable tasks are %s", why,
	    b->settings->hold_when_full ? "held back" : "refused");
	return room;
}

static void
on_room_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct broker *b = w->data;
	char why[STORE_WHY_SIZE];

	(void)revents;
	if (look_for_room(b, why) != STORAGE_HAS_ROOM)
		return;
	b->store_full = false;
	ev_timer_stop(loop, w);
	log_info("the store has room again; durable tasks are taken");
}

int
storage_init(struct broker *b)
{
	struct store_memory_limits none = {0};
	struct store *memory;
	int r;

	ev_timer_init(&b->room_timer, on_room_timer, 0., ROOM_LOOK);
	b->room_timer.data = b;
	r = store_memory_new(b->loop, &none, &memory);
	if (r < 0)
		return r;
	r = store_split_new(memory, &b->store);
	if (r < 0)
		store_free(memory);
	return r;
}

void
storage_stop(struct broker *b)
{
	ev_timer_stop(b->loop, &b->room_timer);
}

static int
resume_queues(struct broker *b, const struct store_found *found)
{
	struct queue *q;
	size_t i;

	for (i = 0; i < found->n_paused; i++) {
		if (catalog_need_queue(&b->catalog, found->paused[i], &q) < 0)
			return -ENOMEM;
		q->paused = true;
		log_info("queue %s is paused", q->name);
	}
	return 0;
}

static void
tell_found(const struct broker *b, const struct store_found *found)
{
	if (b->n_waiting > 0 || found->n_recovered > 0)
		log_info("%llu task%s in the store",
		    (unsigned long long)b->n_waiting,
		    b->n_waiting == 1 ? " waits" : "s wait");
	if (found->n_recovered > 0)
		log_warn("%llu task%s running when the broker died: run again",
		    (unsigned long long)found->n_recovered,
		    found->n_recovered == 1 ? " was" : "s were");
	if (found->n_suspects > 0)
		log_warn("%llu of them for more than the third time: run alone",
		    (unsigned long long)found->n_suspects);
	if (found->n_broken_off > 0)
		log_warn("%llu task%s failed that may run at most once: "
			 "running when the broker died",
		    (unsigned long long)found->n_broken_off,
		    found->n_broken_off == 1 ? " has" : "s have");
}

/* So that a filter can name also what the settings have no more. */
static int
know_names(struct broker *b, const struct store_found *found)
{
	struct queue *q;
	struct kind *kind;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < found->n_queues; i++)
		r = catalog_need_queue(&b->catalog, found->queues[i], &q);
	for (i = 0; r == 0 && i < found->n_kinds; i++)
		r = catalog_need_kind(&b->catalog, found->kinds[i], &kind);
	return r;
}

/* Take up what was found. */
static int
take_up(struct broker *b, const struct store_found *found)
{
	struct broker_shared *shared = b->settings->shared;
	struct task *t;
	int r;

	if (shared->last_id < found->last_id)
		shared->last_id = found->last_id;
	if (b->seq < found->last_seq)
		b->seq = found->last_seq;
	storage_note_ids(b);
	b->steady_ms = found->steady_ms;
	b->n_keyed_absent = found->n_keyed;
	b->n_unique_absent = found->n_unique;
	/* Those that run were handed over. */
	RB_FOREACH(t, task_tree, &b->tasks)
	{
		b->n_keyed_absent -= t->durable && t->key != NULL;
		b->n_unique_absent -= t->durable && t->unique != NULL;
	}
	b->stats.recovered += found->n_recovered;
	r = know_names(b, found);
	if (r == 0)
		r = window_load(b, found);
	return r < 0 ? r : resume_queues(b, found);
}

/* What is found is the caller's.  -errno, and why says what is wrong. */
static int
open_disk(struct broker *b, bool resume, struct store_found *found,
    char why[STORE_WHY_SIZE])
{
	struct store_sqlite_limits limits = limits_of(b->settings);
	struct store_hooks hooks = {
	    .put_failed = on_put_failed,
	    .ended = on_ended,
	    .resolve = on_resolve,
	    .health = on_health,
	    .damage = on_damage,
	    .arg = b,
	};
	struct store *disk;
	int r;

	r = store_sqlite_open(b->loop, b->settings->store_path, resume, &limits,
	    &hooks, found, &disk, why);
	if (r == 0)
		store_split_set_disk(b->store, disk);
	return r;
}

int
storage_open(struct broker *b, bool resume, char why[STORE_WHY_SIZE])
{
	struct store_found found;
	int r;

	if (b->settings->store_path == NULL)
		return 0;
	r = open_disk(b, resume, &found, why);
	if (r < 0)
		return r;
	r = take_up(b, &found);
	if (r < 0)
		snprintf(why, STORE_WHY_SIZE, "out of memory");
	else
		tell_found(b, &found);
	store_found_done(&found);
	return r;
}

void
storage_close(struct broker *b)
{
	struct store *disk = store_split_disk(b->store);

	store_split_set_disk(b->store, NULL);
	store_free(disk);
}

void
storage_reopen(struct broker *b)
{
	char why[STORE_WHY_SIZE];
	struct store_found found;

	if (b->settings->store_path == NULL)
		return;
	/* What is in it is counted already. */
	if (open_disk(b, true, &found, why) < 0)
		log_fatal("%s", why);
	store_found_done(&found);
}

void
storage_note_ids(struct broker *b)
{
	struct store *disk = store_split_disk(b->store);

	if (disk != NULL)
		store_sqlite_note_ids(
		    disk, b->settings->shared->last_id, b->seq);
}

void
storage_set_limits(struct broker *b)
{
	const struct broker_settings *s = b->settings;
	struct store_sqlite_limits limits = limits_of(s);
	struct store_memory_limits memory = {
	    .result_ttl_ms = s->result_ttl_ms,
	    .failed_ttl_ms = s->failed_ttl_ms,
	    .max_finished = s->max_finished,
	};
	struct store *disk = store_split_disk(b->store);

	store_memory_set_limits(storage_memory(b), &memory);
	if (disk != NULL)
		store_sqlite_set_limits(disk, &limits);
}

struct store *
storage_memory(const struct broker *b)
{
	return store_split_memory(b->store);
}

bool
storage_is_behind(const struct broker *b)
{
	struct store *disk = store_split_disk(b->store);
	struct store_counts n;

	if (disk == NULL)
		return false;
	store_count(disk, &n);
	return n.n_dirty > BEHIND_MAX;
}
