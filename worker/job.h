/* SPDX-License-Identifier: ISC */
/*
 * job.h - a task inside a worker: struct ganger_task behind handler.h
 *
 * Made by the main thread, run by one task thread, which frees it.  Meanwhile
 * the main thread may stop it, send its progress and kill its command; for
 * that it holds the pool's lock, under which a job is neither given to a
 * thread nor freed.  The pool's lock is taken before a job's.
 */
#ifndef GANGER_WORKER_JOB_H
#define GANGER_WORKER_JOB_H

#include <jansson.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "ipc/buf.h"
#include "ipc/clock.h"
#include "worker/handler.h"
#include "worker/order.h"
#include "worker/report.h"
#include "worker/route.h"

struct uplink;

/*
 * Why a task should end before its time.  The first reason stays, but the
 * first of all, which leaves a command the time to end by itself.
 */
enum job_stop {
	JOB_GOES_ON,
	JOB_LATE,      /* it is over its soft time limit */
	JOB_CANCELLED, /* the broker said so: job_cancel */
	JOB_CUT        /* the worker is ending the quick way */
};

/* More than is reported of it: where it is cut, no character is broken. */
#define JOB_NOTE_SIZE (REPORT_NOTE_MAX + 4)

enum job_outcome { JOB_NO_OUTCOME, JOB_FAILED, JOB_SNOOZED };

struct ganger_task {
	TAILQ_ENTRY(ganger_task) entry; /* the pool's */

	/* Set when made, and read by any thread. */
	const struct route *route; /* borrowed */
	struct uplink *uplink;     /* borrowed */
	int64_t rpc_id;
	uint64_t id, run;
	unsigned attempt;
	int64_t timeout_ms, soft_timeout_ms; /* 0: none */
	json_t *args;                        /* owned; the task thread's */
	bool over_limit; /* its command was killed for timeout_ms; likewise */
	bool ran;        /* its handler, or its command, was begun; likewise */

	_Atomic int64_t begun_ns; /* monotonic; 0: it waits for a thread */

	_Atomic int64_t kill_ns; /* once cancelled: its command is killed */
	atomic_int stop;         /* enum job_stop */
	/* The running thread's: readable once stopped; -1 while waiting. */
	int wake_fd;

	pthread_mutex_t lock; /* guards what follows */
	pid_t group;          /* of the running command; 0: none */

	bool has_progress; /* what follows was not sent yet */
	uint64_t done, total;
	bool has_note;
	char note[JOB_NOTE_SIZE];
	struct mono progress_at; /* the last one was sent */

	enum job_outcome outcome;
	int code;
	bool retryable;
	char *message;    /* owned; of a failure, NULL when out of memory */
	json_t *data;     /* owned; of a failure, may be NULL */
	int64_t delay_ms; /* of a snooze */
	int64_t retry_after_ms; /* of a failure; negative: not named */
};

TAILQ_HEAD(job_list, ganger_task);

/* Progress is sent this often at most. */
#define JOB_PROGRESS_MS 100

/*
 * Make a job of a run order, whose arguments it takes; route and uplink are
 * borrowed.  NULL: out of memory, the order is whole.
 */
struct ganger_task *job_new(
    const struct order *o, const struct route *route, struct uplink *uplink);
void job_free(struct ganger_task *t);

/*
 * Ask the job to end, and kill its command when the worker is ending, else
 * send that SIGTERM.  Under the pool's lock.
 */
void job_stop(struct ganger_task *t, enum job_stop why);

/*
 * Ask the job to end since nobody wants it; its thread kills a command that
 * has not ended by kill_at.  The first of several calls counts, unless a later
 * one is for sooner.  Under the pool's lock.
 */
void job_cancel(struct ganger_task *t, struct mono kill_at);

/* Note that a thread has begun to run it. */
void job_begin(struct ganger_task *t, struct mono now);

/*
 * Ask the job to end if it is over its soft time limit.  Returns in how many
 * ms it can be over it at the earliest; 0: never.  Under the pool's lock.
 */
int64_t job_stop_late(struct ganger_task *t, struct mono now);

/* Take the wake-up of the stop that was asked for.  The running thread's. */
void job_take_wake(struct ganger_task *t);

/* JOB_GOES_ON while it may. */
enum job_stop job_stopped(const struct ganger_task *t);

/* When the command of a cancelled job is to be killed; ns 0: not so far. */
struct mono job_kill_time(const struct ganger_task *t);

/*
 * Fork a child that leads a process group of its own, which job_stop kills.
 * Returns its pid; 0 in the child; -ECANCELED when the job was stopped
 * already, or -errno.
 */
pid_t job_fork(struct ganger_task *t);

/*
 * Kill what is left of that group.  Its leader is not reaped yet, so that the
 * number is still its own.
 */
void job_end_group(struct ganger_task *t);

/* As ganger_fail; data (stolen, may be NULL) becomes the error's data. */
void job_fail(struct ganger_task *t, int code, bool retryable, json_t *data,
    const char *fmt, ...) __attribute__((format(printf, 5, 6)));

/*
 * Append the progress report that was not sent yet.  Returns 0: written, or
 * nothing to send; otherwise in how many ms it is due.  force: now.
 */
int64_t job_write_progress(
    struct ganger_task *t, struct mono now, bool force, struct buf *out);

/*
 * Write the one message that ends the run: value's if it is not NULL, else
 * what ganger_fail or ganger_snooze set.  A run that failed after it was cut
 * is given back to be run again at no cost, and it is told whether it had
 * begun; one that failed when it was late has failed for that, and can be
 * retried.  out is empty.
 */
void job_write_end(struct ganger_task *t, const json_t *value,
    size_t max_message, struct buf *out);

#endif
