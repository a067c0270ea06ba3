/* SPDX-License-Identifier: ISC */
/*
 * cmd_ping.c - see whether the daemon answers, and how fast
 */
#include <stdio.h>

#include "ipc/client/cli/cli.h"
#include "ipc/clock.h"

static const struct option longs[] = {
    CLI_LONGS,
    {NULL, 0, NULL, 0},
};

static int
run(struct cli *cli, int argc, char **argv)
{
	struct mono start;
	json_t *pong;
	double ms;
	int status;

	while (cli_getopt(cli, argc, argv, CLI_SHORTS, longs) != -1)
		;
	cli_no_words(cli, argc);
	status = cli_connect(cli);
	if (status != 0)
		return status;
	start = mono_now();
	status = cli_request(cli, "server.ping", json_object(), &pong);
	if (status != 0)
		return status;
	ms = (double)(mono_now().ns - start.ns) / 1e6;
	json_decref(pong);
	if (cli->json)
		printf("{\"ms\":%.3f}\n", ms);
	else
		printf("%s answers in %.3f ms\n", cli->path, ms);
	return 0;
}

const struct cmd cmd_ping = {
    .name = "ping",
    .usage = "",
    .summary = "See whether the daemon answers, and how fast",
    .options = "",
    .run = run,
};
