/* SPDX-License-Identifier: ISC */
/*
 * cmd_retry.c - run tasks again that have ended without success
 */
#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/filter.h"

enum { OPT_FAILED = FILTER_OPT_OTHER };

static const struct option longs[] = {
    CLI_LONGS,
    FILTER_LONGS,
    {"failed", no_argument, NULL, OPT_FAILED},
    {NULL, 0, NULL, 0},
};

static void
set_failed(const struct cli *cli, json_t *filter)
{
	if (json_object_set_new(filter, "state", json_string("failed")) < 0)
		cli_no_memory(cli);
}

static int
run(struct cli *cli, int argc, char **argv)
{
	json_t *filter;
	int opt;

	filter = json_object();
	while ((opt = cli_getopt(
		    cli, argc, argv, CLI_SHORTS FILTER_SHORTS, longs)) != -1) {
		if (opt == OPT_FAILED)
			set_failed(cli, filter);
		else
			filter_set(cli, filter, opt);
	}
	if (json_object_size(filter) > 0 &&
	    json_object_get(filter, "state") == NULL)
		cli_usage(cli, "--failed, or a --state, is missing");
	return filter_apply(cli, "task.retry",
	    filter_params(cli, filter, argv + optind, (size_t)(argc - optind)),
	    "made ready again");
}

const struct cmd cmd_retry = {
    .name = "retry",
    .usage = " ID ... | --failed [OPTIONS]",
    .summary = "Run tasks again that have failed",
    .options = "Instead of IDs, all tasks that fit:\n"
	       "      --failed         the same as --state failed\n" FILTER_HELP
	       "\nExits with 65 when one of the IDs can't be run again.\n",
    .run = run,
};
