/* SPDX-License-Identifier: ISC */
/*
 * cmd_delete.c - forget tasks that have ended
 */
#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/filter.h"

static const struct option longs[] = {
    CLI_LONGS,
    FILTER_LONGS,
    {NULL, 0, NULL, 0},
};

static int
run(struct cli *cli, int argc, char **argv)
{
	json_t *filter;
	int opt;

	filter = json_object();
	while ((opt = cli_getopt(
		    cli, argc, argv, CLI_SHORTS FILTER_SHORTS, longs)) != -1)
		filter_set(cli, filter, opt);
	return filter_apply(cli, "task.delete",
	    filter_params(cli, filter, argv + optind, (size_t)(argc - optind)),
	    "deleted");
}

const struct cmd cmd_delete = {
    .name = "delete",
    .usage = " ID ... | OPTIONS",
    .summary = "Forget tasks that have ended, before their time",
    .options = "Instead of IDs, all ended tasks that fit:\n" FILTER_HELP
	       "\nExits with 65 when one of the IDs has not ended.\n",
    .run = run,
};
