/* SPDX-License-Identifier: ISC */
/*
 * slot.c - the place of one child: a worker "POOL/N", or the broker
 */
#include "master/supervisor/slot.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "master/supervisor/supervisor.h"

void
slot_init(struct slot *s, struct supervisor *sv, const struct config_pool *pool,
    unsigned number)
{
	memset(s, 0, sizeof(*s));
	s->supervisor = sv;
	s->pool = pool;
	s->number = number;
	restart_init(&s->restart);
	ev_timer_init(&s->boot, supervisor_on_boot_timeout, 0., 0.);
	ev_timer_init(&s->again, supervisor_on_restart, 0., 0.);
	ev_timer_init(&s->prove, supervisor_on_proved, 0., 0.);
	s->boot.data = s->again.data = s->prove.data = s;
}

void
slot_quiet(struct slot *s)
{
	struct ev_loop *loop = s->supervisor->loop;

	ev_timer_stop(loop, &s->boot);
	ev_timer_stop(loop, &s->again);
	ev_timer_stop(loop, &s->prove);
}

void
slot_name(const struct slot *s, char out[SLOT_NAME_SIZE])
{
	if (s->pool == NULL)
		snprintf(out, SLOT_NAME_SIZE, "broker");
	else
		snprintf(out, SLOT_NAME_SIZE, "worker %s/%u", s->pool->name,
		    s->number);
}

void
slot_kill(const struct slot *s, int signo)
{
	if (s->pid > 0)
		(void)kill(s->pid, signo);
}

void
slot_kill_group(const struct slot *s, int signo)
{
	if (s->pid <= 0)
		return;
	/* The group exists once the child has made it; until then, the child.
	 */
	if (kill(-s->pid, signo) < 0)
		(void)kill(s->pid, signo);
}

void
slot_describe_status(int status, char *out, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(out, size, "killed by signal %d (%s)%s",
		    WTERMSIG(status), strsignal(WTERMSIG(status)),
		    WCOREDUMP(status) ? ", core dumped" : "");
	else
		snprintf(
		    out, size, "exited with status %d", WEXITSTATUS(status));
}
