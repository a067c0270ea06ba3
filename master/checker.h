/* SPDX-License-Identifier: ISC */
/*
 * checker.h - have a configuration checked by a process of its own
 *
 * The master never waits for it: a file that does not end, a module that loops
 * and an account database that does not answer cost CHECKER_LIMIT_MS, no more.
 * What the process has found is taken as text, so that the configuration that
 * was checked is the one that is applied, whatever becomes of the files.
 *
 * One check at a time.  The process is the leader of its group; the group is
 * killed when the check is over.
 */
#ifndef GANGER_MASTER_CHECKER_H
#define GANGER_MASTER_CHECKER_H

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

#include "ipc/buf.h"
#include "master/check.h"
#include "master/supervisor/verdict.h"

#define CHECKER_LIMIT_MS 30000

struct checker {
	struct check_request request; /* borrowed strings */
	char *const *argv;            /* borrowed; the daemon's own */
	struct ev_loop *loop;         /* borrowed while it checks */
	verdict_fn done;
	void *arg;
	pid_t pid; /* 0: none; never after its reaping */
	int fd;    /* owned; -1: none, or at its end */
	struct ev_io rd;
	struct ev_timer limit;
	struct buf answer;
	bool other; /* another program checks, not this one */
};

/*
 * request says what to check, argv (ended by NULL) how another program is to be
 * asked; both are borrowed as long as c is used.
 */
void checker_init(
    struct checker *c, const struct check_request *request, char *const *argv);

/* Cancel what runs. */
void checker_done(struct checker *c);

/*
 * Start a check: by this program, or when binary is not NULL by that one, with
 * the daemon's arguments.  done is called once, from the loop, never from in
 * here; it may start another check.  -EBUSY: one runs.  Else -errno: done will
 * not be called.
 */
int checker_start(struct checker *c, struct ev_loop *loop, const char *binary,
    verdict_fn done, void *arg);

/*
 * Load the configuration of a verdict's answer; the caller owns both.  0 or
 * -errno.
 */
int checker_load(const struct checker *c, const json_t *answer,
    struct config **config_out, json_t **names_out);

/* End what runs, if anything: done is not called. */
void checker_cancel(struct checker *c);

/* True when pid, which was reaped, was the check's; done may have been called.
 */
bool checker_reaped(struct checker *c, pid_t pid, int status);

#endif
