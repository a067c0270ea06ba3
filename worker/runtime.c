/* SPDX-License-Identifier: ISC */
/*
 * runtime.c - the whole life of a worker process
 *
 * The main thread runs a loop with the channel, the signals and two timers,
 * and never waits for a task.  It leaves the loop when the pills have been
 * swallowed and all answers sent, or when its time is up.
 */
#include "worker/runtime.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/log.h"
#include "worker/fault.h"
#include "worker/limit.h"
#include "worker/module.h"
#include "worker/perform.h"
#include "worker/pool.h"
#include "worker/report.h"
#include "worker/route.h"
#include "worker/slots.h"
#include "worker/stacks.h"
#include "worker/uplink.h"

/* How long the quick end waits for the threads. */
#define QUICK_END_S 1.0

enum phase {
	RUNNING,
	DRAINING, /* the pills are behind the last job */
	CUTTING   /* the quick end */
};

struct runtime {
	const struct worker_settings *settings;
	struct modules modules;
	struct routes routes;
	struct ev_loop *loop; /* owned */
	struct uplink uplink;
	struct pool pool;
	enum phase phase;
	struct ev_signal term;
	struct ev_timer progress_timer;
	struct ev_timer quick_timer;
	struct limit limit;
	struct ev_check busy;   /* the loop has something to do */
	struct ev_prepare idle; /* it waits */
};

/* Give a run back that is not begun: it costs no attempt. */
static void
give_back(struct runtime *rt, const struct order *o)
{
	report_snooze(uplink_out(&rt->uplink), o->id, o->run, 0);
	uplink_flush(&rt->uplink);
}

static void
refuse(struct runtime *rt, const struct order *o, enum rpc_code code,
    const char *message, bool retryable)
{
	struct report_failure f = {
	    .code = code, .retryable = retryable, .message = message};
	struct buf b;

	buf_init(&b, SIZE_MAX);
	report_failure(&b, o->rpc_id, &f, rt->settings->max_message);
	uplink_post(&rt->uplink, &b);
	buf_done(&b);
}

static void
take_run(struct runtime *rt, const struct order *o)
{
	const struct route *route;
	struct ganger_task *t;

	route = routes_find(&rt->routes, o->name);
	if (rt->phase != RUNNING) {
		give_back(rt, o);
	} else if (route == NULL) {
		log_warn("task %llu: no such task name here",
		    (unsigned long long)o->id);
		refuse(rt, o, RPC_NO_SUCH_NAME,
		    "the worker has no task of this name", false);
	} else {
		t = job_new(o, route, &rt->uplink);
		if (t == NULL) {
			give_back(rt, o);
		} else {
			pool_push(&rt->pool, t);
			limit_watch(&rt->limit, o->soft_timeout_ms);
		}
	}
}

static void
cancel_if_named(void *arg, struct ganger_task *t)
{
	const struct order *o = arg;

	if (t->id == o->id && t->run == o->run)
		job_cancel(t, mono_add_ms(mono_now(), o->grace_ms));
}

static void
cut(void *arg, struct ganger_task *t)
{
	(void)arg;
	job_stop(t, JOB_CUT);
}

/* The poison pill. */
static void
start_draining(struct runtime *rt)
{
	if (rt->phase != RUNNING)
		return;
	log_debug("the pill");
	rt->phase = DRAINING;
	pool_push_pills(&rt->pool);
}

static void
start_cutting(struct runtime *rt)
{
	if (rt->phase == CUTTING)
		return;
	start_draining(rt);
	rt->phase = CUTTING;
	pool_visit(&rt->pool, cut, NULL);
	ev_timer_start(rt->loop, &rt->quick_timer);
}

static void
on_order(void *arg, const struct order *o)
{
	struct runtime *rt = arg;
	struct order named = *o;

	switch (o->kind) {
	case ORDER_RUN:
		take_run(rt, o);
		break;
	case ORDER_CANCEL:
		pool_visit(&rt->pool, cancel_if_named, &named);
		break;
	case ORDER_STOP:
		start_draining(rt);
		break;
	}
}

/* A look at every job's progress. */
struct progress_round {
	struct mono now;
	struct buf *out;
	int64_t next_ms; /* until the first that is not due yet; 0: none */
};

static void
write_progress(void *arg, struct ganger_task *t)
{
	struct progress_round *pr = arg;
	int64_t left_ms;

	left_ms = job_write_progress(t, pr->now, false, pr->out);
	if (left_ms > 0 && (pr->next_ms == 0 || left_ms < pr->next_ms))
		pr->next_ms = left_ms;
}

static void
send_progress(struct runtime *rt)
{
	struct progress_round pr = {
	    .now = mono_now(), .out = uplink_out(&rt->uplink)};

	pool_visit(&rt->pool, write_progress, &pr);
	uplink_flush(&rt->uplink);
	if (pr.next_ms > 0 && !ev_is_active(&rt->progress_timer)) {
		ev_timer_set(
		    &rt->progress_timer, (double)pr.next_ms / 1000., 0.);
		ev_timer_start(rt->loop, &rt->progress_timer);
	}
}

static void
leave_if_over(struct runtime *rt)
{
	if (rt->phase != RUNNING && pool_is_over(&rt->pool) &&
	    uplink_is_flushed(&rt->uplink))
		ev_break(rt->loop, EVBREAK_ALL);
}

static void
on_turn(void *arg)
{
	struct runtime *rt = arg;

	if (uplink_take_progress(&rt->uplink))
		send_progress(rt);
	leave_if_over(rt);
}

static void
on_sent(void *arg)
{
	leave_if_over(arg);
}

/* Without the channel nobody wants what is done here. */
static void
on_gone(void *arg, const char *reason)
{
	struct runtime *rt = arg;

	log_info("the channel is closed%s%s", reason == NULL ? "" : ": ",
	    reason == NULL ? "" : reason);
	pool_visit(&rt->pool, cut, NULL);
	_exit(EX_UNAVAILABLE);
}

static const struct uplink_ops uplink_ops = {
    .on_order = on_order,
    .on_turn = on_turn,
    .on_sent = on_sent,
    .on_gone = on_gone,
};

static void
end_thread(void)
{
	slots_unbind();
	fault_stop_thread();
}

static int
on_thread_start(void *arg, unsigned i)
{
	struct runtime *rt = arg;
	const struct module *failed;
	int r;

	fault_start_thread();
	slots_bind(i);
	r = modules_start_thread(&rt->modules, &failed);
	if (r < 0) {
		log_error("%s: its thread_init failed: %s", failed->origin,
		    strerrordesc_np(-r));
		end_thread();
		return -ECANCELED;
	}
	return 0;
}

static void
on_thread_stop(void *arg)
{
	struct runtime *rt = arg;

	modules_stop_thread(&rt->modules);
	end_thread();
}

static void
on_perform(void *arg, struct ganger_task *t, struct buf *scratch)
{
	struct mono now = mono_now();

	(void)arg;
	job_begin(t, now);
	slots_begin(t->id, t->run, now);
	perform_job(t, scratch);
	slots_end();
}

static void
on_thread_ended(void *arg)
{
	struct runtime *rt = arg;

	uplink_wake(&rt->uplink);
}

static const struct pool_ops pool_ops = {
    .start_thread = on_thread_start,
    .stop_thread = on_thread_stop,
    .perform = on_perform,
    .on_ended = on_thread_ended,
};

static void
on_progress_due(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	send_progress(w->data);
}

/* Some threads do not come to their end: leave them. */
static void
on_quick_end(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct runtime *rt = w->data;

	(void)loop;
	(void)revents;
	log_warn("tasks do not stop, leaving them");
	pool_visit(&rt->pool, cut, NULL);
	_exit(0);
}

static void
on_term(struct ev_loop *loop, struct ev_signal *w, int revents)
{
	(void)loop;
	(void)revents;
	start_cutting(w->data);
}

static void
on_loop_busy(struct ev_loop *loop, struct ev_check *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
	atomic_store_explicit(
	    &slots_page()->busy_ns, mono_now().ns, memory_order_relaxed);
}

static void
on_loop_idle(struct ev_loop *loop, struct ev_prepare *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents;
	atomic_store_explicit(&slots_page()->busy_ns, 0, memory_order_relaxed);
}

/*
 * Take the signals that are handled at any moment.  Until the loop takes it
 * over SIGTERM ends the process: nothing of worth is lost then, and a module's
 * init may be stuck.  The others stay blocked; SIGPIPE is never wanted.
 */
static int
set_signals(void)
{
	sigset_t set;
	int r;

	signal(SIGPIPE, SIG_IGN);
	r = stacks_init();
	if (r == 0)
		r = fault_init();
	if (r < 0)
		return r;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	return sigprocmask(SIG_UNBLOCK, &set, NULL) < 0 ? -errno : 0;
}

/* Die with the parent, of sig.  -ESRCH: it died before. */
static int
follow_parent(pid_t parent, int sig)
{
	if (prctl(PR_SET_PDEATHSIG, sig) < 0)
		return -errno;
	return getppid() == parent ? 0 : -ESRCH;
}

static void
log_mistakes(struct buf *mistakes)
{
	char *text, *line, *rest;

	text = buf_steal(mistakes, NULL);
	if (text == NULL)
		return;
	for (rest = text; (line = strsep(&rest, "\n")) != NULL;)
		if (line[0] != '\0')
			log_error("%s", line);
	free(text);
}

/* Load the modules and gather the names; an exit status, 0 to go on. */
static int
load(struct runtime *rt)
{
	struct buf mistakes;
	int r, r2;

	buf_init(&mistakes, SIZE_MAX);
	r = modules_load(&rt->modules, rt->settings, &mistakes);
	if (r == -ENOMEM)
		return EX_OSERR;
	r2 = routes_build(&rt->routes, &rt->modules, rt->settings, &mistakes);
	log_mistakes(&mistakes);
	buf_done(&mistakes);
	if (r2 == -ENOMEM)
		return EX_OSERR;
	return r < 0 || r2 < 0 ? EX_CONFIG : 0;
}

static void
say_hello(struct runtime *rt)
{
	struct buf names;

	buf_init(&names, SIZE_MAX);
	routes_write_names(&rt->routes, &names);
	report_hello(uplink_out(&rt->uplink), buf_head(&names), buf_len(&names),
	    rt->settings->threads, getpid());
	uplink_flush(&rt->uplink);
	buf_done(&names);
}

static void
watch(struct runtime *rt)
{
	ev_signal_init(&rt->term, on_term, SIGTERM);
	ev_timer_init(&rt->progress_timer, on_progress_due, 0., 0.);
	ev_timer_init(&rt->quick_timer, on_quick_end, QUICK_END_S, 0.);
	rt->term.data = rt->progress_timer.data = rt->quick_timer.data = rt;
	ev_signal_start(rt->loop, &rt->term);
	limit_init(&rt->limit, rt->loop, &rt->pool);
	ev_check_init(&rt->busy, on_loop_busy);
	ev_prepare_init(&rt->idle, on_loop_idle);
	/* Around all that others do in a turn. */
	ev_set_priority(&rt->busy, EV_MAXPRI);
	ev_set_priority(&rt->idle, EV_MINPRI);
	ev_check_start(rt->loop, &rt->busy);
	ev_prepare_start(rt->loop, &rt->idle);
}

/* The loop is over: what comes behind it takes the time that it takes. */
static void
unwatch(struct runtime *rt)
{
	/* From here on it ends the process again. */
	ev_signal_stop(rt->loop, &rt->term);
	atomic_store(&slots_page()->busy_ns, 0);
}

/* Serve the channel to the end: what needs a loop.  0 or -errno. */
static int
serve(struct runtime *rt, pid_t parent)
{
	const struct worker_settings *s = rt->settings;
	int r;

	rt->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOENV);
	if (rt->loop == NULL)
		return -ENOMEM;
	r = uplink_init(
	    &rt->uplink, rt->loop, s->fd, s->max_message, &uplink_ops, rt);
	if (r < 0)
		goto err_loop;
	r = pool_start(&rt->pool, s->threads, &pool_ops, rt);
	if (r < 0)
		goto err_uplink;
	watch(rt);
	r = follow_parent(parent, SIGTERM);
	if (r < 0) {
		pool_push_pills(&rt->pool);
	} else {
		say_hello(rt);
		ev_run(rt->loop, 0);
		unwatch(rt);
	}
	pool_join(&rt->pool);
err_uplink:
	uplink_done(&rt->uplink);
err_loop:
	ev_loop_destroy(rt->loop);
	return r;
}

static void
tell_failure(int r)
{
	if (r == -ECANCELED)
		; /* by a module's thread_init, which was told */
	else if (r == -EAGAIN)
		log_error("the worker cannot start: no room for its threads: "
			  "rlimit_nproc, or its control group's pids.max");
	else
		log_error("the worker cannot start: %s", strerrordesc_np(-r));
}

/* Run with the modules loaded: their hooks around the rest. */
static int
serve_modules(struct runtime *rt, pid_t parent)
{
	const struct module *failed;
	int r;

	r = modules_start(&rt->modules, &failed);
	if (r < 0) {
		log_error("%s: its init failed: %s", failed->origin,
		    strerrordesc_np(-r));
		return EX_OSERR;
	}
	r = serve(rt, parent);
	if (r < 0)
		tell_failure(r);
	modules_stop(&rt->modules);
	return r < 0 ? EX_OSERR : 0;
}

int
worker_run(const struct worker_settings *s)
{
	static char stdout_buffer[BUFSIZ];
	struct runtime rt;
	pid_t parent;
	int r, status;

	memset(&rt, 0, sizeof(rt));
	rt.settings = s;
	parent = getppid();
	/* A pipe is what it writes to: a line is not to wait for more. */
	(void)setvbuf(stdout, stdout_buffer, _IOLBF, sizeof(stdout_buffer));
	slots_init(s->page);
	r = follow_parent(parent, SIGKILL);
	if (r == 0)
		r = set_signals();
	if (r < 0) {
		log_error("the worker cannot start: %s", strerrordesc_np(-r));
		return EX_OSERR;
	}
	status = load(&rt);
	if (status == 0)
		status = serve_modules(&rt, parent);
	routes_done(&rt.routes);
	modules_done(&rt.modules);
	return status;
}
