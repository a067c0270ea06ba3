/* SPDX-License-Identifier: ISC */
/*
 * output.h - what a worker prints becomes lines of the log
 *
 * The worker's standard output and error are one pipe, which the master reads
 * on its loop.  Neither waits for the other: a worker that prints faster than
 * the master reads loses output, and over a budget lines are dropped here and
 * counted.
 *
 * A line has level info, or the one that it begins with, as for sd-daemon(3):
 * "<3>" and below error, "<4>" warn, "<7>" debug.
 */
#ifndef GANGER_SUPERVISOR_OUTPUT_H
#define GANGER_SUPERVISOR_OUTPUT_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "ipc/log.h"
#include "master/supervisor/budget.h"

#define OUTPUT_LINE_MAX   2048        /* longer lines come in parts */
#define OUTPUT_TURN_MAX   (64 * 1024) /* bytes read in a turn of the loop */
#define OUTPUT_DRAIN_MAX  (1 << 20)   /* and at the end */
#define OUTPUT_PER_SECOND 200         /* lines, for long */
#define OUTPUT_BURST      1000        /* lines, at once */
#define OUTPUT_TELL_S     1.          /* between two counts of the dropped */

struct output {
	struct ev_loop *loop; /* borrowed; NULL: not open */
	int fd;               /* owned; the reading end, -1: not open */
	struct ev_io readable;
	struct ev_timer tell;
	char name[64]; /* of the worker, in the log */
	pid_t pid;
	struct budget budget;
	unsigned long n_dropped; /* lines, not told yet */
	char line[OUTPUT_LINE_MAX];
	size_t len;           /* of the line that has not ended yet */
	bool parted;          /* its beginning was logged already */
	enum log_level level; /* then: of all of it */
};

/* Not open; output_close may be called. */
void output_init(struct output *o);

/*
 * Make a pipe and read it.  The caller owns *write_fd_out, the other end, for
 * the child.  Neither end blocks; both are close-on-exec.  0 or -errno.
 */
int output_open(struct output *o, struct ev_loop *loop, const char *name,
    int *write_fd_out);

/* Go on with a reading end that output_fd gave out before an exec; taken. */
void output_adopt(struct output *o, struct ev_loop *loop, const char *name,
    pid_t pid, int fd);

/* Whose it is, once it was forked. */
void output_set_pid(struct output *o, pid_t pid);

/* The reading end, lent; -1: not open. */
int output_fd(const struct output *o);

/* Log what was read and has no newline yet, as a line. */
void output_flush(struct output *o);

/*
 * Log what there is to read and what has no newline yet: the process has died.
 * Does not wait for the end of the pipe, which others may hold open.
 */
void output_drain(struct output *o);

/* Stop reading, and close the pipe.  Safe to repeat. */
void output_close(struct output *o);

/*
 * In the child: print to that pipe, which stays open under its number too, from
 * here on, line by line.  0 or -errno.
 */
int output_redirect(int write_fd);

#endif
