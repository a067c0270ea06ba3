/* SPDX-License-Identifier: ISC */
/*
 * worker_proc.h - a worker process at the end of a socket pair
 *
 * The test plays the broker.  Every wait ends after WORKER_PROC_WAIT_MS with a
 * failed test.
 */
#ifndef GANGER_TESTS_LIB_WORKER_PROC_H
#define GANGER_TESTS_LIB_WORKER_PROC_H

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "ipc/buf.h"
#include "worker/settings.h"

#define WORKER_PROC_WAIT_MS 20000

struct worker_proc {
	pid_t pid;
	int fd; /* owned; -1 once closed */
	struct buf in;
};

/* Fork a worker with s, whose fd is ignored.  Its log goes to log_path. */
void worker_proc_start(struct worker_proc *w, const struct worker_settings *s,
    const char *log_path);

/* The same, and take its hello. */
void worker_proc_start_ready(struct worker_proc *w,
    const struct worker_settings *s, const char *log_path);

/* Write bytes, or a formatted line and its newline. */
void worker_proc_write(struct worker_proc *w, const char *data, size_t n);
void worker_proc_send(struct worker_proc *w, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Order run 1 of task id, as request id + 1000; args is JSON text. */
void worker_proc_run(
    struct worker_proc *w, int id, const char *name, const char *args);
void worker_proc_cancel(struct worker_proc *w, int id, int run);

/*
 * Order a task whose handler tells its progress first and then waits for a
 * cancel, or for ever; returns once it runs.
 */
void worker_proc_begin(struct worker_proc *w, int id, const char *name);
void worker_proc_pill(struct worker_proc *w);

/* The next message, a new reference; fails the test at end of file. */
json_t *worker_proc_next(struct worker_proc *w);

/*
 * The next message, progress aside, must be the answer to task id: its result
 * or error, a new reference.
 */
json_t *worker_proc_result(struct worker_proc *w, int id);
json_t *worker_proc_error(struct worker_proc *w, int id);

/* The next message must be this notification: its params, a new reference. */
json_t *worker_proc_note(struct worker_proc *w, const char *method);

/* The same, compared: with JSON text, with an error code. */
void worker_proc_expect_result(struct worker_proc *w, int id, const char *want);
void worker_proc_expect_error(struct worker_proc *w, int id, int code);

/* The next message must put run 1 of task id aside. */
void worker_proc_expect_snooze(struct worker_proc *w, int id, int delay_ms);

/* The same, for it had begun when the worker was told to end. */
void worker_proc_expect_cut(struct worker_proc *w, int id);

/* Wait until the worker has closed the channel; no message may come. */
void worker_proc_expect_eof(struct worker_proc *w);

void worker_proc_close(struct worker_proc *w);

/* Reap the process; its status as waitpid gives it. */
int worker_proc_wait(struct worker_proc *w);

/* The pill, then the end: it must exit 0 with nothing more to say. */
void worker_proc_finish(struct worker_proc *w);

#endif
