/* SPDX-License-Identifier: ISC */
/*
 * detach.c - go into the background, and tell the caller how the start went
 *
 * The caller stays as a reader of the daemon's standard error until the daemon
 * serves, so that messages of the start reach the terminal and nothing of the
 * daemon keeps the terminal, or a pipe in its place, open afterwards.
 */
#include "master/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

static int ready_fd = -1; /* to the caller that waits */

/* Copy what is there from fd to standard error.  False at its end. */
static bool
pass_on(int fd)
{
	char text[4096];
	ssize_t n;

	n = read(fd, text, sizeof(text));
	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	if (n > 0)
		(void)!write(STDERR_FILENO, text, (size_t)n);
	return n > 0;
}

/* Copy what has been written so far. */
static void
pass_on_rest(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	while (poll(&p, 1, 0) > 0 && pass_on(fd))
		continue;
}

/* In the caller: wait for the word of the daemon, and exit. */
static _Noreturn void
wait_for_word(pid_t pid, int word_fd, int text_fd)
{
	struct pollfd p[] = {
	    {.fd = word_fd, .events = POLLIN},
	    {.fd = text_fd, .events = POLLIN},
	};
	char word;
	int status;

	for (;;) {
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents != 0 && !pass_on(text_fd))
			p[1].fd = -1;
		if (p[0].revents == 0)
			continue;
		pass_on_rest(text_fd);
		if (read(word_fd, &word, 1) == 1)
			_exit(0);
		break;
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			_exit(EX_OSERR);
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		_exit(WEXITSTATUS(status));
	_exit(EX_UNAVAILABLE);
}

/* Let a standard descriptor lead nowhere. */
static void
close_terminal(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	(void)dup2(null, fd);
	close(null);
}

int
detach(void)
{
	int word[2], text[2], r;
	pid_t pid;

	if (pipe2(word, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(text, O_CLOEXEC) < 0) {
		r = -errno;
		goto err_word;
	}
	pid = fork();
	if (pid < 0) {
		r = -errno;
		goto err_text;
	}
	if (pid > 0) {
		close(word[1]);
		close(text[1]);
		wait_for_word(pid, word[0], text[0]);
	}
	(void)setsid();
	close(word[0]);
	close(text[0]);
	(void)dup2(text[1], STDERR_FILENO);
	(void)dup2(text[1], STDOUT_FILENO);
	close(text[1]);
	ready_fd = word[1];
	close_terminal(STDIN_FILENO);
	return 0;

err_text:
	close(text[0]);
	close(text[1]);
err_word:
	close(word[0]);
	close(word[1]);
	return r;
}

bool
detach_ready(void)
{
	if (ready_fd < 0)
		return false;
	/* The children that were started already write into the void. */
	close_terminal(STDOUT_FILENO);
	close_terminal(STDERR_FILENO);
	(void)!write(ready_fd, "", 1);
	close(ready_fd);
	ready_fd = -1;
	return true;
}
