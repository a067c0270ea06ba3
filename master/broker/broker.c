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
#include "master/broker/mailbox.h"
#include "master/broker/reconfigure.h"
#include "master/broker/result.h"
#include "master/broker/roster.h"
#include "master/broker/run.h"
#include "master/broker/storage.h"
#include "master/broker/tidy.h"

/* The master ends a quick stop after 2 s, whatever is left. */
#define QUIT_WAIT   1.4 /* s for the workers to end */
#define LEAVE_WAIT  0.3 /* s for clients to take their last answers */
#define DISCARD_MAX ((size_t)256 * 1024 * 1024)

/*
 * What has not ended goes with this process, or is left to the next one; a stop
 * has cut what runs now, unless it is the master that died.
 */
static void
leave_tasks(struct broker *b, bool stopped)
{
	size_t n_lost = 0;
	struct task *t, *next;

	for (t = RB_MIN(task_tree, &b->tasks); t != NULL; t = next) {
		next = RB_NEXT(task_tree, &b->tasks, t);
		if (!t->durable)
			n_lost++;
		else if (t->state == TASK_RUNNING && stopped)
			run_abandon(b, t);
	}
	if (n_lost > 0)
		log_warn("lost with this process, which kept them in memory: "
			 "%zu task%s that had not ended",
		    n_lost, n_lost == 1 ? "" : "s");
}

static void
leave(struct broker *b)
{
	bool stopped = b->phase != BROKER_SERVING;

	if (b->phase == BROKER_LEAVING)
		return;
	b->phase = BROKER_LEAVING;
	leave_tasks(b, stopped);
	listener_close(&b->listener);
	ask_refuse_all(b);
	result_refuse_all(b);
	(void)hold_run(b);
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

		if (crew_has_no_work(w) && !window_can_run(b, crew_shifts(w)) &&
		    !mailbox_goes_on(b))
			roster_pill_all(w);
		else
			idle = false;
		if (w->n_running > 0)
			idle = false;
	}
	/* Once it is told, no worker comes that could do what is found late. */
	if (!idle && !(b->told_drained && roster_count(b) == 0))
		return;
	if (!b->told_drained) {
		b->told_drained = true;
		(void)ctl_send(&b->ctl, -1, "drained", NULL);
	}
	/* Ends that have not been kept are not told so far. */
	if (roster_count(b) == 0 &&
	    (store_is_idle(b->store) || b->store_failing != 0))
		leave(b);
}

/* Hand out what is ready. */
static void
feed(struct broker *b)
{
	mailbox_tidy(b);
	/* Before an exec nothing new starts: the store comes to rest. */
	if (b->phase < BROKER_QUITTING && b->handover.binary < 0 &&
	    !storage_is_behind(b))
		dispatch_run(b);
}

static void
on_turn(void *arg)
{
	struct broker *b = arg;

	/* First, for it may give tasks to workers that are idle. */
	tidy_crews(b);
	feed(b);
	/* What starts makes room for what is held. */
	while (hold_run(b))
		feed(b);
	window_trim(b);
	life_let_depart(b);
	window_refill(b);
	unique_tidy(b);
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
		window_close(b);
		ev_timer_set(&b->leave_timer, QUIT_WAIT, 0.);
		ev_timer_start(b->loop, &b->leave_timer);
	} else if (mode != NULL && strcmp(mode, "abort") == 0) {
		b->cutting = true;
	} else if (b->phase == BROKER_SERVING) {
		b->phase = BROKER_DRAINING;
		if (!b->settings->drain_all)
			window_close(b);
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
	if (w == NULL || w->state >= CREW_LEAVING)
		return;
	if (state != NULL)
		crew_take_state(w, state);
	if (json_is_integer(processes))
		w->n_target = (unsigned)json_integer_value(processes);
	listener_review(&b->listener);
}

static void
take_log(int fd)
{
	int r = log_adopt(fd, NULL);

	if (r < 0)
		log_error("can't go on in the new log file: %s", strerror(-r));
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
		log_set_echo(false); /* the start is over */
		listener_open(&b->listener, fd);
		return;
	}
	if (strcmp(name, "log.reopen") == 0 && fd >= 0) {
		take_log(fd);
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
	throttle_init(&b->throttle, b->loop);
	ev_timer_init(&b->leave_timer, on_leave_timer, 0., 0.);
	b->leave_timer.data = b;
	catalog_init(&b->catalog);
	window_init(b);
	load_init(b);
	hold_init(b);
	handover_init(&b->handover, b);
	r = storage_init(b);
	if (r == 0)
		r = peer_group_init(&b->group, b->loop, on_turn, b);
	return r;
}

static void
free_tasks(struct task_tree *tree)
{
	struct task *t;

	while ((t = RB_ROOT(tree)) != NULL) {
		RB_REMOVE(task_tree, tree, t);
		task_unref(t);
	}
}

static void
tear_down(struct broker *b)
{
	size_t i;

	conn_close_all(b);
	roster_clear(b);
	peer_group_done(&b->group);
	listener_close(&b->listener);
	ctl_done(&b->ctl);
	wallwatch_stop(b);
	hold_done(b);
	storage_stop(b);
	throttle_done(&b->throttle);
	ev_timer_stop(b->loop, &b->timer);
	ev_timer_stop(b->loop, &b->leave_timer);
	load_done(b);
	handover_done(&b->handover);
	holdback_done(b);
	/* Writes what is left to be written, and may tell of it. */
	store_free(b->store);
	window_done(b);
	mailbox_done_all(b);
	unique_done_all(b);
	free_tasks(&b->tasks);
	free_tasks(&b->ending);
	free_tasks(&b->departing);
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

/* There is nothing to be done without the store: say so, and end. */
static int
refuse_store(struct broker *b, int r, const char *why)
{
	int status = EX_IOERR;

	if (r == -EBADF || r == -EPROTO || r == -EUCLEAN)
		status = EX_DATAERR;
	else if (r == -EBUSY)
		status = EX_TEMPFAIL;
	log_error("%s", why);
	(void)ctl_send(&b->ctl, -1, "store.failed", "{s:i}", "status", status);
	tear_down(b);
	ev_loop_destroy(b->loop);
	return status;
}

int64_t
broker_steady_now(const struct broker *b)
{
	return mono_now().ns / 1000000 + b->steady_ms;
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
	r = storage_open(&b, false, why);
	if (r < 0)
		return refuse_store(&b, r, why);
	(void)ctl_send(&b.ctl, -1, "ready", NULL);
	return serve(&b);
}

int
broker_resume(struct handover_in *in, const struct handover_head *head,
    struct broker_shared *shared)
{
	struct mono begin = mono_now();
	char why[STORE_WHY_SIZE];
	struct broker b;
	int r;

	r = set_up(&b, head->ctl_fd);
	if (r == 0)
		r = handover_load(&b, in, head, shared);
	handover_in_done(in);
	if (r == 0) {
		r = storage_open(&b, true, why);
		if (r < 0)
			log_error("%s", why);
	}
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
