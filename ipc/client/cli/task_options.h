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
	TASK_OPT_BACKOFF,
	TASK_OPT_TIMEOUT,
	TASK_OPT_SOFT_TIMEOUT,
	TASK_OPT_DELAY,
	TASK_OPT_AT,
	TASK_OPT_EXPIRES,
	TASK_OPT_RESULT_TTL,
	TASK_OPT_KEY,
	TASK_OPT_UNIQUE,
	TASK_OPT_IDEMPOTENCY_KEY,
	TASK_OPT_AT_MOST_ONCE,
	TASK_OPT_DURABLE,
	TASK_OPT_VOLATILE,
	TASK_OPT_OTHER, /* the command's own options go on from here */
};

/* Options of every command that makes tasks. */
#define TASK_SHORTS "q:p:"
/* clang-format off */
#define TASK_LONGS \
	{"queue", required_argument, NULL, 'q'}, \
	{"priority", required_argument, NULL, 'p'}, \
	{"delay", required_argument, NULL, TASK_OPT_DELAY}, \
	{"at", required_argument, NULL, TASK_OPT_AT}, \
	{"expires", required_argument, NULL, TASK_OPT_EXPIRES}, \
	{"retries", required_argument, NULL, TASK_OPT_RETRIES}, \
	{"backoff", required_argument, NULL, TASK_OPT_BACKOFF}, \
	{"timeout", required_argument, NULL, TASK_OPT_TIMEOUT}, \
	{"soft-timeout", required_argument, NULL, TASK_OPT_SOFT_TIMEOUT}, \
	{"result-ttl", required_argument, NULL, TASK_OPT_RESULT_TTL}, \
	{"key", required_argument, NULL, TASK_OPT_KEY}, \
	{"unique", required_argument, NULL, TASK_OPT_UNIQUE}, \
	{"idempotency-key", required_argument, NULL, \
	    TASK_OPT_IDEMPOTENCY_KEY}, \
	{"at-most-once", no_argument, NULL, TASK_OPT_AT_MOST_ONCE}, \
	{"durable", no_argument, NULL, TASK_OPT_DURABLE}, \
	{"volatile", no_argument, NULL, TASK_OPT_VOLATILE}
/* clang-format on */
#define TASK_HELP \
	"  -q, --queue QUEUE    the queue; else the one that serves NAME\n" \
	"  -p, --priority N     0 to 9, 9 first; else the queue's\n" \
	"      --delay D        do not start it before this time has passed\n" \
	"      --at T           or before this one (RFC 3339)\n" \
	"      --expires D      give it up when it has not started by then\n" \
	"      --retries N      attempts after a failed first one\n" \
	"      --backoff D      wait before the first of these; then longer\n" \
	"      --timeout D      time limit of an attempt\n" \
	"      --soft-timeout D ask an attempt to end after this time\n" \
	"      --result-ttl D   keep it so long when it has ended\n" \
	"      --key K          one at a time, in order, among those of one " \
	"key\n" \
	"      --at-most-once   never run it again when its run was cut off\n" \
	"      --durable        keep it on disk, past the daemon's death\n" \
	"      --volatile       keep it in memory only\n"
#define TASK_HELP_END "\nD is a duration: 250ms, 30s, 5m, 1h, 2d.\n"

/* What a command adds that does not make many tasks alike. */
#define TASK_HELP_ONE \
	"      --unique K       not while another one of this kind is " \
	"waiting\n" \
	"                       or runs: its id is the answer\n" \
	"      --idempotency-key K\n" \
	"                       submit it once: for a day the same K " \
	"answers\n" \
	"                       the same id\n"

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
