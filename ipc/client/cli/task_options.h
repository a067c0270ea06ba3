/* SPDX-License-Identifier: ISC */
/*
 * task_options.h - the parameters of a submit, from the command line
 */
#ifndef GANGER_CLI_TASK_OPTIONS_H
#define GANGER_CLI_TASK_OPTIONS_H

#include <jansson.h>
#include <stddef.h>

#include "ipc/client/cli/cli.h"

enum {
	TASK_OPT_RETRIES = CLI_OPT_OWN,
	TASK_OPT_TIMEOUT,
	TASK_OPT_SOFT_TIMEOUT,
	TASK_OPT_DELAY,
	TASK_OPT_AT,
	TASK_OPT_EXPIRES,
	TASK_OPT_KEY,
	TASK_OPT_UNIQUE,
	TASK_OPT_OTHER, /* the command's own options go on from here */
};

/* Options of every command that makes tasks. */
#define TASK_SHORTS "q:p:"
/* clang-format off */
#define TASK_LONGS \
	{"queue", required_argument, NULL, 'q'}, \
	{"priority", required_argument, NULL, 'p'}, \
	{"retries", required_argument, NULL, TASK_OPT_RETRIES}, \
	{"timeout", required_argument, NULL, TASK_OPT_TIMEOUT}, \
	{"soft-timeout", required_argument, NULL, TASK_OPT_SOFT_TIMEOUT}
/* clang-format on */
#define TASK_HELP \
	"  -q, --queue QUEUE    the queue; else the one that serves NAME\n" \
	"  -p, --priority N     0 to 9, 9 first; else the queue's\n" \
	"      --retries N      attempts after a failed first one\n" \
	"      --timeout D      time limit of an attempt\n" \
	"      --soft-timeout D ask an attempt to end after this time\n"

/*
 * Put option `opt`, whose value is in optarg, into the parameters in task;
 * exits for a value that is none.
 */
void task_options_set(const struct cli *cli, json_t *task, int opt);

/*
 * Put NAME and ARGS, n words, into task; ARGS "-" is read from stdin.  0, or
 * the exit status.
 */
int task_options_words(
    const struct cli *cli, json_t *task, char *const *words, size_t n);

#endif
