/* SPDX-License-Identifier: ISC */
/*
 * interrupt.c - the first Ctrl-C is an event, the second one the end
 *
 * The handler writes to a pipe, so that whoever polls wakes up, however close
 * the signal was.  SA_RESTART is not set: a write to a full pipe is left, too.
 */
#include "ipc/client/cli/interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static const int caught[] = {SIGINT, SIGTERM, SIGHUP};
#define N_CAUGHT (sizeof(caught) / sizeof(caught[0]))

static struct sigaction before[N_CAUGHT];
static int pipe_fds[2] = {-1, -1};
static volatile sig_atomic_t came;

static void
restore_all(void)
{
	size_t i;

	for (i = 0; i < N_CAUGHT; i++)
		sigaction(caught[i], &before[i], NULL);
}

static void
on_signal(int sig)
{
	int saved = errno;

	came = sig;
	restore_all();
	(void)!write(pipe_fds[1], "", 1);
	errno = saved;
}

int
interrupt_open(void)
{
	struct sigaction sa = {.sa_handler = on_signal};
	size_t i;

	if (pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	sigfillset(&sa.sa_mask);
	for (i = 0; i < N_CAUGHT; i++)
		sigaction(caught[i], NULL, &before[i]);
	for (i = 0; i < N_CAUGHT; i++)
		if (before[i].sa_handler != SIG_IGN)
			sigaction(caught[i], &sa, NULL);
	return 0;
}

void
interrupt_close(void)
{
	if (pipe_fds[0] < 0)
		return;
	restore_all();
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	pipe_fds[0] = pipe_fds[1] = -1;
}

int
interrupt_fd(void)
{
	return pipe_fds[0];
}

int
interrupt_signal(void)
{
	return came;
}
