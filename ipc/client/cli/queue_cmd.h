/* SPDX-License-Identifier: ISC */
/*
 * queue_cmd.h - commands that do one thing to queues
 */
#ifndef GANGER_CLI_QUEUE_CMD_H
#define GANGER_CLI_QUEUE_CMD_H

#include <jansson.h>

#include "ipc/client/cli/cli.h"

/*
 * Call method for each queue on the command line, one after the other; tell
 * prints what came of it, for people.  Returns the exit status: the first
 * failure is the end.
 */
int queue_cmd_run(struct cli *cli, int argc, char **argv, const char *method,
    void (*tell)(const char *queue, const json_t *result));

#endif
