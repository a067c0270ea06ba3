/* SPDX-License-Identifier: ISC */
/*
 * handler.h - the ABI of task modules, installed as <ganger/handler.h>
 *
 * A module is a shared object that exports
 *
 *	const struct ganger_module ganger_module
 *
 * and is named in a pool's `modules`.  Build one with
 *
 *	cc -shared -fPIC -o mine.so mine.c $(pkg-config --cflags ganger)
 *-ljansson
 *
 * A worker process runs several threads, and each runs handlers: what handlers
 * share needs a lock, or a single-threaded pool.  Worker processes share
 * nothing.  A handler that blocks holds its thread and nothing else.
 *
 * A handler that crashes, aborts or calls exit() ends its process; the task is
 * charged with it, and the others in the process are run again.  The worker's
 * handlers for SIGSEGV, SIGABRT and their like find out which task it was: a
 * module leaves them alone, and does not block SIGRTMIN+1 and SIGRTMIN+2, by
 * which the daemon looks at what a thread is doing.  A system call that such a
 * look interrupts is restarted, but poll(2), nanosleep(2) and their like may
 * fail with EINTR.  What is written to stdout and stderr goes to the log, line
 * by line.
 */
#ifndef GANGER_HANDLER_H
#define GANGER_HANDLER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised when this header changes incompatibly; checked when loading. */
#define GANGER_MODULE_ABI 1

#define GANGER_PUBLIC __attribute__((visibility("default")))

/* The task that a handler is running.  Valid until the handler returns. */
struct ganger_task;

/*
 * Run a task.  args is borrowed and is the submitted value (json_null() when
 * none was given).  Return a new reference, which the caller takes, or NULL
 * after ganger_fail() or ganger_snooze().  NULL without either is a failure.
 */
typedef json_t *(*ganger_handler_fn)(struct ganger_task *task, json_t *args);

struct ganger_handler {
	const char *name; /* at most 128 bytes of [A-Za-z0-9_.:-] */
	ganger_handler_fn run;
};

struct ganger_module {
	int abi;                               /* GANGER_MODULE_ABI */
	const char *name;                      /* for the log */
	const struct ganger_handler *handlers; /* ended by a NULL name */

	/*
	 * Optional hooks.  init runs once in each worker process, before its
	 * threads start; thread_init at the start of each thread; thread_done
	 * and done in reverse at a graceful end, and not when a process is
	 * killed.  init and thread_init return 0, or a negative errno value
	 * that keeps the worker from starting.
	 */
	int (*init)(void);
	int (*thread_init)(void);
	void (*thread_done)(void);
	void (*done)(void);
};

/*
 * End the task as failed: the handler then returns NULL.  code is the
 * handler's own number; a retryable failure is tried again while the task has
 * attempts left.  The last call counts.
 */
GANGER_PUBLIC void ganger_fail(struct ganger_task *task, int code,
    bool retryable, const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/*
 * Put the task aside and run it again from its beginning after delay_ms: the
 * handler then returns NULL.  This is no failure and uses up no attempt.
 */
GANGER_PUBLIC void ganger_snooze(struct ganger_task *task, int64_t delay_ms);

/*
 * Name the delay after which the failure of this run is tried again, in place
 * of one that grows with the attempts: before or after ganger_fail().  The
 * last call counts; for what is not tried again it means nothing.
 */
GANGER_PUBLIC void ganger_retry_after(
    struct ganger_task *task, int64_t delay_ms);

/*
 * Tell how far the task is: done of total (0: unknown), and a note (may be
 * NULL; copied).  Cheap: reports that come faster than they are sent replace
 * each other.
 */
GANGER_PUBLIC void ganger_progress(
    struct ganger_task *task, uint64_t done, uint64_t total, const char *note);

/*
 * True once the task should stop: it was cancelled, it is over its soft time
 * limit, or the worker is being stopped the quick way.  A handler that runs
 * long looks now and then, and then fails with code 0; a task that was
 * cancelled is not tried again.  One that comes to a result all the same
 * returns it, and has succeeded.
 */
GANGER_PUBLIC bool ganger_cancelled(const struct ganger_task *task);

/*
 * Sleep for ms milliseconds, or until the task is cancelled.  True when it
 * slept to the end.
 */
GANGER_PUBLIC bool ganger_sleep(struct ganger_task *task, int64_t ms);

/* Write a line to the daemon's log, with the task's id. */
GANGER_PUBLIC void ganger_log(struct ganger_task *task, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

GANGER_PUBLIC uint64_t ganger_task_id(const struct ganger_task *task);

/* The name that the task was submitted under.  Borrowed. */
GANGER_PUBLIC const char *ganger_task_name(const struct ganger_task *task);

/* 1 for the first attempt. */
GANGER_PUBLIC unsigned ganger_attempt(const struct ganger_task *task);

#ifdef __cplusplus
}
#endif

#endif
