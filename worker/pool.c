/* SPDX-License-Identifier: ISC */
/*
 * pool.c - the task threads of a worker, on one queue
 *
 * A thread lets go of its last job and takes the next one in one critical
 * section.  The pills are a number, not entries: nothing comes behind them.
 */
#include "worker/pool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SCRATCH_KEEP \
	(64 * 1024) /* memory that an idle thread may hold on to \
		     */

struct pool_thread {
	struct pool *pool; /* borrowed */
	unsigned number;   /* from 0 on */
	pthread_t id;
	int wake_fd; /* owned; lent to the job that runs */
	struct buf scratch;
};

/* Let go of a job that has been answered.  Under the pool's lock. */
static void
release(struct pool_thread *th, struct ganger_task *t)
{
	eventfd_t ignored;

	TAILQ_REMOVE(&th->pool->running, t, entry);
	/* A wake-up that was meant for this job must not reach the next. */
	if (job_stopped(t) != JOB_GOES_ON)
		(void)eventfd_read(th->wake_fd, &ignored);
	job_free(t);
}

/*
 * True when a thread should be woken for what waits.  One at a time: it wakes
 * the next if jobs are left, and while jobs are short it leaves none, which
 * spares most of the wake-ups.  Under the pool's lock.
 */
static bool
want_thread(struct pool *p)
{
	if (p->waking || p->n_idle == 0 || TAILQ_EMPTY(&p->waiting))
		return false;
	p->waking = true;
	return true;
}

/* Exchange the job that is done (or NULL) for the next; NULL: a pill. */
static struct ganger_task *
next_job(struct pool_thread *th, struct ganger_task *last)
{
	struct pool *p = th->pool;
	struct ganger_task *t;
	bool wake;

	pthread_mutex_lock(&p->lock);
	if (last != NULL)
		release(th, last);
	while (TAILQ_EMPTY(&p->waiting) && p->n_pills == 0) {
		p->n_idle++;
		pthread_cond_wait(&p->work, &p->lock);
		p->n_idle--;
		p->waking = false;
	}
	t = TAILQ_FIRST(&p->waiting);
	if (t == NULL) {
		p->n_pills--;
	} else {
		TAILQ_REMOVE(&p->waiting, t, entry);
		TAILQ_INSERT_TAIL(&p->running, t, entry);
		t->wake_fd = th->wake_fd;
	}
	wake = want_thread(p);
	pthread_mutex_unlock(&p->lock);
	if (wake)
		pthread_cond_signal(&p->work);
	return t;
}

static void
run_jobs(struct pool_thread *th)
{
	struct pool *p = th->pool;
	struct ganger_task *t;

	t = NULL;
	while ((t = next_job(th, t)) != NULL) {
		p->ops->perform(p->arg, t, &th->scratch);
		buf_reset(&th->scratch);
		buf_trim(&th->scratch, SCRATCH_KEEP);
	}
}

static void *
thread_main(void *arg)
{
	struct pool_thread *th = arg;
	struct pool *p = th->pool;
	int r;

	r = p->ops->start_thread(p->arg, th->number);
	pthread_mutex_lock(&p->lock);
	p->n_started++;
	if (r < 0 && p->start_error == 0)
		p->start_error = r;
	pthread_cond_signal(&p->news);
	pthread_mutex_unlock(&p->lock);
	if (r == 0) {
		run_jobs(th);
		p->ops->stop_thread(p->arg);
	}
	pthread_mutex_lock(&p->lock);
	p->n_ended++;
	pthread_mutex_unlock(&p->lock);
	p->ops->on_ended(p->arg);
	return NULL;
}

static int
start_one(struct pool *p, unsigned i)
{
	struct pool_thread *th = &p->threads[i];
	char name[16]; /* the kernel's limit */
	int r;

	th->pool = p;
	th->number = i;
	buf_init(&th->scratch, SIZE_MAX);
	th->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (th->wake_fd < 0)
		return -errno;
	r = pthread_create(&th->id, NULL, thread_main, th);
	if (r != 0) {
		close(th->wake_fd);
		return -r;
	}
	snprintf(name, sizeof(name), "task %u", i + 1);
	(void)pthread_setname_np(th->id, name);
	return 0;
}

/* Wait for the threads that were created; the first error of their start. */
static int
await_start(struct pool *p)
{
	int r;

	pthread_mutex_lock(&p->lock);
	while (p->n_started < p->n_threads)
		pthread_cond_wait(&p->news, &p->lock);
	r = p->start_error;
	pthread_mutex_unlock(&p->lock);
	return r;
}

int
pool_start(struct pool *p, unsigned n, const struct pool_ops *ops, void *arg)
{
	int r, r2;

	memset(p, 0, sizeof(*p));
	p->threads = calloc(n, sizeof(*p->threads));
	if (p->threads == NULL)
		return -ENOMEM;
	p->ops = ops;
	p->arg = arg;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->work, NULL);
	pthread_cond_init(&p->news, NULL);
	TAILQ_INIT(&p->waiting);
	TAILQ_INIT(&p->running);
	r = 0;
	while (p->n_threads < n) {
		r = start_one(p, p->n_threads);
		if (r < 0)
			break;
		p->n_threads++;
	}
	r2 = await_start(p);
	if (r == 0)
		r = r2;
	if (r < 0) {
		pool_push_pills(p);
		pool_join(p);
	}
	return r;
}

void
pool_push(struct pool *p, struct ganger_task *t)
{
	bool wake;

	pthread_mutex_lock(&p->lock);
	TAILQ_INSERT_TAIL(&p->waiting, t, entry);
	wake = want_thread(p);
	pthread_mutex_unlock(&p->lock);
	if (wake)
		pthread_cond_signal(&p->work);
}

void
pool_push_pills(struct pool *p)
{
	pthread_mutex_lock(&p->lock);
	p->n_pills = p->n_threads;
	pthread_mutex_unlock(&p->lock);
	pthread_cond_broadcast(&p->work);
}

bool
pool_is_over(struct pool *p)
{
	bool over;

	pthread_mutex_lock(&p->lock);
	over = p->n_ended == p->n_threads;
	pthread_mutex_unlock(&p->lock);
	return over;
}

void
pool_join(struct pool *p)
{
	unsigned i;

	for (i = 0; i < p->n_threads; i++) {
		pthread_join(p->threads[i].id, NULL);
		close(p->threads[i].wake_fd);
		buf_done(&p->threads[i].scratch);
	}
	pthread_cond_destroy(&p->news);
	pthread_cond_destroy(&p->work);
	pthread_mutex_destroy(&p->lock);
	free(p->threads);
	memset(p, 0, sizeof(*p));
}

void
pool_visit(
    struct pool *p, void (*fn)(void *arg, struct ganger_task *t), void *arg)
{
	struct ganger_task *t;

	pthread_mutex_lock(&p->lock);
	TAILQ_FOREACH(t, &p->waiting, entry)
		fn(arg, t);
	TAILQ_FOREACH(t, &p->running, entry)
		fn(arg, t);
	pthread_mutex_unlock(&p->lock);
}
