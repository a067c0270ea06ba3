/* SPDX-License-Identifier: ISC */
/*
 * cmd_scale.c - change the number of a pool's processes
 */
#include <stdio.h>
#include <string.h>

#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/task_view.h"

#define PROCESSES_MAX 1024

static const struct option longs[] = {
    CLI_LONGS,
    {NULL, 0, NULL, 0},
};

/*
 * Take the first word that is a dash and digits, no option but a number, out
 * of argv; NULL: there is none.
 */
static char *
take_negative(int *argc, char **argv)
{
	char *word;
	int i;

	for (i = 1; i < *argc; i++) {
		word = argv[i];
		if (word[0] != '-' || word[1] == '\0' ||
		    word[1 + strspn(word + 1, "0123456789")] != '\0')
			continue;
		memmove(&argv[i], &argv[i + 1],
		    (size_t)(*argc - i) * sizeof(argv[0]));
		(*argc)--;
		return word;
	}
	return NULL;
}

static json_t *
pack_params(const struct cli *cli, const char *pool, const char *amount)
{
	json_int_t n;

	if (amount[0] == '-') {
		n = -cli_number(cli, "-N", amount + 1, 1, PROCESSES_MAX);
		return json_pack("{s:s,s:I}", "pool", pool, "by", n);
	}
	if (amount[0] == '+') {
		n = cli_number(cli, "+N", amount + 1, 1, PROCESSES_MAX);
		return json_pack("{s:s,s:I}", "pool", pool, "by", n);
	}
	n = cli_number(cli, "N", amount, 1, PROCESSES_MAX);
	return json_pack("{s:s,s:I}", "pool", pool, "processes", n);
}

static int
run(struct cli *cli, int argc, char **argv)
{
	const char *amount, *warning;
	json_t *answer;
	int64_t n;
	int status;

	amount = take_negative(&argc, argv);
	while (cli_getopt(cli, argc, argv, CLI_SHORTS, longs) != -1)
		;
	if (argc - optind != (amount == NULL ? 2 : 1))
		cli_usage(cli, "a pool and a number are wanted");
	if (amount == NULL)
		amount = argv[optind + 1];
	status = cli_request(
	    cli, "pool.scale", pack_params(cli, argv[optind], amount), &answer);
	if (status != 0)
		return status;
	n = task_view_number(answer, "processes");
	warning = task_view_text(answer, "warning");
	if (cli->json)
		cli_print_line(cli, answer);
	else
		printf("%s: %jd process%s\n", argv[optind], (intmax_t)n,
		    n == 1 ? "" : "es");
	if (warning[0] != '\0')
		cli_warn(cli, "%s", warning);
	json_decref(answer);
	return 0;
}

const struct cmd cmd_scale = {
    .name = "scale",
    .usage = " POOL N|+N|-N",
    .summary = "Change the number of a pool's processes",
    .options = "N is the number to be, +N and -N are how many more or fewer.\n"
	       "It holds until a reload that changes the pool's size.\n",
    .run = run,
};
