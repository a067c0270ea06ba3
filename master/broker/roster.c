/* SPDX-License-Identifier: ISC */
/*
 * roster.c - the workers as they come and go
 *
 * What becomes of the tasks of a worker that died:
 *
 *   the one that was over its time limit   an attempt more, its siblings none
 *   it was alone, and crashed              guilty: an attempt and a crash more
 *   (unless the worker had not read it)
 *   it was a suspect (alone by design)     guilty as well
 *   all others                             suspects: each is run again alone
 *
 * A worker that ended on an order of the master has none.  A SIGKILL that
 * nobody here asked for proves nothing against a task that was not a suspect
 * already: the out-of-memory killer or an administrator may have sent it.
 */
#include "master/broker/roster.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ipc/log.h"
#include "master/broker/chan.h"
#include "master/broker/life.h"

#define IDS_TOLD 16 /* tasks named in a log line */

static void
on_hello(struct chan *c)
{
	struct broker *b = c->crew->broker;

	(void)ctl_send(
	    &b->ctl, -1, "worker.hello", "{s:i}", "pid", (int)c->pid);
}

/* A run has ended: has the worker had its share? */
static void
count_run(struct chan *c)
{
	struct broker *b = c->crew->broker;

	if (!c->served) {
		c->served = true;
		(void)ctl_send(
		    &b->ctl, -1, "worker.served", "{s:i}", "pid", (int)c->pid);
	}
	if (c->retire_after > 0 && c->n_done >= c->retire_after &&
	    c->state == CHAN_UP && b->phase == BROKER_SERVING) {
		log_info("worker %s/%u has done %llu tasks: replaced",
		    c->crew->settings->name, c->number,
		    (unsigned long long)c->n_done);
		(void)ctl_send(
		    &b->ctl, -1, "worker.retired", "{s:i}", "pid", (int)c->pid);
		chan_pill(c);
	}
}

static void
on_result(struct chan *c, struct task *t, char *result)
{
	struct broker *b = c->crew->broker;

	life_succeed(b, t, result);
	count_run(c);
}

static void
on_failure(struct chan *c, struct task *t, const struct chan_failure *f)
{
	struct life_error e = {f->code, f->message, f->data};
	struct broker *b = c->crew->broker;

	t->suspect = false; /* it has answered */
	if (b->phase >= BROKER_QUITTING) {
		/* It gave up because it was told to: no failure of its own. */
		life_requeue(b, t);
		return;
	}
	life_fail(b, t, &e, !f->retryable, f->retry_after_ms);
	count_run(c);
}

static void
on_snooze(struct chan *c, struct task *t, int64_t delay_ms)
{
	life_snooze(c->crew->broker, t, delay_ms);
	count_run(c);
}

static void
on_broken(struct chan *c, const char *why)
{
	if (c->state == CHAN_DOOMED || c->state == CHAN_LOST)
		return;
	log_error("worker %s/%u, pid %d: %s", c->crew->settings->name,
	    c->number, (int)c->pid, why);
	roster_kill(c->crew->broker, c, why, true);
}

static void
on_over(struct chan *c)
{
	chan_free(c);
}

static const struct chan_ops roster_chan_ops = {
    .on_hello = on_hello,
    .on_result = on_result,
    .on_failure = on_failure,
    .on_snooze = on_snooze,
    .on_broken = on_broken,
    .on_over = on_over,
};

static struct crew *
find_crew(struct broker *b, const char *name)
{
	size_t i;

	for (i = 0; name != NULL && i < b->n_crews; i++)
		if (strcmp(b->crews[i].settings->name, name) == 0)
			return &b->crews[i];
	return NULL;
}

static struct chan *
find_chan(struct broker *b, json_t *msg)
{
	pid_t pid = (pid_t)json_integer_value(json_object_get(msg, "pid"));
	struct chan *c;
	size_t i;

	for (i = 0; i < b->n_crews; i++)
		TAILQ_FOREACH(c, &b->crews[i].chans, entry) {
			if (c->pid == pid && !c->reaped)
				return c;
		}
	return NULL;
}

void
roster_add(struct broker *b, json_t *msg, int fd)
{
	struct crew *w;
	struct chan *c;
	unsigned number;
	pid_t pid;

	w = find_crew(b, json_string_value(json_object_get(msg, "pool")));
	number = (unsigned)json_integer_value(json_object_get(msg, "slot"));
	pid = (pid_t)json_integer_value(json_object_get(msg, "pid"));
	if (w == NULL || fd < 0 ||
	    chan_new(w, &b->group, fd, number, pid, b->settings->max_message,
		&roster_chan_ops, &c) < 0) {
		log_error("can't take on worker %u, pid %d", number, (int)pid);
		if (fd >= 0)
			close(fd); /* it dies of its end of file */
		return;
	}
	if (w->n_added++ >= w->settings->n_processes)
		w->n_restarts++;
	if (w->settings->max_tasks > 0)
		c->retire_after =
		    w->settings->max_tasks +
		    arc4random_uniform(
			(uint32_t)(w->settings->max_tasks_jitter + 1));
}

/* Write "1, 2, 3" of the tasks that c has. */
static void
list_tasks(const struct chan *c, char *out, size_t size)
{
	unsigned i, n;
	size_t at;

	out[0] = '\0';
	for (i = n = 0, at = 0; i < c->threads && at + 32 < size; i++) {
		if (c->runs[i].task == NULL)
			continue;
		if (n++ == IDS_TOLD) {
			snprintf(out + at, size - at, ", ...");
			return;
		}
		at += (size_t)snprintf(out + at, size - at, "%s%llu",
		    n == 1 ? "" : ", ",
		    (unsigned long long)c->runs[i].task->id);
	}
}

/* True when one of the tasks that c has is the reason why it was killed. */
static bool
has_timed_out(const struct chan *c)
{
	unsigned i;

	for (i = 0; i < c->threads; i++)
		if (c->runs[i].task != NULL && c->runs[i].task->timed_out)
			return true;
	return false;
}

/* Decide what becomes of t, taken from worker c that died of `status`. */
static void
settle(struct broker *b, struct task *t, bool alone, bool planned, int signo,
    const char *status)
{
	char message[128];
	struct life_error e = {RPC_TIMED_OUT, message, NULL};

	if (t->timed_out) {
		t->timed_out = false;
		snprintf(message, sizeof(message),
		    "over its time limit of %lld ms",
		    (long long)life_time_limit(t, t->crew));
		life_fail(b, t, &e, false, -1);
		return;
	}
	if (planned) {
		life_requeue(b, t);
		return;
	}
	if (t->suspect || (alone && signo != SIGKILL)) {
		e.code = RPC_INTERNAL_ERROR;
		snprintf(message, sizeof(message),
		    "its worker died while running it: %s", status);
		life_crash(b, t, &e);
		return;
	}
	life_suspect(b, t);
}

static void
settle_all(struct broker *b, struct chan *c, int signo, const char *status)
{
	/* What it had not even read is not to blame. */
	bool alone = c->n_running == 1 && !c->peer.reset;
	bool planned = has_timed_out(c) || b->cutting;
	struct task *t;
	char ids[512];

	list_tasks(c, ids, sizeof(ids));
	if (c->n_running > 0)
		log_warn("worker %s/%u, pid %d, %s; it was running tasks %s",
		    c->crew->settings->name, c->number, (int)c->pid, status,
		    ids);
	while ((t = chan_take(c)) != NULL)
		settle(b, t, alone, planned, signo, status);
}

void
roster_gone(struct broker *b, json_t *msg)
{
	struct chan *c = find_chan(b, msg);
	const char *status;
	int signo;

	if (c == NULL)
		return;
	status = json_string_value(json_object_get(msg, "status"));
	signo = (int)json_integer_value(json_object_get(msg, "signal"));
	/* Its last answers may still be in the socket. */
	chan_reaped(c);
	settle_all(b, c, signo, status == NULL ? "gone" : status);
	if (c->buried)
		chan_free(c);
}

void
roster_retire(struct broker *b, json_t *msg)
{
	struct chan *c = find_chan(b, msg);

	if (c != NULL)
		chan_pill(c);
}

void
roster_kill(struct broker *b, struct chan *c, const char *why, bool at_fault)
{
	chan_doom(c);
	(void)ctl_send(&b->ctl, -1, "worker.kill", "{s:i,s:s,s:b}", "pid",
	    (int)c->pid, "why", why, "at_fault", (int)at_fault);
}

void
roster_pill_all(struct crew *w)
{
	struct chan *c;

	TAILQ_FOREACH(c, &w->chans, entry) {
		if (c->state == CHAN_UP || c->state == CHAN_STARTING)
			chan_pill(c);
	}
}

unsigned
roster_count(const struct broker *b)
{
	unsigned n;
	size_t i;

	for (i = n = 0; i < b->n_crews; i++)
		n += b->crews[i].n_chans;
	return n;
}

void
roster_clear(struct broker *b)
{
	struct chan *c;
	size_t i;

	for (i = 0; i < b->n_crews; i++)
		TAILQ_FOREACH(c, &b->crews[i].chans, entry) {
			c->reaped =
			    true; /* on_over frees it at the turn's end */
			peer_close(&c->peer, NULL);
		}
}
