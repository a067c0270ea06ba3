/* SPDX-License-Identifier: ISC */
/*
 * roster.c - the workers as they come and go
 *
 * What becomes of the tasks of a worker that died:
 *
 *   a stop or a reload has cut it           none of them is to blame
 *   the one that was over its time limit   an attempt more, its siblings none
 *   a cancelled one that did not end        cancelled, its siblings none
 *   the worker named the culprit           an attempt and a crash more, its
 *                                          siblings none
 *   it was alone, and crashed              guilty: an attempt and a crash more
 *   (unless the worker had not read it)
 *   it was a suspect (alone by design)     guilty as well
 *   all others                             suspects: each is run again alone
 *
 * A worker may name what it does not run: a task that it had answered already,
 * or anything at all once its memory is broken.  That proves nothing against
 * any of its tasks, and clears none.
 *
 * A worker that ended on an order of the master has none.  A SIGKILL that
 * nobody here asked for proves nothing against a task that was not a suspect
 * already: the out-of-memory killer or an administrator may have sent it.
 */
#include "master/broker/roster.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/log.h"
#include "master/broker/chan.h"
#include "master/broker/condemn.h"
#include "master/broker/reconfigure.h"
#include "master/broker/run.h"

#define IDS_TOLD 16 /* tasks named in a log line */

/* The skills of a worker by its hello.  -EINVAL: that is no list of names. */
static int
read_skills(json_t *names, struct skills **out)
{
	size_t i, n = json_array_size(names);
	const char **list;
	json_t *item;
	int r = 0;

	if (!json_is_array(names))
		return -EINVAL;
	list = calloc(n + 1, sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	json_array_foreach(names, i, item) {
		list[i] = json_string_value(item);
		if (list[i] == NULL)
			r = -EINVAL;
	}
	if (r == 0 && (*out = skills_new(list, n, NULL, 0)) == NULL)
		r = -ENOMEM;
	free(list);
	return r;
}

static int
on_hello(struct chan *c, json_t *names)
{
	struct broker *b = c->crew->broker;
	struct shift *s = c->crew->main;
	struct skills *skills = NULL;
	int r;

	if (names != NULL) {
		r = read_skills(names, &skills);
		if (r < 0)
			return r;
		r = reconfigure_shift(b, c->crew, skills, &s);
		skills_unref(skills);
		if (r < 0)
			return r;
	}
	chan_set_shift(c, s);
	(void)ctl_send(
	    &b->ctl, -1, "worker.hello", "{s:i}", "pid", (int)c->pid);
	return 0;
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
	    c->state == CHAN_UP)
		roster_recycle(b, c, "max_tasks");
	condemn_review(b, c);
}

static void
on_result(struct chan *c, struct task *t, char *result)
{
	struct broker *b = c->crew->broker;

	run_succeed(b, t, result);
	count_run(c);
}

static void
on_failure(struct chan *c, struct task *t, const struct chan_failure *f)
{
	struct run_error e = {f->code, f->message, f->data};
	struct broker *b = c->crew->broker;

	t->suspect = false; /* it has answered */
	if (b->phase >= BROKER_QUITTING) {
		/* It gave up because it was told to: no failure of its own. */
		run_interrupt(b, t);
		return;
	}
	run_fail(b, t, &e, !f->retryable, f->retry_after_ms);
	count_run(c);
}

static void
on_snooze(struct chan *c, struct task *t, int64_t delay_ms)
{
	run_snooze(c->crew->broker, t, delay_ms);
	count_run(c);
}

static void
on_cut(struct chan *c, struct task *t)
{
	run_interrupt(c->crew->broker, t);
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
    .on_cut = on_cut,
    .on_broken = on_broken,
    .on_over = on_over,
};

struct chan *
roster_find(const struct broker *b, pid_t pid)
{
	struct chan *c;
	size_t i;

	for (i = 0; i < b->n_crews; i++)
		TAILQ_FOREACH(c, &b->crews[i]->chans, entry) {
			if (c->pid == pid && !c->reaped)
				return c;
		}
	return NULL;
}

/* The worker that an order is about, or NULL. */
static struct chan *
find_told(const struct broker *b, json_t *msg)
{
	return roster_find(
	    b, (pid_t)json_integer_value(json_object_get(msg, "pid")));
}

void
roster_add(struct broker *b, json_t *msg, int fd)
{
	struct crew *w;
	struct chan *c;
	unsigned number;
	pid_t pid;

	w = reconfigure_find_crew(
	    b, json_string_value(json_object_get(msg, "pool")));
	number = (unsigned)json_integer_value(json_object_get(msg, "slot"));
	pid = (pid_t)json_integer_value(json_object_get(msg, "pid"));
	if (w == NULL || w->state >= CREW_LEAVING || fd < 0 ||
	    chan_new(w, &b->group, fd, number, pid, b->settings->max_message,
		&roster_chan_ops, &c) < 0) {
		log_error("can't take on worker %u, pid %d", number, (int)pid);
		if (fd >= 0)
			close(fd); /* it dies of its end of file */
		return;
	}
	if (json_is_true(json_object_get(msg, "again")))
		w->n_restarts++;
	listener_review(&b->listener);
	if (w->settings->max_tasks > 0)
		c->retire_after =
		    w->settings->max_tasks +
		    arc4random_uniform(
			(uint32_t)(w->settings->max_tasks_jitter + 1));
}

int
roster_restore(struct crew *w, int fd, const struct chan *like,
    const struct peer_state *peer, struct chan **out)
{
	struct broker *b = w->broker;

	return chan_restore(w, &b->group, fd, b->settings->max_message,
	    &roster_chan_ops, like, peer, out);
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

/* How a worker ended, and what is known of why. */
struct death {
	const char *status;
	int signo;
	bool cut;            /* the master did it, for no fault of any task's */
	uint64_t task, run;  /* of the culprit; 0: not known */
	const char *planned; /* it was killed for one of its tasks; or NULL */
	bool alone;          /* it had one task only, and had read it */
};

/* True when what c named as the culprit is one of the runs that it has. */
static bool
has_culprit(const struct chan *c, const struct death *d)
{
	const struct task *t;
	unsigned i;

	for (i = 0; i < c->threads; i++) {
		t = c->runs[i].task;
		if (t != NULL && t->id == d->task && t->run == d->run)
			return true;
	}
	return false;
}

static void
settle_timed_out(struct broker *b, struct task *t)
{
	char message[128];
	struct run_error e = {RPC_TIMED_OUT, message, NULL};

	snprintf(message, sizeof(message), "over its time limit of %lld ms",
	    (long long)run_time_limit(t, t->crew));
	run_fail(b, t, &e, false, -1);
}

static void
settle_outstayed(struct broker *b, struct task *t)
{
	struct run_error e = {
	    0, "cancelled; it did not end, and its process was killed", NULL};

	run_fail(b, t, &e, true, -1);
}

static void
settle_guilty(struct broker *b, struct task *t, const char *status)
{
	char message[128];
	struct run_error e = {RPC_INTERNAL_ERROR, message, NULL};

	snprintf(message, sizeof(message),
	    "its worker died while running it: %s", status);
	run_crash(b, t, &e);
}

/* Say what has cut those that are not to blame. */
static void
describe_cut(const struct death *d, char *out, size_t size)
{
	if (d->task != 0)
		snprintf(out, size, "task %llu ended its worker (%s)",
		    (unsigned long long)d->task, d->status);
	else if (d->planned != NULL)
		snprintf(out, size, "its worker was killed for %s", d->planned);
	else
		snprintf(out, size, "its worker died (%s)", d->status);
}

/* Decide what becomes of t, taken from a worker that has died. */
static void
settle(struct broker *b, struct task *t, const struct death *d)
{
	char why[192];

	describe_cut(d, why, sizeof(why));
	if (t->unsent)
		run_requeue(b, t, why);
	else if (t->timed_out)
		settle_timed_out(b, t);
	else if (t->outstayed)
		settle_outstayed(b, t);
	else if (d->cut)
		run_interrupt(b, t);
	else if (d->task == t->id && d->run == t->run)
		settle_guilty(b, t, d->status);
	else if (d->planned != NULL || d->task != 0)
		run_requeue(b, t, why);
	else if (t->suspect || (d->alone && d->signo != SIGKILL))
		settle_guilty(b, t, d->status);
	else
		run_suspect(b, t, why);
}

static void
settle_all(struct broker *b, struct chan *c, struct death *d)
{
	struct task *t;
	char ids[512], culprit[64] = "";

	/* What it had not even read is not to blame. */
	d->alone = c->n_running == 1 && !c->peer.reset;
	d->planned = condemn_reason(c);
	if (d->task != 0 && !has_culprit(c, d)) {
		d->task = 0;
		d->alone = false;
	}
	list_tasks(c, ids, sizeof(ids));
	if (d->task != 0)
		snprintf(culprit, sizeof(culprit), "; task %llu is to blame",
		    (unsigned long long)d->task);
	if (c->n_running > 0)
		log_warn("worker %s/%u, pid %d, %s; it was running task%s %s%s",
		    c->crew->name, c->number, (int)c->pid, d->status,
		    c->n_running == 1 ? "" : "s", ids, culprit);
	while ((t = chan_take(c)) != NULL)
		settle(b, t, d);
}

void
roster_gone(struct broker *b, json_t *msg)
{
	const char *status = json_string_value(json_object_get(msg, "status"));
	struct death d = {
	    .status = status == NULL ? "gone" : status,
	    .signo = (int)json_integer_value(json_object_get(msg, "signal")),
	    .cut = b->cutting || json_is_true(json_object_get(msg, "cut")),
	    .task = (uint64_t)json_integer_value(json_object_get(msg, "task")),
	    .run = (uint64_t)json_integer_value(json_object_get(msg, "run")),
	};
	struct chan *c = find_told(b, msg);

	if (c == NULL)
		return;
	/* Its last answers may still be in the socket. */
	chan_reaped(c);
	settle_all(b, c, &d);
	if (c->buried)
		chan_free(c);
}

void
roster_retire(struct broker *b, json_t *msg)
{
	struct chan *c = find_told(b, msg);

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
roster_recycle(struct broker *b, struct chan *c, const char *why)
{
	if (c->worn || b->phase != BROKER_SERVING)
		return;
	c->worn = true;
	(void)ctl_send(&b->ctl, -1, "worker.recycle", "{s:i,s:s}", "pid",
	    (int)c->pid, "why", why);
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
		n += b->crews[i]->n_chans;
	return n;
}

void
roster_clear(struct broker *b)
{
	struct chan *c, *next;
	size_t i;

	for (i = 0; i < b->n_crews; i++)
		for (c = TAILQ_FIRST(&b->crews[i]->chans); c != NULL;
		     c = next) {
			next = TAILQ_NEXT(c, entry);
			/* on_over frees it at the turn's end */
			c->reaped = true;
			peer_close(&c->peer, NULL);
			if (c->buried)
				chan_free(c);
		}
}
