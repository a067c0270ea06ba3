/* SPDX-License-Identifier: ISC */
/*
 * cmd_map.c - run a task for each line of the input
 */
#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/map.h"
#include "ipc/client/cli/task_options.h"

#define JOBS_MAX 100000

enum {
	OPT_KEEP_GOING = TASK_OPT_OTHER,
	OPT_UNORDERED,
	OPT_AS,
};

static const struct option longs[] = {
    CLI_LONGS,
    TASK_LONGS,
    {"jobs", required_argument, NULL, 'j'},
    {"keep-going", no_argument, NULL, OPT_KEEP_GOING},
    {"unordered", no_argument, NULL, OPT_UNORDERED},
    {"as", required_argument, NULL, OPT_AS},
    {NULL, 0, NULL, 0},
};

/* Not the key of each task, but what theirs are made of. */
static void
set_key(struct cli *cli, struct map_spec *spec)
{
	task_options_set(cli, spec->task, TASK_OPT_IDEMPOTENCY_KEY);
	json_object_del(spec->task, "idempotency_key");
	spec->key = optarg;
}

static void
read_options(struct cli *cli, int argc, char **argv, struct map_spec *spec)
{
	int opt;

	while ((opt = cli_getopt(cli, argc, argv,
		    CLI_SHORTS TASK_SHORTS "j:", longs)) != -1) {
		if (opt == 'j')
			spec->jobs = (size_t)cli_number(
			    cli, "--jobs", optarg, 1, JOBS_MAX);
		else if (opt == OPT_KEEP_GOING)
			spec->keep_going = true;
		else if (opt == OPT_UNORDERED)
			spec->unordered = true;
		else if (opt == OPT_AS)
			spec->as = optarg;
		else if (opt == TASK_OPT_IDEMPOTENCY_KEY)
			set_key(cli, spec);
		else if (opt == TASK_OPT_UNIQUE)
			cli_usage(
			    cli, "--unique would make one task of all lines");
		else
			task_options_set(cli, spec->task, opt);
	}
}

static int
run(struct cli *cli, int argc, char **argv)
{
	struct map_spec spec = {0};
	int status;

	spec.task = json_object();
	read_options(cli, argc, argv, &spec);
	status = task_options_words(
	    cli, spec.task, argv + optind, argc > optind ? 1 : 0);
	if (status == 0) {
		spec.files = argv + optind + 1;
		spec.n_files = (size_t)(argc - optind - 1);
		status = map_run(cli, &spec);
	}
	json_decref(spec.task);
	return status;
}

const struct cmd cmd_map = {
    .name = "map",
    .usage = " [options] NAME [FILE ...]",
    .summary = "Run a task for each line of the input, print the results",
    .options =
	"Each line of the FILEs, or of standard input, is a JSON value, the\n"
	"args of one task; results are lines, in the order of the input.\n\n"
	"      --as KEY         lines are text: the args are {KEY: line}\n"
	"  -j, --jobs N         tasks under way at once; else twice as many "
	"as\n"
	"                       the daemon has threads\n"
	"      --unordered      print results as they come\n"
	"      --keep-going     print {\"error\": ...} for a task that "
	"failed,\n"
	"                       and go on; else it is the end\n" TASK_HELP
	"      --idempotency-key K\n"
	"                       the Nth line has the key K/N: run again with "
	"the\n"
	"                       same K, it does only what has not been "
	"done\n" TASK_HELP_END
	"\nCtrl-C cancels the tasks that have not started.\n",
    .run = run,
};
