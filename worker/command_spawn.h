/* SPDX-License-Identifier: ISC */
/*
 * command_spawn.h - start a program from a process with threads
 */
#ifndef GANGER_WORKER_COMMAND_SPAWN_H
#define GANGER_WORKER_COMMAND_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "worker/job.h"

/* A program that runs.  The descriptors are owned; -1 once closed. */
struct command_child {
	pid_t pid;
	int pidfd; /* readable once it has ended */
	int in;    /* writes to its stdin; does not block */
	int out;   /* reads its stdout; does not block */
	int err;   /* reads its stderr; does not block */
};

/*
 * Start argv[0], looked for in $PATH unless it has a slash, as the leader of
 * the job's process group: all signals default and unblocked, no descriptors
 * but its three pipes, killed when the calling thread ends.  argv is borrowed.
 *
 * -errno, with *program_out true when it is the program that cannot be run
 * (not found, no permission, ...), false when means were lacking;
 * -ECANCELED: the job was stopped already.
 */
int command_spawn(struct ganger_task *t, char *const argv[],
    struct command_child *out, bool *program_out);

/* Close what is open; the program is not touched. */
void command_child_close(struct command_child *c);

/*
 * Kill what is left of the group, reap its leader, and close everything.
 * Returns the leader's status as waitpid gives it.
 */
int command_child_end(struct ganger_task *t, struct command_child *c);

#endif
