/* SPDX-License-Identifier: ISC */
/*
 * fail.c - failed calls as messages and exit statuses
 */
#include "ipc/client/cli/fail.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/client/cli/format.h"
#include "ipc/client/cli/text.h"
#include "ipc/proto.h"

#define SYSTEM_SOCKET RUNDIR "/ganger/ganger.sock"

static void
hint_no_daemon(const struct cli *cli)
{
	if (cli->socket == NULL && strcmp(cli->path, SYSTEM_SOCKET) != 0 &&
	    access(SYSTEM_SOCKET, F_OK) == 0)
		cli_warn(cli, "the system's daemon has %s: name it with -s",
		    SYSTEM_SOCKET);
	else
		cli_warn(cli, "start gangerd, or name its socket with -s or "
			      "$GANGER_SOCKET");
}

int
fail_connect(const struct cli *cli, int r)
{
	switch (-r) {
	case EDESTADDRREQ:
		cli_warn(cli,
		    "no socket is known: neither $GANGER_SOCKET nor "
		    "$XDG_RUNTIME_DIR nor $HOME is set; name it with -s");
		return EX_UNAVAILABLE;
	case ENAMETOOLONG:
		cli_warn(cli, "the socket's path is too long: %s", cli->path);
		return EX_USAGE;
	case EACCES:
	case EPERM:
		cli_warn(cli, "not permitted to use %s: %s", cli->path,
		    strerror(-r));
		cli_warn(cli, "who may is set by socket_mode and socket_group "
			      "in ganger.conf(5)");
		return EX_NOPERM;
	case ENOMEM:
		cli_no_memory(cli);
	default:
		cli_warn(cli, "no daemon at %s: %s", cli->path, strerror(-r));
		hint_no_daemon(cli);
		return EX_UNAVAILABLE;
	}
}

int
fail_status(const struct ganger_error *err)
{
	switch (err->code) {
	case RPC_TASK_FAILED:
		return CLI_TASK_FAILED;
	case RPC_NOT_PERMITTED:
		return EX_NOPERM;
	case RPC_RATE_LIMITED:
	case RPC_QUEUE_FULL:
	case RPC_DRAINING:
	case RPC_TIMED_OUT:
		return EX_TEMPFAIL;
	default:
		break;
	}
	if (json_is_true(json_object_get(err->data, "retryable")))
		return EX_TEMPFAIL;
	switch (err->code) {
	case RPC_REFUSED:
		return EX_CONFIG;
	case RPC_METHOD_NOT_FOUND:
	case RPC_INTERNAL_ERROR:
	case RPC_STORAGE:
		return EX_SOFTWARE;
	default:
		return EX_DATAERR;
	}
}

/* The mistakes of a configuration, each "FILE:LINE: message". */
static void
print_mistakes(const json_t *mistakes)
{
	const json_t *mistake;
	size_t i;

	fflush(stdout);
	json_array_foreach(mistakes, i, mistake) {
		if (!json_is_string(mistake))
			continue;
		text_print_clean(stderr, json_string_value(mistake));
		putc('\n', stderr);
	}
}

/* The daemon's message, and what its data adds for the user. */
static int
fail_remote(const struct cli *cli, struct ganger_error *err)
{
	char span[FORMAT_SIZE];
	const char *param;
	json_t *after;
	int status;

	param = json_string_value(json_object_get(err->data, "param"));
	if (param != NULL && strstr(err->message, param) != NULL)
		param = NULL;
	after = json_object_get(err->data, "retry_after_ms");
	cli_warn(cli, "%s%s%s%s%s%s", err->message,
	    param != NULL ? " (parameter " : "", param != NULL ? param : "",
	    param != NULL ? ")" : "",
	    json_is_integer(after) ? "; try again in " : "",
	    json_is_integer(after)
		? format_span(json_integer_value(after), span)
		: "");
	print_mistakes(json_object_get(err->data, "mistakes"));
	status = fail_status(err);
	ganger_error_done(err);
	return status;
}

int
fail_call(const struct cli *cli, int r, struct ganger_error *err)
{
	if (r == -EREMOTEIO && err != NULL)
		return fail_remote(cli, err);
	switch (-r) {
	case EPIPE:
	case ECONNRESET:
		cli_warn(
		    cli, "the daemon at %s closed the connection", cli->path);
		return EX_UNAVAILABLE;
	case EPROTO:
		cli_warn(cli, "what answers at %s does not speak the protocol",
		    cli->path);
		return EX_SOFTWARE;
	case EMSGSIZE:
		cli_warn(cli, "the request is over the daemon's max_message");
		return EX_DATAERR;
	case ETIMEDOUT:
		cli_warn(cli, "the daemon at %s does not answer", cli->path);
		return EX_TEMPFAIL;
	case ENOMEM:
		cli_no_memory(cli);
	default:
		cli_warn(cli, "%s", strerror(-r));
		return EX_SOFTWARE;
	}
}
