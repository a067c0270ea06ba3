/* SPDX-License-Identifier: ISC */
/*
 * spawn.c - fork a child and make it independent of the master
 *
 * The master has one thread and takes its signals from a descriptor, with all
 * of them blocked, so between the fork and the child's own set-up no handler
 * of the master can run in the child.
 */
#include "master/supervisor/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include <bsd/unistd.h>

#include "ipc/log.h"

/* Close all descriptors from 3 on but a and b. */
static void
close_others(int a, int b)
{
	unsigned low = (unsigned)(a < b ? a : b);
	unsigned high = (unsigned)(a < b ? b : a);
	unsigned from = 3;

	if (low >= from) {
		if (low > from)
			(void)close_range(from, low - 1, 0);
		from = low + 1;
	}
	if (high >= from) {
		if (high > from)
			(void)close_range(from, high - 1, 0);
		from = high + 1;
	}
	(void)close_range(from, ~0u, 0);
}

/* What is typed at the master's terminal is not for its children. */
static void
close_stdin(void)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0)
		return;
	(void)dup2(null, STDIN_FILENO);
	close(null);
}

int
spawn_take_account(const struct config_account *a)
{
	if (a == NULL || geteuid() != 0)
		return 0;
	if (a->gid != CONFIG_NO_GID) {
		if ((a->user != NULL ? initgroups(a->user, a->gid)
				     : setgroups(1, &a->gid)) < 0 ||
		    setgid(a->gid) < 0)
			return -errno;
	}
	if (a->uid != CONFIG_NO_UID && setuid(a->uid) < 0)
		return -errno;
	return 0;
}

static _Noreturn void
be_child(const struct spawn *s, pid_t master)
{
	int r;

	(void)setpgid(0, 0);
	close_others(s->keep_fd, log_fd());
	close_stdin();
	setproctitle("%s", s->title);
	log_set_name(s->title);
	/* Before the user is left who may lower it. */
	errno = 0;
	if (s->nice != 0 && nice(s->nice) == -1 && errno != 0)
		log_warn("nice %d: %s", s->nice, strerror(errno));
	r = spawn_take_account(s->account);
	if (r < 0) {
		log_error("can't become its user: %s", strerror(-r));
		exit(EX_NOPERM);
	}
	/* After setuid, which clears it. */
	(void)prctl(PR_SET_PDEATHSIG, s->death_signal);
	if (getppid() != master)
		exit(EX_UNAVAILABLE);
	exit(s->run(s->arg));
}

pid_t
spawn_child(const struct spawn *s)
{
	pid_t master = getpid(), pid;

	(void)fflush(NULL);
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0)
		be_child(s, master);
	/* Whoever is first: signals to the group may follow at once. */
	(void)setpgid(pid, pid);
	return pid;
}
