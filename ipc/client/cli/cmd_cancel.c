/* SPDX-License-Identifier: ISC */
/*
 * cmd_cancel.c - cancel tasks
 */
#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/filter.h"

enum { OPT_FORCE = FILTER_OPT_OTHER };

static const struct option longs[] = {
    CLI_LONGS,
    FILTER_LONGS,
    {"force", no_argument, NULL, OPT_FORCE},
    {NULL, 0, NULL, 0},
};

static int
run(struct cli *cli, int argc, char **argv)
{
	json_t *filter, *params;
	bool force = false;
	int opt;

	filter = json_object();
	while ((opt = cli_getopt(
		    cli, argc, argv, CLI_SHORTS FILTER_SHORTS, longs)) != -1) {
		if (opt == OPT_FORCE)
			force = true;
		else
			filter_set(cli, filter, opt);
	}
	params =
	    filter_params(cli, filter, argv + optind, (size_t)(argc - optind));
	if (force && json_object_set_new(params, "force", json_true()) < 0)
		cli_no_memory(cli);
	return filter_apply(cli, "task.cancel", params, "cancelled");
}

const struct cmd cmd_cancel = {
    .name = "cancel",
    .usage = " [--force] ID ... | OPTIONS",
    .summary = "Cancel tasks; one that runs is asked to end",
    .options = "      --force          kill those that run and do not end by "
	       "themselves\n\n"
	       "Instead of IDs, all tasks that fit:\n" FILTER_HELP
	       "\nExits with 65 when one could not be cancelled.\n",
    .run = run,
};
