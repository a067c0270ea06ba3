/* SPDX-License-Identifier: ISC */
/*
 * store_thread.c - the storage thread, and how a batch gets there and back
 *
 * First it writes, then it reads, and then it lets the broker know: so a
 * look-up sees what was written with it.  What only keeps the file in order
 * comes when the broker knows already.
 */
#include "master/broker/store_thread.h"

#include <signal.h>
#include <string.h>

#include "master/broker/store_read.h"
#include "master/broker/store_tidy.h"
#include "master/broker/store_write.h"

static void
carry_out(struct store_db *d, struct store_batch *b)
{
	struct store_call *c;

	store_write(d, b);
	STAILQ_FOREACH(c, &b->calls, entry) {
		c->err = c->kind == CALL_BARRIER ? b->err : 0;
		store_read(d, c);
	}
	/* What fails here does no harm, and is tried again. */
	b->tidy_again = b->tidy && store_tidy_step(d) > 0;
	(void)store_write_measure(d);
	b->lacks_reserve = !d->reserve.there;
	b->is_roomy = store_tidy_is_roomy(d);
	b->damage = d->damage[0] == '\0' ? NULL : d->damage;
	b->counts = d->counts;
	b->due_ms = d->due_ms;
	b->id_limit = d->id_limit;
	b->seq_limit = d->seq_limit;
}

static void *
run(void *arg)
{
	struct store_thread *t = arg;
	struct store_batch *b;

	pthread_mutex_lock(&t->mutex);
	for (;;) {
		while (t->batch == NULL && !t->stop)
			pthread_cond_wait(&t->changed, &t->mutex);
		if (t->batch == NULL)
			break;
		b = t->batch;
		t->batch = NULL;
		pthread_mutex_unlock(&t->mutex);
		carry_out(t->db, b);
		pthread_mutex_lock(&t->mutex);
		t->busy = false;
		pthread_cond_broadcast(&t->changed);
		pthread_mutex_unlock(&t->mutex);
		ev_async_send(t->loop, t->done);
		store_tidy_log(t->db);
		(void)store_reserve_keep(&t->db->reserve, store_db_path(t->db));
		pthread_mutex_lock(&t->mutex);
	}
	pthread_mutex_unlock(&t->mutex);
	return NULL;
}

int
store_thread_start(struct store_thread *t, struct store_db *db,
    struct ev_loop *loop, struct ev_async *done)
{
	sigset_t all, old;
	int r;

	memset(t, 0, sizeof(*t));
	t->db = db;
	t->loop = loop;
	t->done = done;
	pthread_mutex_init(&t->mutex, NULL);
	pthread_cond_init(&t->changed, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&t->thread, NULL, run, t);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r == 0)
		return 0;
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->mutex);
	return -r;
}

void
store_thread_give(struct store_thread *t, struct store_batch *b)
{
	pthread_mutex_lock(&t->mutex);
	t->batch = b;
	t->busy = true;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->mutex);
}

bool
store_thread_is_ready(struct store_thread *t)
{
	bool busy;

	pthread_mutex_lock(&t->mutex);
	busy = t->busy;
	pthread_mutex_unlock(&t->mutex);
	return !busy;
}

void
store_thread_wait(struct store_thread *t)
{
	pthread_mutex_lock(&t->mutex);
	while (t->busy)
		pthread_cond_wait(&t->changed, &t->mutex);
	pthread_mutex_unlock(&t->mutex);
}

void
store_thread_stop(struct store_thread *t)
{
	pthread_mutex_lock(&t->mutex);
	t->stop = true;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->mutex);
	pthread_join(t->thread, NULL);
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->mutex);
}
