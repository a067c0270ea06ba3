/* SPDX-License-Identifier: ISC */
/*
 * cmd_reload.c - have the daemon take up its configuration anew
 */
#include <stdio.h>
#include <string.h>

#include "ipc/buf.h"
#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/text.h"

static const struct option longs[] = {
    CLI_LONGS,
    {NULL, 0, NULL, 0},
};

static void
print_changes(const json_t *changed)
{
	const json_t *line;
	size_t i;

	if (json_array_size(changed) == 0)
		puts("nothing has changed");
	json_array_foreach(changed, i, line) {
		text_print_clean(stdout, json_string_value(line));
		putchar('\n');
	}
}

/* Warn of what was changed in the file and has to wait. */
static void
warn_of_restart(const struct cli *cli, const json_t *keys)
{
	const json_t *key;
	const char *name;
	struct buf b;
	size_t i;

	if (json_array_size(keys) == 0)
		return;
	buf_init(&b, SIZE_MAX);
	json_array_foreach(keys, i, key) {
		name = json_string_value(key);
		buf_adds(&b, i > 0 ? ", " : "");
		buf_adds(&b, name != NULL ? name : "?");
	}
	buf_addc(&b, '\0');
	if (buf_error(&b) < 0)
		cli_no_memory(cli);
	cli_warn(cli, "needs a restart of gangerd: %s", buf_head(&b));
	buf_done(&b);
}

static int
run(struct cli *cli, int argc, char **argv)
{
	json_t *answer;
	int status;

	while (cli_getopt(cli, argc, argv, CLI_SHORTS, longs) != -1)
		;
	cli_no_words(cli, argc);
	status = cli_request(cli, "server.reload", json_object(), &answer);
	if (status != 0)
		return status;
	if (cli->json)
		cli_print_line(cli, answer);
	else
		print_changes(json_object_get(answer, "changed"));
	warn_of_restart(cli, json_object_get(answer, "needs_restart"));
	json_decref(answer);
	return 0;
}

const struct cmd cmd_reload = {
    .name = "reload",
    .usage = "",
    .summary = "Have the daemon take up its configuration anew",
    .options = "Returns when all that runs follows the new configuration.\n"
	       "Exits with 78 when that was refused: the old one is kept.\n",
    .run = run,
};
