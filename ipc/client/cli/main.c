/* SPDX-License-Identifier: ISC */
/*
 * main.c - ganger, the command line of a Ganger daemon
 *
 * Finds the command in the table and runs it.  A command that succeeded has
 * still failed when its output could not be written.
 */
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/term.h"

static const struct cmd *const cmds[] = {
    &cmd_submit,
    &cmd_call,
    &cmd_map,
    &cmd_wait,
    &cmd_result,
    &cmd_show,
    &cmd_cancel,
    &cmd_retry,
    &cmd_delete,
    &cmd_tasks,
    &cmd_queues,
    &cmd_pause,
    &cmd_resume,
    &cmd_purge,
    &cmd_workers,
    &cmd_status,
    &cmd_ping,
    &cmd_scale,
    &cmd_restart,
    &cmd_dump,
    &cmd_reload,
    &cmd_upgrade,
    &cmd_stop,
};
#define N_CMDS (sizeof(cmds) / sizeof(cmds[0]))

static const struct cmd *
find_cmd(const char *name)
{
	size_t i;

	for (i = 0; i < N_CMDS; i++)
		if (strcmp(cmds[i]->name, name) == 0)
			return cmds[i];
	return NULL;
}

static _Noreturn void
print_help(void)
{
	size_t i;

	puts("usage: ganger [-s SOCKET] [--json] COMMAND ...\n");
	for (i = 0; i < N_CMDS; i++)
		printf("  %-8s  %s\n", cmds[i]->name, cmds[i]->summary);
	puts("\n  -s, --socket SOCKET  the daemon's socket; else "
	     "$GANGER_SOCKET, else the usual one\n"
	     "      --json           one JSON document a line\n"
	     "      --reconnect D    look so long for a daemon that went away; "
	     "else 30s\n"
	     "  -V, --version        the version\n"
	     "  -h, --help           this; after a COMMAND, its own help");
	exit(fflush(stdout) == 0 ? 0 : EX_IOERR);
}

/*
 * Fill the standard descriptors that are closed, so that the socket does not
 * get their number.  For reading only: what is printed there fails as it would.
 */
static void
fill_descriptors(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDONLY);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* Read the options before the command; returns the index of its name. */
static int
read_options(struct cli *cli, int argc, char **argv)
{
	static const struct option longs[] = {
	    {"version", no_argument, NULL, 'V'},
	    {"help", no_argument, NULL, 'h'},
	    {"socket", required_argument, NULL, 's'},
	    {"json", no_argument, NULL, CLI_OPT_JSON},
	    {"reconnect", required_argument, NULL, CLI_OPT_RECONNECT},
	    {NULL, 0, NULL, 0},
	};
	int opt;

	while ((opt = cli_getopt(cli, argc, argv, "+:hs:V", longs)) != -1) {
		if (opt == 'h')
			print_help();
		puts("ganger " GANGER_VERSION);
		exit(fflush(stdout) == 0 ? 0 : EX_IOERR);
	}
	return optind;
}

int
main(int argc, char **argv)
{
	struct cli cli = {.reconnect_ms = GANGER_CLIENT_RECONNECT_MS};
	int at, status;

	fill_descriptors();
	setlocale(LC_CTYPE, "");
	cli.out_tty = isatty(STDOUT_FILENO);
	cli.out_colour = term_has_colour(STDOUT_FILENO);
	cli.err_capable = term_is_capable(STDERR_FILENO);
	cli.err_colour = term_has_colour(STDERR_FILENO);

	at = read_options(&cli, argc, argv);
	if (at == argc)
		cli_usage(&cli, "a command is missing");
	cli.cmd = find_cmd(argv[at]);
	if (cli.cmd == NULL)
		cli_usage(&cli, "no such command: %s", argv[at]);
	optind = 0; /* start anew, at the command's words */
	status = cli.cmd->run(&cli, argc - at, argv + at);
	ganger_client_close(cli.client);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		cli_warn(&cli, "standard output: %s", strerror(errno));
		return EX_IOERR;
	}
	return status;
}
