/* SPDX-License-Identifier: ISC */
/*
 * queue_cmd.c - commands that do one thing to queues
 */
#include "ipc/client/cli/queue_cmd.h"

static const struct option longs[] = {
    CLI_LONGS,
    {NULL, 0, NULL, 0},
};

int
queue_cmd_run(struct cli *cli, int argc, char **argv, const char *method,
    void (*tell)(const char *queue, const json_t *result))
{
	json_t *params, *result;
	int i, status = 0;

	while (cli_getopt(cli, argc, argv, CLI_SHORTS, longs) != -1)
		;
	if (optind == argc)
		cli_usage(cli, "the name of a QUEUE is missing");
	for (i = optind; i < argc && status == 0; i++) {
		params = json_pack("{s:s}", "queue", argv[i]);
		if (params == NULL)
			cli_usage(cli, "QUEUE is not UTF-8");
		status = cli_request(cli, method, params, &result);
		if (status != 0)
			break;
		if (cli->json)
			cli_print_line(cli, result);
		else
			tell(argv[i], result);
		json_decref(result);
	}
	return status;
}
