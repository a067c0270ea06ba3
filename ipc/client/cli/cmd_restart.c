/* SPDX-License-Identifier: ISC */
/*
 * cmd_restart.c - replace the workers of a pool, or of all, a few at a time
 */
#include <stdio.h>

#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/text.h"

static const struct option longs[] = {
    CLI_LONGS,
    {NULL, 0, NULL, 0},
};

static void
print_pools(const json_t *pools)
{
	const json_t *pool;
	size_t i;

	json_array_foreach(pools, i, pool) {
		text_print_clean(stdout, json_string_value(pool));
		puts(": all workers are new");
	}
}

static int
run(struct cli *cli, int argc, char **argv)
{
	json_t *params, *answer;
	int status;

	while (cli_getopt(cli, argc, argv, CLI_SHORTS, longs) != -1)
		;
	if (argc - optind > 1)
		cli_usage(cli, "one pool at most is wanted");
	params = optind == argc ? json_object()
				: json_pack("{s:s}", "pool", argv[optind]);
	status = cli_request(cli, "pool.restart", params, &answer);
	if (status != 0)
		return status;
	if (cli->json)
		cli_print_line(cli, answer);
	else
		print_pools(json_object_get(answer, "pools"));
	json_decref(answer);
	return 0;
}

const struct cmd cmd_restart = {
    .name = "restart",
    .usage = " [POOL]",
    .summary = "Replace the workers of a pool, or of all pools",
    .options = "A few at a time, each when it has finished its tasks; returns "
	       "when all are new.\n",
    .run = run,
};
