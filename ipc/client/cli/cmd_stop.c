/* SPDX-License-Identifier: ISC */
/*
 * cmd_stop.c - stop the daemon, and wait until it is gone
 *
 * The connection ends with the broker; the master, which is the last to go, is
 * watched through a pidfd.  It is the process that listens on the socket: its
 * number, as the kernel has it, must be the one that the daemon tells, which it
 * is not across pid namespaces; then the end of the connection has to do.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "ipc/client/cli/cli.h"
#include "ipc/client/cli/fail.h"
#include "ipc/client/cli/interrupt.h"
#include "ipc/client/cli/task_view.h"
#include "ipc/sock.h"

enum { OPT_NOW = CLI_OPT_OWN, OPT_NO_WAIT };

static const struct option longs[] = {
    CLI_LONGS,
    {"now", no_argument, NULL, OPT_NOW},
    {"no-wait", no_argument, NULL, OPT_NO_WAIT},
    {NULL, 0, NULL, 0},
};

/* A descriptor that is readable once the master is gone, or -1. */
static int
open_master(struct cli *cli)
{
	struct sock_cred cred;
	json_t *info;
	int64_t pid;
	int r;

	r = ganger_client_request(
	    cli->client, "server.info", json_object(), &info, NULL);
	if (r < 0)
		return -1;
	pid = task_view_number(info, "pid");
	json_decref(info);
	if (sock_peer_cred(ganger_client_fd(cli->client), &cred) < 0 ||
	    cred.pid != pid || pid <= 0)
		return -1;
	return pidfd_open(cred.pid, 0);
}

/* Wait until fd shows one of the events: 0, or the signal's status. */
static int
wait_for(int fd, short events)
{
	struct pollfd fds[2] = {
	    {.fd = fd, .events = events},
	    {.fd = interrupt_fd(), .events = POLLIN},
	};

	for (;;) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			return EX_OSERR;
		if (interrupt_signal() != 0)
			return CLI_SIGNALLED(interrupt_signal());
		if (fds[0].revents != 0)
			return 0;
	}
}

static int
wait_until_gone(struct cli *cli, int master_fd)
{
	int r, status;

	r = interrupt_open();
	if (r < 0)
		return fail_call(cli, r, NULL);
	status = wait_for(ganger_client_fd(cli->client), POLLRDHUP);
	if (status == 0 && master_fd >= 0)
		status = wait_for(master_fd, POLLIN);
	interrupt_close();
	return status;
}

static int
run(struct cli *cli, int argc, char **argv)
{
	const char *mode = "graceful";
	bool wait = true;
	json_t *answer;
	int master_fd, opt, status;

	while ((opt = cli_getopt(cli, argc, argv, CLI_SHORTS, longs)) != -1) {
		if (opt == OPT_NOW)
			mode = "quick";
		else
			wait = false;
	}
	cli_no_words(cli, argc);
	status = cli_connect(cli);
	if (status != 0)
		return status;
	master_fd = wait ? open_master(cli) : -1;
	status = cli_request(
	    cli, "server.stop", json_pack("{s:s}", "mode", mode), &answer);
	if (status == 0) {
		if (cli->json)
			cli_print_line(cli, answer);
		json_decref(answer);
		if (wait)
			status = wait_until_gone(cli, master_fd);
	}
	if (master_fd >= 0)
		close(master_fd);
	return status;
}

const struct cmd cmd_stop = {
    .name = "stop",
    .usage = " [--now] [--no-wait]",
    .summary = "Stop the daemon, and wait until it is gone",
    .options = "      --now            cancel what runs instead of waiting "
	       "for it\n"
	       "      --no-wait        return at once\n",
    .run = run,
};
