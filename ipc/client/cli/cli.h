/* SPDX-License-Identifier: ISC */
/*
 * cli.h - what the commands share: options, the connection, output
 *
 * A function that fails prints why, as "ganger: COMMAND: …" on stderr, and
 * returns the status to exit with: sysexits(3), and those below.
 */
#ifndef GANGER_CLI_CLI_H
#define GANGER_CLI_CLI_H

#include <getopt.h>
#include <jansson.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sysexits.h>

#include "ipc/client/cli/cmd.h"
#include "ipc/client/cli/table.h"
#include "ipc/client/client.h"

#define CLI_TASK_FAILED    1
#define CLI_SIGNALLED(sig) (128 + (sig))

/* Options that every command has; they start its own lists of them. */
#define CLI_SHORTS ":hs:"
/* clang-format off */
#define CLI_LONGS \
	{"help", no_argument, NULL, 'h'}, \
	{"socket", required_argument, NULL, 's'}, \
	{"json", no_argument, NULL, CLI_OPT_JSON}, \
	{"reconnect", required_argument, NULL, CLI_OPT_RECONNECT}
/* clang-format on */
enum { CLI_OPT_JSON = 256, CLI_OPT_RECONNECT, CLI_OPT_OWN };

struct cli {
	const struct cmd *cmd; /* NULL until it is known */
	const char *socket;    /* as given with -s, or NULL */
	char path[PATH_MAX];   /* of the socket, once connected */
	bool json;
	int64_t reconnect_ms; /* how long to look for a daemon that went away */
	bool out_tty;
	bool err_capable; /* stderr is a terminal that obeys sequences */
	bool out_colour, err_colour;
	struct ganger_client *client; /* owned; NULL until connected */
};

/*
 * Print "ganger: COMMAND: message" on stderr, with no control characters in it,
 * whoever wrote the message.
 */
void cli_warn(const struct cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Print the message and how to get help, and exit with EX_USAGE. */
_Noreturn void cli_usage(const struct cli *cli, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Exit for want of memory. */
_Noreturn void cli_no_memory(const struct cli *cli);

/*
 * getopt_long for a command: deals with the options that all have, and with
 * mistakes; returns the command's own, or -1 at the end.
 */
int cli_getopt(struct cli *cli, int argc, char **argv, const char *shorts,
    const struct option *longs);

/* The value of an option as a number, a duration, an id; or exit as usage. */
int64_t cli_number(const struct cli *cli, const char *what, const char *text,
    int64_t min, int64_t max);
int64_t cli_duration(const struct cli *cli, const char *what, const char *text);

/* The n words as ids of tasks: a new array that the caller frees. */
uint64_t *cli_ids(const struct cli *cli, char *const *words, size_t n);

/* The ids as a new array; exits when there is no memory. */
json_t *cli_pack_ids(const struct cli *cli, const uint64_t *ids, size_t n);

/* Exit as usage unless the options were all that there is. */
void cli_no_words(const struct cli *cli, int argc);

/* Connect to the daemon, once.  0, or the exit status. */
int cli_connect(struct cli *cli);

/* Call a method, taking params.  0 and a new *result_out, or the status. */
int cli_request(
    struct cli *cli, const char *method, json_t *params, json_t **result_out);

/* Print a value on stdout: a line, or indented on a terminal without --json. */
void cli_print_json(const struct cli *cli, const json_t *value);

/* Print a value as one line. */
void cli_print_line(const struct cli *cli, const json_t *value);

/* Print a table on stdout, indented by so many blanks, and release it. */
void cli_print_table(const struct cli *cli, struct table *t, unsigned indent);

#endif
