/* SPDX-License-Identifier: ISC */
/*
 * run.h - a run of a task: from its start to what becomes of the task
 *
 * A run that a client has cancelled ends in a result, or its task is
 * cancelled: it is not tried again, whatever has ended it.  One of a task that
 * runs at most once ends in an answer, or its task has failed.
 */
#ifndef GANGER_BROKER_RUN_H
#define GANGER_BROKER_RUN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "master/broker/broker.h"
#include "master/broker/task.h"

/* A worker ends a command itself; when it has not by then, it is stuck. */
#define RUN_COMMAND_GRACE_MS 5000

/* An error as a task keeps it. */
struct run_error {
	int64_t code;
	const char *message;
	const json_t *data; /* borrowed; NULL: only whether it is retried */
};

/* Hand t, which was next in the order, to a worker. */
void run_start(struct broker *b, struct task *t, struct chan *c);

/* Let the worker of t, which is unsent, know of it. */
void run_send(struct broker *b, struct task *t);

/* Its run is over.  result is JSON text that is taken. */
void run_succeed(struct broker *b, struct task *t, char *result);

/*
 * Its run failed.  Unless `final`, it is tried again while attempts are left,
 * after delay_ms, or after the usual delay for -1.
 */
void run_fail(struct broker *b, struct task *t, const struct run_error *e,
    bool final, int64_t delay_ms);

/* The handler wants to be run again later. */
void run_snooze(struct broker *b, struct task *t, int64_t delay_ms);

/*
 * Its run was cut by no fault of its own: back to where it was in the order.
 * why: what has happened while it ran, for the error of one that is not run
 * again; NULL when it is unsent.
 */
void run_requeue(struct broker *b, struct task *t, const char *why);

/* The same, for a stop or a reload: it counts these. */
void run_interrupt(struct broker *b, struct task *t);

/* The same for a durable one, and the broker leaves: the next one runs it. */
void run_abandon(struct broker *b, struct task *t);

/* As run_requeue, and from now on it runs alone until it has answered. */
void run_suspect(struct broker *b, struct task *t, const char *why);

/* Its worker died, and it was its doing: error e says how. */
void run_crash(struct broker *b, struct task *t, const struct run_error *e);

/*
 * Nobody wants t any more, which runs: ask it to end.  force: when it has not
 * ended after the grace that is configured, its process is killed.  -EINVAL: it
 * does not run.
 */
int run_cancel(struct broker *b, struct task *t, bool force);

/* When something is to be done about t, which runs; ns 0: never. */
struct mono run_next_moment(const struct task *t);

/* That moment has come. */
void run_on_timer(struct broker *b, struct task *t, struct mono now);

/* The time limit of a run of t by crew w, in ms; 0: none. */
int64_t run_time_limit(const struct task *t, const struct crew *w);

/* True when t, which runs, is a program that its worker runs. */
bool run_is_command(const struct task *t);

#endif
