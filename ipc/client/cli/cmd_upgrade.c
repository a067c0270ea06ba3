/* SPDX-License-Identifier: ISC */
/*
 * cmd_upgrade.c - have the daemon replace its running binary
 */
#include <stdio.h>

#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/task_view.h"
#include "ipc/client/cli/text.h"

static const struct option longs[] = {
    CLI_LONGS,
    {NULL, 0, NULL, 0},
};

static int
run(struct cli *cli, int argc, char **argv)
{
	json_t *answer;
	int status;

	while (cli_getopt(cli, argc, argv, CLI_SHORTS, longs) != -1)
		;
	cli_no_words(cli, argc);
	status = cli_request(cli, "server.upgrade", json_object(), &answer);
	if (status != 0)
		return status;
	if (cli->json) {
		cli_print_line(cli, answer);
	} else {
		fputs("version ", stdout);
		text_print_clean(stdout, task_view_text(answer, "version"));
		printf(" runs, pid %jd\n",
		    (intmax_t)task_view_number(answer, "pid"));
	}
	json_decref(answer);
	return 0;
}

const struct cmd cmd_upgrade = {
    .name = "upgrade",
    .usage = "",
    .summary = "Have the daemon replace its running binary",
    .options = "Process id, workers, tasks and connections are kept.  Returns "
	       "when every\nprocess runs the binary that is installed now.\n",
    .run = run,
};
