/* SPDX-License-Identifier: ISC */
/*
 * cmd_dump.c - print the stacks of a worker's threads
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/task_view.h"
#include "ipc/client/cli/text.h"

static const struct option longs[] = {
    CLI_LONGS,
    {NULL, 0, NULL, 0},
};

/* Print text line by line: what is in a line is the worker's. */
static void
print_text(const struct cli *cli, const char *text)
{
	char *copy, *rest, *line;

	copy = strdup(text);
	if (copy == NULL)
		cli_no_memory(cli);
	rest = copy;
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (rest == NULL && line[0] == '\0')
			break;
		text_print_clean(stdout, line);
		putchar('\n');
	}
	free(copy);
}

static int
run(struct cli *cli, int argc, char **argv)
{
	json_t *answer;
	int status;

	while (cli_getopt(cli, argc, argv, CLI_SHORTS, longs) != -1)
		;
	if (argc - optind != 1)
		cli_usage(cli, "a worker is wanted");
	status = cli_request(cli, "worker.dump",
	    json_pack("{s:s}", "worker", argv[optind]), &answer);
	if (status != 0)
		return status;
	if (cli->json)
		cli_print_line(cli, answer);
	else
		print_text(cli, task_view_text(answer, "text"));
	json_decref(answer);
	return 0;
}

const struct cmd cmd_dump = {
    .name = "dump",
    .usage = " POOL/N",
    .summary = "Print the stacks of a worker's threads",
    .options = "The worker goes on; \"ganger workers\" names it.\n",
    .run = run,
};
