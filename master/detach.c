/* SPDX-License-Identifier: ISC */
/*
 * detach.c - go into the background, and tell the caller how the start went
 *
 * The caller's input and output are let go of at once, for the children would
 * keep them open: who waits for the end of that output would wait for theirs.
 * Only a log that goes to standard error stays there, until the daemon serves.
 */
#include "master/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/log.h"

static int ready_fd = -1; /* to the parent that waits */

/* In the parent: wait for the word of the child, and exit. */
static _Noreturn void
wait_for_word(pid_t pid, int fd)
{
	char word;
	ssize_t n;
	int status;

	do
		n = read(fd, &word, 1);
	while (n < 0 && errno == EINTR);
	if (n == 1)
		_exit(0);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			_exit(EX_OSERR);
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		_exit(WEXITSTATUS(status));
	_exit(EX_UNAVAILABLE);
}

/* Put /dev/null in place of what the caller gave, up to descriptor last. */
static void
let_go(int last)
{
	int null, fd;

	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0)
		return;
	for (fd = STDIN_FILENO; fd <= last; fd++)
		(void)dup2(null, fd);
	close(null);
}

int
detach(void)
{
	int fds[2], r;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		r = -errno;
		close(fds[0]);
		close(fds[1]);
		return r;
	}
	if (pid > 0) {
		close(fds[1]);
		wait_for_word(pid, fds[0]);
	}
	close(fds[0]);
	(void)setsid();
	let_go(log_fd() == STDERR_FILENO ? STDOUT_FILENO : STDERR_FILENO);
	ready_fd = fds[1];
	return 0;
}

void
detach_ready(void)
{
	if (ready_fd < 0)
		return;
	let_go(STDERR_FILENO);
	(void)!write(ready_fd, "", 1);
	close(ready_fd);
	ready_fd = -1;
}
