/* SPDX-License-Identifier: ISC */
/*
 * LINK: worker/pool.c worker/job.c worker/uplink.c worker/order.c
 * worker/report.c worker/slots.c ipc/buf.c ipc/clock.c ipc/json.c ipc/line.c
 * ipc/log.c ipc/peer.c ipc/rpc.c
 */
/*
 * test_worker_pool.c - threads, jobs and pills
 *
 * A job's performance waits at a gate that the test opens, so that it knows
 * which jobs run and which wait.
 */
#include "worker/pool.h"

#include <errno.h>
#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define N_JOBS    100
#define N_THREADS 4 /* at the most */

static struct pool pool;
static sem_t began, gate, ended;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t order[N_JOBS]; /* ids as they began; under lock */
static unsigned n_begun, n_starts, n_stops, n_dirty; /* under lock */
static int start_error;

static int
on_start(void *arg, unsigned i)
{
	int r;

	(void)arg;
	assert_true(i < N_THREADS);
	pthread_mutex_lock(&lock);
	r = n_starts++ == 1 ? start_error : 0;
	pthread_mutex_unlock(&lock);
	return r;
}

static void
on_stop(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&lock);
	n_stops++;
	pthread_mutex_unlock(&lock);
}

static void
on_perform(void *arg, struct ganger_task *t, struct buf *scratch)
{
	struct pollfd p = {.fd = t->wake_fd, .events = POLLIN};

	(void)arg;
	pthread_mutex_lock(&lock);
	order[n_begun++ % N_JOBS] = t->id;
	/* A wake-up before it is stopped was meant for another job. */
	if (poll(&p, 1, 0) != 0 && job_stopped(t) == JOB_GOES_ON)
		n_dirty++;
	if (buf_len(scratch) != 0)
		n_dirty++;
	pthread_mutex_unlock(&lock);
	buf_adds(scratch, "used");
	sem_post(&began);
	sem_wait(&gate);
}

static void
on_ended(void *arg)
{
	(void)arg;
	sem_post(&ended);
}

static const struct pool_ops ops = {
    .start_thread = on_start,
    .stop_thread = on_stop,
    .perform = on_perform,
    .on_ended = on_ended,
};

static int
set_up(void **state)
{
	(void)state;
	n_begun = n_starts = n_stops = n_dirty = 0;
	start_error = 0;
	sem_init(&began, 0, 0);
	sem_init(&gate, 0, 0);
	sem_init(&ended, 0, 0);
	return 0;
}

static void
await(sem_t *s, unsigned n)
{
	while (n-- > 0)
		assert_int_equal(sem_wait(s), 0);
}

static void
open_gate(unsigned n)
{
	while (n-- > 0)
		sem_post(&gate);
}

static void
push(uint64_t id)
{
	const struct order o = {.id = id, .run = 1};
	struct ganger_task *t;

	t = job_new(&o, NULL, NULL);
	assert_non_null(t);
	pool_push(&pool, t);
}

static void
finish(unsigned threads)
{
	pool_push_pills(&pool);
	await(&ended, threads);
	assert_true(pool_is_over(&pool));
	pool_join(&pool);
	assert_int_equal(n_stops, threads);
	assert_int_equal(n_dirty, 0);
}

static void
one_thread_takes_jobs_in_their_order(void **state)
{
	unsigned i;

	(void)state;
	assert_int_equal(pool_start(&pool, 1, &ops, NULL), 0);
	for (i = 0; i < N_JOBS; i++)
		push(i);
	open_gate(N_JOBS);
	finish(1);
	for (i = 0; i < N_JOBS; i++)
		assert_int_equal(order[i], i);
}

static void
every_thread_gets_a_job(void **state)
{
	unsigned i;

	(void)state;
	assert_int_equal(pool_start(&pool, 4, &ops, NULL), 0);
	assert_int_equal(n_starts, 4);
	for (i = 0; i < 4; i++)
		push(i);
	await(&began, 4);
	assert_false(pool_is_over(&pool));
	open_gate(4);
	finish(4);
}

static void
jobs_before_the_pills_are_done(void **state)
{
	unsigned i;

	(void)state;
	assert_int_equal(pool_start(&pool, 3, &ops, NULL), 0);
	for (i = 0; i < N_JOBS; i++)
		push(i);
	pool_push_pills(&pool);
	await(&began, 3);
	assert_false(pool_is_over(&pool));
	open_gate(N_JOBS);
	finish(3);
	assert_int_equal(n_begun, N_JOBS);
}

static void
count(void *arg, struct ganger_task *t)
{
	unsigned *n = arg;

	(void)t;
	++*n;
}

static void
a_visit_sees_jobs_running_and_waiting(void **state)
{
	unsigned i, n;

	(void)state;
	assert_int_equal(pool_start(&pool, 2, &ops, NULL), 0);
	for (i = 0; i < 5; i++)
		push(i);
	await(&began, 2);
	n = 0;
	pool_visit(&pool, count, &n);
	assert_int_equal(n, 5);
	open_gate(5);
	finish(2);
}

static void
stop(void *arg, struct ganger_task *t)
{
	(void)arg;
	if (t->id == 0)
		job_stop(t, JOB_CANCELLED);
}

static void
a_wake_up_does_not_reach_the_next_job(void **state)
{
	(void)state;
	assert_int_equal(pool_start(&pool, 1, &ops, NULL), 0);
	push(0);
	await(&began, 1);
	push(1);
	pool_visit(&pool, stop, NULL);
	open_gate(2);
	finish(1);
}

static void
a_thread_that_does_not_start_ends_the_others(void **state)
{
	(void)state;
	start_error = -ENOENT;
	assert_int_equal(pool_start(&pool, 3, &ops, NULL), -ENOENT);
	assert_int_equal(n_starts, 3);
	assert_int_equal(n_stops, 2);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, set_up)
	const struct CMUnitTest tests[] = {
	    TEST(one_thread_takes_jobs_in_their_order),
	    TEST(every_thread_gets_a_job),
	    TEST(jobs_before_the_pills_are_done),
	    TEST(a_visit_sees_jobs_running_and_waiting),
	    TEST(a_wake_up_does_not_reach_the_next_job),
	    TEST(a_thread_that_does_not_start_ends_the_others),
	};

	return cmocka_run_group_tests_name("worker pool", tests, NULL, NULL);
}
