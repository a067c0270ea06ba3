/* SPDX-License-Identifier: ISC */
/*
 * broker.c - the process that owns the tasks
 *
 * Set-up, the master's orders, and the way to the end:
 *
 *   SERVING   until the master says stop
 *   DRAINING  nothing new is taken; each pool that has no work left gets its
 *             pills; when no task is left and the workers are gone, leave
 *   QUITTING  the workers are being stopped; leave when they have gone
 *   LEAVING   answer who still waits, send what is written, end
 *
 * The end of a turn is the same in each: dispatch, flush the store, arm the
 * timer; then ipc/peer sends.
 */
#include "master/broker/broker.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/log.h"
#include "master/broker/chan.h"
#include "master/broker/conn.h"
#include "master/broker/dispatch.h"
#include "master/broker/life.h"
#include "master/broker/result.h"
#include "master/broker/roster.h"
#include "master/broker/store_memory.h"

/* The master ends a quick stop after 2 s, whatever is left. */
#define QUIT_WAIT   1.4 /* s for the workers to end */
#define LEAVE_WAIT  0.3 /* s for clients to take their last answers */
#define DISCARD_MAX ((size_t)256 * 1024 * 1024)

static void
leave(struct broker *b)
{
	if (b->phase == BROKER_LEAVING)
		return;
	b->phase = BROKER_LEAVING;
	if (b->n_tasks > 0)
		log_warn("lost with this process, which kept them in memory: "
			 "%zu tasks that had not ended",
		    b->n_tasks);
	listener_close(&b->listener);
	result_refuse_all(b);
	ev_timer_stop(b->loop, &b->leave_timer);
	ev_timer_set(&b->leave_timer, LEAVE_WAIT, 0.);
	ev_timer_start(b->loop, &b->leave_timer);
	broker_sent(b);
}

void
broker_sent(struct broker *b)
{
	if (b->phase == BROKER_LEAVING && conn_all_sent(b))
		ev_break(b->loop, EVBREAK_ALL);
}

static void
on_leave_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct broker *b = w->data;

	(void)revents;
	if (b->phase == BROKER_LEAVING)
		ev_break(loop, EVBREAK_ALL);
	else
		leave(b);
}

/* Pools that have nothing left to do get their pills. */
static void
drain(struct broker *b)
{
	bool idle = true;
	size_t i;

	for (i = 0; i < b->n_crews; i++) {
		struct crew *w = &b->crews[i];

		if (crew_has_no_work(w))
			roster_pill_all(w);
		else
			idle = false;
		if (w->n_running > 0)
			idle = false;
	}
	if (!idle)
		return;
	if (!b->told_drained) {
		b->told_drained = true;
		(void)ctl_send(&b->ctl, -1, "drained", NULL);
	}
	if (roster_count(b) == 0)
		leave(b);
}

static void
on_turn(void *arg)
{
	struct broker *b = arg;

	if (b->phase < BROKER_QUITTING)
		dispatch_run(b);
	store_flush(b->store);
	life_arm(b);
	if (b->phase == BROKER_DRAINING)
		drain(b);
	else if (b->phase == BROKER_QUITTING && roster_count(b) == 0)
		leave(b);
}

static void
take_stop(struct broker *b, json_t *msg)
{
	const char *mode = json_string_value(json_object_get(msg, "mode"));

	if (mode != NULL && strcmp(mode, "quick") == 0) {
		if (b->phase >= BROKER_QUITTING)
			return;
		b->cutting = true;
		b->phase = BROKER_QUITTING;
		ev_timer_set(&b->leave_timer, QUIT_WAIT, 0.);
		ev_timer_start(b->loop, &b->leave_timer);
	} else if (mode != NULL && strcmp(mode, "abort") == 0) {
		b->cutting = true;
	} else if (b->phase == BROKER_SERVING) {
		b->phase = BROKER_DRAINING;
		log_info("draining; tasks that wait: %llu",
		    (unsigned long long)b->n_waiting);
	}
}

static void
take_pool_state(struct broker *b, json_t *msg)
{
	const char *pool = json_string_value(json_object_get(msg, "pool"));
	const char *state = json_string_value(json_object_get(msg, "state"));
	size_t i;

	for (i = 0; pool != NULL && state != NULL && i < b->n_crews; i++)
		if (strcmp(b->crews[i].settings->name, pool) == 0)
			b->crews[i].flapping = strcmp(state, "flapping") == 0;
}

static void
reopen_log(void)
{
	int r = log_reopen();

	if (r < 0)
		log_error("can't open the log file anew: %s", strerror(-r));
}

static void
on_order(void *arg, const char *name, json_t *msg, int fd)
{
	struct broker *b = arg;

	if (strcmp(name, "worker.add") == 0) {
		roster_add(b, msg, fd);
		return;
	}
	if (strcmp(name, "listener") == 0 && fd >= 0) {
		listener_open(&b->listener, fd);
		return;
	}
	if (fd >= 0)
		close(fd);
	if (strcmp(name, "worker.gone") == 0)
		roster_gone(b, msg);
	else if (strcmp(name, "worker.retire") == 0)
		roster_retire(b, msg);
	else if (strcmp(name, "stop") == 0)
		take_stop(b, msg);
	else if (strcmp(name, "pool.state") == 0)
		take_pool_state(b, msg);
	else if (strcmp(name, "log.reopen") == 0)
		reopen_log();
	else
		log_error("unknown order %s", name);
}

static void
on_master_gone(void *arg)
{
	struct broker *b = arg;

	if (b->phase == BROKER_LEAVING)
		return;
	log_error("the master is gone");
	ctl_done(&b->ctl);
	leave(b);
}

static const struct ctl_ops ctl_ops = {
    .on_msg = on_order,
    .on_gone = on_master_gone,
};

static int
set_up_crews(struct broker *b)
{
	size_t i;
	int r;

	b->crews = calloc(b->settings->n_pools + 1, sizeof(*b->crews));
	if (b->crews == NULL)
		return -ENOMEM;
	for (i = 0; i < b->settings->n_pools; i++) {
		r = crew_init(&b->crews[i], b, (unsigned)i,
		    &b->settings->pools[i], &b->catalog);
		if (r < 0)
			return r;
		b->n_crews++;
	}
	return 0;
}

static int
set_up(struct broker *b)
{
	struct store_memory_limits limits = {
	    .result_ttl_ms = b->settings->result_ttl_ms,
	    .failed_ttl_ms = b->settings->failed_ttl_ms,
	    .max_finished = b->settings->max_finished,
	};
	int r;

	TAILQ_INIT(&b->conns);
	buf_init(&b->discard, DISCARD_MAX);
	listener_init(&b->listener, b);
	life_set_up(b);
	ev_timer_init(&b->leave_timer, on_leave_timer, 0., 0.);
	b->leave_timer.data = b;
	r = catalog_init(&b->catalog, b->settings);
	if (r == 0)
		r = set_up_crews(b);
	if (r == 0)
		r = store_memory_new(b->loop, &limits, &b->store);
	if (r == 0)
		r = peer_group_init(&b->group, b->loop, on_turn, b);
	return r;
}

static void
tear_down(struct broker *b)
{
	struct task *t;
	size_t i;

	conn_close_all(b);
	roster_clear(b);
	peer_group_done(&b->group);
	listener_close(&b->listener);
	ctl_done(&b->ctl);
	ev_timer_stop(b->loop, &b->timer);
	ev_timer_stop(b->loop, &b->leave_timer);
	while ((t = RB_ROOT(&b->tasks)) != NULL) {
		RB_REMOVE(task_tree, &b->tasks, t);
		task_unref(t);
	}
	store_free(b->store);
	for (i = 0; i < b->n_crews; i++)
		crew_done(&b->crews[i]);
	free(b->crews);
	catalog_done(&b->catalog);
	delay_done(&b->timers);
	buf_done(&b->discard);
}

int
broker_run(const struct broker_settings *settings, int ctl_fd)
{
	struct broker b;
	int r;

	memset(&b, 0, sizeof(b));
	b.settings = settings;
	b.loop = ev_loop_new(EVFLAG_AUTO);
	if (b.loop == NULL) {
		log_error("can't make an event loop: %s", strerror(errno));
		return EX_OSERR;
	}
	ctl_init(&b.ctl, b.loop, ctl_fd, &ctl_ops, &b);
	r = set_up(&b);
	if (r < 0)
		log_fatal("can't set up: %s", strerror(-r));
	r = ctl_send(&b.ctl, -1, "ready", NULL);
	if (r == 0)
		ev_run(b.loop, 0);
	log_debug("ends");
	tear_down(&b);
	ev_loop_destroy(b.loop);
	return 0;
}
