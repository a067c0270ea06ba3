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

#include "ipc/log.h"
#include "master/supervisor/limits.h"
#include "master/supervisor/notify.h"
#include "master/supervisor/output.h"
#include "master/supervisor/title.h"

static int
fd_cmp(const void *a, const void *b)
{
	const int *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Close all descriptors from 3 on but those n, which are put into order. */
static void
close_others(int *keep, size_t n)
{
	unsigned from = STDERR_FILENO + 1;
	size_t i;

	qsort(keep, n, sizeof(*keep), fd_cmp);
	for (i = 0; i < n; i++) {
		if (keep[i] < (int)from)
			continue;
		if (keep[i] > (int)from)
			(void)close_range(from, (unsigned)keep[i] - 1, 0);
		from = (unsigned)keep[i] + 1;
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

/* Become what its pool says: limits, user, no way back. */
static void
take_limits(const struct spawn *s)
{
	const char *step;
	int r = 0;

	/* Before the user is left who may raise them. */
	if (s->pool != NULL)
		r = limits_apply(s->pool, &step);
	if (r < 0) {
		log_error("%s: %s", step, strerror(-r));
		exit(EX_NOPERM);
	}
	r = spawn_take_account(s->account);
	if (r < 0) {
		log_error("can't become its user: %s", strerror(-r));
		exit(EX_NOPERM);
	}
	if (s->pool != NULL && !s->pool->no_new_privs)
		return;
	r = limits_drop_privileges();
	if (r < 0) {
		log_error("no_new_privs: %s", strerror(-r));
		exit(EX_NOPERM);
	}
}

/* What the child prints, and what it logs, is logged by the master. */
static void
give_output(int fd)
{
	(void)output_redirect(fd);
	if (log_open("-") == 0)
		log_set_format(LOG_PREFIXED);
}

static _Noreturn void
be_child(const struct spawn *s, pid_t master)
{
	int keep[] = {s->keep_fd, s->shared_fd, log_fd()};

	(void)setpgid(0, 0);
	if (s->out_fd > 0)
		give_output(s->out_fd);
	close_others(keep, sizeof(keep) / sizeof(keep[0]));
	close_stdin();
	title_set(s->title);
	log_set_name(s->title);
	notify_clean_env();
	take_limits(s);
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
