/* SPDX-License-Identifier: ISC */
/*
 * filter.h - which tasks a command is for, when they are not named by id
 */
#ifndef GANGER_CLI_FILTER_H
#define GANGER_CLI_FILTER_H

#include <jansson.h>
#include <stddef.h>

#include "ipc/client/cli/cli.h"

enum {
	FILTER_OPT_STATE = CLI_OPT_OWN,
	FILTER_OPT_NAME,
	FILTER_OPT_SINCE,
	FILTER_OPT_UNTIL,
	FILTER_OPT_OTHER, /* the command's own options go on from here */
};

#define FILTER_SHORTS "q:"
/* clang-format off */
#define FILTER_LONGS \
	{"state", required_argument, NULL, FILTER_OPT_STATE}, \
	{"queue", required_argument, NULL, 'q'}, \
	{"name", required_argument, NULL, FILTER_OPT_NAME}, \
	{"since", required_argument, NULL, FILTER_OPT_SINCE}, \
	{"until", required_argument, NULL, FILTER_OPT_UNTIL}
/* clang-format on */
#define FILTER_HELP \
	"      --state S        only scheduled, ready, running, succeeded,\n" \
	"                       failed, cancelled, expired or quarantined\n" \
	"  -q, --queue QUEUE    only those of a queue\n" \
	"      --name NAME      only those of a name\n" \
	"      --since T        only those submitted then or later: RFC " \
	"3339,\n" \
	"                       or so long ago (30s, 5m, 1h, 2d)\n" \
	"      --until T        only those submitted before then\n"

/*
 * Put option `opt`, whose value is in optarg, into the filter, an object; exits
 * for a value that is none.
 */
void filter_set(const struct cli *cli, json_t *filter, int opt);

/*
 * The parameters of a method for tasks: {"ids": …} of n words, or, if there are
 * none, {"filter": …}, which is taken.  Exits for both at once, and for none.
 */
json_t *filter_params(
    const struct cli *cli, json_t *filter, char *const *words, size_t n);

/*
 * Call a method that does something to tasks, taking params, and tell how many
 * it was done to ("3 tasks DONE"), and to which it was not.  Returns the exit
 * status: EX_DATAERR if one that was named by id was skipped.
 */
int filter_apply(
    struct cli *cli, const char *method, json_t *params, const char *done);

#endif
