/* SPDX-License-Identifier: ISC */
/*
 * slot.c - the place of one child: a worker "POOL/N", or the broker
 */
#include "master/supervisor/slot.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ipc/log.h"
#include "master/supervisor/child.h"
#include "master/supervisor/pool.h"
#include "master/supervisor/supervisor.h"

#define ABORT_WAIT_MS 1000

static void
on_killing(void *arg)
{
	struct slot *s = arg;
	char name[SLOT_NAME_SIZE];

	slot_name(s, name);
	log_warn("%s, pid %d, is killed", name, (int)s->pid);
	slot_kill_group(s, SIGKILL);
}

void
slot_init(
    struct slot *s, struct supervisor *sv, struct pool *pool, unsigned number)
{
	memset(s, 0, sizeof(*s));
	s->supervisor = sv;
	s->pool = pool;
	s->number = number;
	s->page_fd = s->channel_fd = -1;
	output_init(&s->output);
	restart_init(&s->restart);
	deadline_init(&s->boot, sv->loop, child_on_boot_timeout, s);
	deadline_init(&s->grace, sv->loop, child_on_grace_over, s);
	deadline_init(&s->kill, sv->loop, on_killing, s);
	ev_timer_init(&s->again, child_on_restart, 0., 0.);
	ev_timer_init(&s->prove, child_on_proved, 0., 0.);
	ev_io_init(&s->hello, child_on_trial_hello, -1, EV_READ);
	s->again.data = s->prove.data = s->hello.data = s;
}

void
slot_quiet(struct slot *s)
{
	struct ev_loop *loop = s->supervisor->loop;

	deadline_stop(&s->boot);
	deadline_stop(&s->grace);
	deadline_stop(&s->kill);
	ev_timer_stop(loop, &s->again);
	ev_timer_stop(loop, &s->prove);
	ev_io_stop(loop, &s->hello);
}

void
slot_clear(struct slot *s)
{
	s->pid = 0;
	s->stopped_since.ns = 0;
	slot_quiet(s);
	page_unmap(&s->page);
	if (s->page_fd >= 0)
		close(s->page_fd);
	if (s->channel_fd >= 0)
		close(s->channel_fd);
	s->page_fd = s->channel_fd = -1;
	output_close(&s->output);
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
slot_end(const struct slot *s, int signo)
{
	slot_kill(s, signo);
	if (s->stopped_since.ns != 0)
		slot_kill(s, SIGCONT);
}

void
slot_kill_group(const struct slot *s, int signo)
{
	if (s->pid <= 0)
		return;
	(void)kill(-s->pid, signo);
	/* It may not be in its group yet, or no more. */
	(void)kill(s->pid, signo);
}

void
slot_abort(struct slot *s, const char *why)
{
	char name[SLOT_NAME_SIZE];

	if (s->pid <= 0 || deadline_is_set(&s->kill))
		return;
	slot_name(s, name);
	log_warn("%s, pid %d, is aborted: %s", name, (int)s->pid, why);
	s->cut = true;
	slot_end(s, SIGABRT);
	deadline_set(&s->kill, ABORT_WAIT_MS);
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
