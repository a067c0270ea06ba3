/* SPDX-License-Identifier: ISC */
/*
 * cli.c - what the commands share
 */
#include "ipc/client/cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <bsd/stdlib.h>
#include <bsd/string.h>

#include "ipc/buf.h"
#include "ipc/client/cli/duration.h"
#include "ipc/client/cli/fail.h"
#include "ipc/client/cli/text.h"

/* Print a message with one write, made fit for a terminal. */
static void
vwarn(const struct cli *cli, const char *fmt, va_list ap)
{
	struct buf line;
	char *text;

	if (vasprintf(&text, fmt, ap) < 0)
		text = NULL;
	buf_init(&line, SIZE_MAX);
	buf_adds(&line, "ganger: ");
	if (cli->cmd != NULL)
		buf_printf(&line, "%s: ", cli->cmd->name);
	text_add_clean(&line, text != NULL ? text : "out of memory");
	buf_addc(&line, '\n');
	/* What was printed before belongs in front. */
	fflush(stdout);
	fwrite(buf_head(&line), 1, buf_len(&line), stderr);
	buf_done(&line);
	free(text);
}

void
cli_warn(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vwarn(cli, fmt, ap);
	va_end(ap);
}

void
cli_usage(const struct cli *cli, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vwarn(cli, fmt, ap);
	va_end(ap);
	if (cli->cmd != NULL)
		fprintf(stderr,
		    "usage: ganger %s%s\n"
		    "\"ganger %s -h\" says more\n",
		    cli->cmd->name, cli->cmd->usage, cli->cmd->name);
	else
		fputs("\"ganger -h\" lists the commands\n", stderr);
	exit(EX_USAGE);
}

void
cli_no_memory(const struct cli *cli)
{
	cli_warn(cli, "out of memory");
	exit(EX_OSERR);
}

static _Noreturn void
print_help(const struct cmd *cmd)
{
	printf("usage: ganger [-s SOCKET] [--json] %s%s\n\n%s.\n", cmd->name,
	    cmd->usage, cmd->summary);
	if (cmd->options[0] != '\0')
		printf("\n%s", cmd->options);
	exit(fflush(stdout) == 0 ? 0 : EX_IOERR);
}

int
cli_getopt(struct cli *cli, int argc, char **argv, const char *shorts,
    const struct option *longs)
{
	int opt;

	opterr = 0;
	for (;;) {
		opt = getopt_long(argc, argv, shorts, longs, NULL);
		switch (opt) {
		case 'h':
			if (cli->cmd == NULL)
				return opt;
			print_help(cli->cmd);
		case 's':
			cli->socket = optarg;
			break;
		case CLI_OPT_JSON:
			cli->json = true;
			break;
		case CLI_OPT_RECONNECT:
			cli->reconnect_ms =
			    cli_duration(cli, "--reconnect", optarg);
			break;
		case ':':
			cli_usage(cli, "%s needs a value", argv[optind - 1]);
		case '?':
			/* Only a letter is told in optopt, not its word. */
			if (optopt > 0 && optopt < CLI_OPT_JSON)
				cli_usage(cli, "no such option: -%c", optopt);
			cli_usage(cli, "no such option: %s", argv[optind - 1]);
		default:
			return opt;
		}
	}
}

int64_t
cli_number(const struct cli *cli, const char *what, const char *text,
    int64_t min, int64_t max)
{
	const char *why;
	int64_t n;

	n = strtonum(text, min, max, &why);
	if (why != NULL)
		cli_usage(cli, "%s: \"%s\" is no whole number from %jd to %jd",
		    what, text, (intmax_t)min, (intmax_t)max);
	return n;
}

int64_t
cli_duration(const struct cli *cli, const char *what, const char *text)
{
	int64_t ms;
	int r;

	r = duration_parse(text, &ms);
	if (r == -ERANGE)
		cli_usage(cli, "%s: \"%s\" is too long", what, text);
	if (r < 0)
		cli_usage(cli,
		    "%s: \"%s\" is no duration, such as 250ms, 30s, 5m, 1h "
		    "or 2d",
		    what, text);
	return ms;
}

uint64_t *
cli_ids(const struct cli *cli, char *const *words, size_t n)
{
	uint64_t *ids;
	size_t i;

	ids = calloc(n, sizeof(*ids));
	if (ids == NULL)
		cli_no_memory(cli);
	for (i = 0; i < n; i++)
		ids[i] =
		    (uint64_t)cli_number(cli, "ID", words[i], 0, INT64_MAX);
	return ids;
}

json_t *
cli_pack_ids(const struct cli *cli, const uint64_t *ids, size_t n)
{
	json_t *list;
	size_t i;

	list = json_array();
	for (i = 0; i < n; i++)
		if (json_array_append_new(
			list, json_integer((json_int_t)ids[i])) < 0)
			cli_no_memory(cli);
	if (list == NULL)
		cli_no_memory(cli);
	return list;
}

void
cli_no_words(const struct cli *cli, int argc)
{
	if (optind < argc)
		cli_usage(cli, "nothing but options is wanted");
}

int
cli_connect(struct cli *cli)
{
	int r;

	if (cli->client != NULL)
		return 0;
	r = 0;
	if (cli->socket == NULL)
		r = ganger_client_default_path(cli->path, sizeof(cli->path));
	else if (strlcpy(cli->path, cli->socket, sizeof(cli->path)) >=
		 sizeof(cli->path))
		r = -ENAMETOOLONG;
	if (r == 0)
		r = ganger_client_open(cli->path, &cli->client);
	if (r < 0)
		return fail_connect(cli, r);
	ganger_client_set_reconnect(cli->client, cli->reconnect_ms);
	return 0;
}

int
cli_request(
    struct cli *cli, const char *method, json_t *params, json_t **result_out)
{
	struct ganger_error err;
	int r;

	r = cli_connect(cli);
	if (r != 0) {
		json_decref(params);
		return r;
	}
	r = ganger_client_request(
	    cli->client, method, params, result_out, &err);
	return r < 0 ? fail_call(cli, r, &err) : 0;
}

static void
print_value(const struct cli *cli, const json_t *value, size_t flags)
{
	if (json_dumpf(value, stdout, flags | JSON_ENCODE_ANY) < 0 &&
	    !ferror(stdout))
		cli_no_memory(cli);
	putchar('\n');
}

void
cli_print_json(const struct cli *cli, const json_t *value)
{
	print_value(cli, value,
	    cli->out_tty && !cli->json ? JSON_INDENT(2) : JSON_COMPACT);
}

void
cli_print_line(const struct cli *cli, const json_t *value)
{
	print_value(cli, value, JSON_COMPACT);
}

void
cli_print_table(const struct cli *cli, struct table *t, unsigned indent)
{
	size_t width;

	width = cli->out_tty ? term_width(STDOUT_FILENO) : 0;
	if (table_print(t, stdout, indent, cli->out_colour, width) < 0)
		cli_no_memory(cli);
	table_done(t);
}
