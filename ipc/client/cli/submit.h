/* SPDX-License-Identifier: ISC */
/*
 * submit.h - submit a task and tell what its answer says
 */
#ifndef GANGER_CLI_SUBMIT_H
#define GANGER_CLI_SUBMIT_H

#include <jansson.h>

#include "ipc/client/cli/cli.h"

/*
 * Submit task, which is taken.  What the answer warns of, and that the task is
 * a duplicate of an earlier one, is told on stderr.  0 and the answer, which
 * the caller owns, in *answer_out; else the exit status.
 */
int submit_task(struct cli *cli, json_t *task, json_t **answer_out);

#endif
