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
 * The end of a turn is the same in each: tidy, dispatch, flush the store, arm
 * the timer; then ipc/peer sends.
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
#include "master/broker/load.h"
#include "master/broker/reconfigure.h"
#include "master/broker/result.h"
#include "master/broker/roster.h"
#include "master/broker/store_memory.h"
#include "master/broker/tidy.h"

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
	ask_refuse_all(b);
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
		struct crew *w = b->crews[i];

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

	/* First, for it may give tasks to workers that are idle. */
	tidy_crews(b);
	if (b->phase < BROKER_QUITTING)
		dispatch_run(b);
	store_flush(b->store);
	wallwatch_look(b);
	life_arm(b);
	load_tell(b);
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
	json_t *processes = json_object_get(msg, "processes");
	struct crew *w = reconfigure_find_crew(b, pool);

	/* One that leaves is not the master's any more. */
	if (w == NULL || w->state > CREW_FLAPPING)
		return;
	if (state != NULL)
		w->state =
		    strcmp(state, "flapping") == 0 ? CREW_FLAPPING : CREW_UP;
	if (json_is_integer(processes))
		w->n_target = (unsigned)json_integer_value(processes);
	listener_review(&b->listener);
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
	if (strcmp(name, "settings") == 0 && fd >= 0) {
		reconfigure_order(b, fd);
		return;
	}
	if (strcmp(name, "upgrade") == 0) {
		handover_order(&b->handover, fd);
		return;
	}
	if (fd >= 0)
		close(fd);
	if (strcmp(name, "worker.gone") == 0)
		roster_gone(b, msg);
	else if (strcmp(name, "worker.retire") == 0)
		roster_retire(b, msg);
	else if (strcmp(name, "answer") == 0)
		ask_answer(b, msg);
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

/* An empty broker, which has no settings yet. */
static int
set_up(struct broker *b, int ctl_fd)
{
	struct store_memory_limits none = {0};
	int r;

	memset(b, 0, sizeof(*b));
	b->loop = ev_loop_new(EVFLAG_AUTO);
	if (b->loop == NULL)
		return -errno;
	ctl_init(&b->ctl, b->loop, ctl_fd, &ctl_ops, b);
	TAILQ_INIT(&b->conns);
	asks_init(&b->asks);
	buf_init(&b->discard, DISCARD_MAX);
	listener_init(&b->listener, b);
	life_set_up(b);
	wallwatch_start(b);
	ev_timer_init(&b->leave_timer, on_leave_timer, 0., 0.);
	b->leave_timer.data = b;
	catalog_init(&b->catalog);
	load_init(b);
	handover_init(&b->handover, b);
	r = store_memory_new(b->loop, &none, &b->store);
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
	wallwatch_stop(b);
	ev_timer_stop(b->loop, &b->timer);
	ev_timer_stop(b->loop, &b->leave_timer);
	load_done(b);
	handover_done(&b->handover);
	while ((t = RB_ROOT(&b->tasks)) != NULL) {
		RB_REMOVE(task_tree, &b->tasks, t);
		task_unref(t);
	}
	store_free(b->store);
	for (i = 0; i < b->n_all_crews; i++)
		crew_free(b->crews[i]);
	free(b->crews);
	catalog_done(&b->catalog);
	settings_unref(b->settings);
	delay_done(&b->timers);
	buf_done(&b->discard);
}

/* Serve until the end. */
static int
serve(struct broker *b)
{
	ev_run(b->loop, 0);
	log_debug("ends");
	tear_down(b);
	ev_loop_destroy(b->loop);
	return 0;
}

int
broker_run(struct broker_settings *settings, int ctl_fd)
{
	char why[SETTINGS_WHY_SIZE];
	struct broker b;
	int r;

	r = set_up(&b, ctl_fd);
	if (r < 0)
		log_fatal("can't set up: %s", strerror(-r));
	if (reconfigure(&b, settings, why) < 0)
		log_fatal("can't set up: %s", why);
	(void)ctl_send(&b.ctl, -1, "ready", NULL);
	return serve(&b);
}

int
broker_resume(struct handover_in *in, const struct handover_head *head,
    struct broker_shared *shared)
{
	struct mono begin = mono_now();
	struct broker b;
	int r;

	r = set_up(&b, head->ctl_fd);
	if (r == 0)
		r = handover_load(&b, in, head, shared);
	handover_in_done(in);
	if (r < 0)
		log_fatal(
		    "can't go on with what was handed over: %s", strerror(-r));
	log_info("goes on with the new binary, version " GANGER_VERSION
		 "; tasks: %zu, clients: %u, read in %lld ms",
	    b.n_tasks, b.n_conns, (long long)mono_until_ms(begin, mono_now()));
	(void)ctl_send(&b.ctl, -1, "ready", "{s:b}", "resumed", 1);
	if (head->listener_fd >= 0)
		listener_open(&b.listener, head->listener_fd);
	return serve(&b);
}
