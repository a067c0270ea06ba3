/* SPDX-License-Identifier: ISC */
/*
 * reap.c - children that have ended, and what they left behind
 *
 * The master is a subreaper: a process whose parent has died becomes its child,
 * however far it had run away (setsid, double forks).  It may be process 1 as
 * well.  Children that it does not know are reaped and forgotten.
 *
 * A dead child is looked at before it is reaped: until then its number, and
 * with it its process group's, can't be anybody else's.
 */
#include "master/supervisor/reap.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/log.h"
#include "master/supervisor/child.h"
#include "master/supervisor/pool.h"
#include "master/supervisor/supervisor.h"

int
reap_adopt_orphans(void)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1) < 0 ? -errno : 0;
}

/* True when a child of this process, dead or alive, is in that group. */
static bool
has_child_in(pid_t pgid)
{
	siginfo_t info;

	return waitid(P_PGID, (id_t)pgid, &info, WEXITED | WNOHANG | WNOWAIT) ==
	       0;
}

static struct slot *
find_slot(struct supervisor *sv, pid_t pid)
{
	return pid == sv->broker.pid ? &sv->broker : pool_find_worker(sv, pid);
}

/*
 * Kill the commands that a worker ran: their groups are their own.  With the
 * worker dead they are children of this process, which shows that a number in
 * its page still means what it meant.
 */
static void
kill_commands(struct supervisor *sv, const struct page *page)
{
	pid_t pgid;
	size_t i;

	for (i = 0; i < PAGE_SLOTS; i++) {
		pgid = atomic_load(&page->slots[i].pgid);
		/* The page is the worker's: it may name anybody. */
		if (pgid > 1 && pgid != getpgrp() &&
		    find_slot(sv, pgid) == NULL && has_child_in(pgid))
			(void)kill(-pgid, SIGKILL);
	}
}

static void
reap(struct supervisor *sv, pid_t pid)
{
	struct slot *s = find_slot(sv, pid);
	int status = 0;

	if (s != NULL)
		(void)kill(-pid, SIGKILL); /* who is left of its group */
	if (waitpid(pid, &status, WNOHANG) != pid)
		return;
	if (s == NULL) {
		/* Or an orphan that was handed to this process. */
		(void)sv->ops->check_reaped(sv->arg, pid, status);
		return;
	}
	if (s->page != NULL)
		kill_commands(sv, s->page);
	child_settle(s, pid, status);
}

void
reap_run(struct supervisor *sv)
{
	siginfo_t info;

	for (;;) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		    info.si_pid == 0)
			return;
		reap(sv, info.si_pid);
	}
}

void
reap_note_stops(struct supervisor *sv)
{
	static const struct mono never;
	siginfo_t info;
	struct slot *s;

	for (;;) {
		info.si_pid = 0;
		if (waitid(P_ALL, 0, &info, WSTOPPED | WCONTINUED | WNOHANG) <
			0 ||
		    info.si_pid == 0)
			return;
		s = find_slot(sv, info.si_pid);
		if (s != NULL)
			s->stopped_since =
			    info.si_code == CLD_STOPPED ? mono_now() : never;
	}
}

/* The parent of a process, from /proc; 0: not known. */
static pid_t
parent_of(const char *pid)
{
	char path[64], text[512], *p;
	size_t n;
	FILE *f;
	int ppid;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	n = fread(text, 1, sizeof(text) - 1, f);
	(void)fclose(f);
	text[n] = '\0';
	/* "PID (NAME) STATE PPID ...", and the name may hold anything. */
	p = strrchr(text, ')');
	if (p == NULL || sscanf(p + 1, " %*c %d", &ppid) != 1)
		return 0;
	return ppid;
}

static void
kill_orphans(struct supervisor *sv)
{
	struct dirent *e;
	unsigned n = 0;
	pid_t pid;
	DIR *dir;

	dir = opendir("/proc");
	if (dir == NULL)
		return;
	while ((e = readdir(dir)) != NULL) {
		if (!isdigit((unsigned char)e->d_name[0]) ||
		    parent_of(e->d_name) != getpid())
			continue;
		pid = (pid_t)strtol(e->d_name, NULL, 10);
		if (find_slot(sv, pid) == NULL && kill(pid, SIGKILL) == 0)
			n++;
	}
	(void)closedir(dir);
	if (n > 0)
		log_warn("processes that tasks have left behind are killed: "
			 "%u",
		    n);
}

bool
reap_sweep(struct supervisor *sv)
{
	siginfo_t info;

	reap_run(sv);
	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
		return false;
	kill_orphans(sv);
	return true;
}
