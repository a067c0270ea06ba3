/* SPDX-License-Identifier: ISC */
/*
 * command.h - run a task that is a program
 */
#ifndef GANGER_WORKER_COMMAND_H
#define GANGER_WORKER_COMMAND_H

#include <jansson.h>
#include <stddef.h>

#include "worker/job.h"
#include "worker/settings.h"

#define COMMAND_STDERR_MAX 4096 /* bytes kept of stderr, the last ones */

/*
 * Run cmd for t in the calling task thread: the arguments as JSON and a
 * newline on its stdin, its stdout as the result.  A new reference, or NULL
 * when the job was failed.
 *
 * It ends when the program does, not when its pipes close; whatever it left
 * running in its process group is killed then.  The job's and the command's
 * time limits both hold.
 */
json_t *command_run(struct ganger_task *t, const struct worker_command *cmd,
    size_t max_message);

#endif
