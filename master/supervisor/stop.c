/* SPDX-License-Identifier: ISC */
/*
 * stop.c - the steps of a stop
 *
 *   GRACEFUL  the broker drains and gives out the pills; after
 *             graceful_timeout comes
 *   ABORTING  SIGABRT to the workers that are left; a second later comes
 *   QUICK     SIGTERM to the workers, which let go of their tasks, and SIGKILL
 *             to what is left after 1.2 s; the broker has 0.7 s more; then
 *   KILLING   SIGKILL to all
 *
 * When no child is left that is known, what tasks have left behind is killed,
 * and then the stop is over.
 */
#include "master/supervisor/stop.h"

#include <signal.h>

#include "ipc/log.h"
#include "master/supervisor/health.h"
#include "master/supervisor/reap.h"

#define ABORT_WAIT 1000 /* ms from SIGABRT to a quick stop */
#define QUICK_WAIT 1200 /* ms from a quick stop to SIGKILL for workers */
#define LAST_WAIT  700  /* ms from there to SIGKILL for the broker */
#define SWEEP_S    .02  /* s between looks at what is left */
#define SWEEPS_MAX 50
#define SLACK_WAIT 2000 /* ms for those looks, and for a busy machine */

/* ms that it takes at most when graceful_timeout is over. */
#define HARD_WAIT (ABORT_WAIT + QUICK_WAIT + LAST_WAIT + SLACK_WAIT)

static void
signal_workers(struct supervisor *sv, int signo, bool group)
{
	struct pool *p;
	struct slot *s;

	TAILQ_FOREACH(p, &sv->pools, entry) {
		TAILQ_FOREACH(s, &p->slots, entry) {
			if (group)
				slot_kill_group(s, signo);
			else
				slot_end(s, signo);
		}
	}
}

static void
on_sweep_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct supervisor *sv = w->data;

	(void)loop;
	(void)revents;
	sv->n_sweeps++;
	supervisor_end_if_over(sv);
}

static void
tell_broker(struct supervisor *sv, const char *mode)
{
	if (sv->broker_ready) {
		(void)ctl_send(&sv->ctl, -1, "stop", "{s:s}", "mode", mode);
		return;
	}
	/* It has no tasks yet. */
	sv->broker.ordered = true;
	slot_kill(&sv->broker, SIGKILL);
}

/* Do what a phase begins with. */
static void
enter(struct supervisor *sv)
{
	switch (sv->phase) {
	case SUPERVISOR_GRACEFUL:
		tell_broker(sv, "graceful");
		deadline_set(&sv->stop, sv->config->graceful_timeout_ms);
		break;
	case SUPERVISOR_ABORTING:
		/* First the word that what they run is not to blame. */
		tell_broker(sv, "abort");
		signal_workers(sv, SIGABRT, false);
		deadline_set(&sv->stop, ABORT_WAIT);
		break;
	case SUPERVISOR_QUICK:
		tell_broker(sv, "quick");
		signal_workers(sv, SIGTERM, false);
		deadline_set(&sv->stop, QUICK_WAIT);
		break;
	default:
		signal_workers(sv, SIGKILL, true);
		slot_kill(&sv->broker, SIGKILL);
	}
}

static void
on_timer(void *arg)
{
	struct supervisor *sv = arg;

	unsigned n = pool_count_processes(sv);

	if (sv->phase == SUPERVISOR_GRACEFUL) {
		log_warn("over graceful_timeout: %u worker%s aborted", n,
		    n == 1 ? " is" : "s are");
		sv->phase = SUPERVISOR_ABORTING;
		enter(sv);
	} else if (sv->phase == SUPERVISOR_ABORTING) {
		sv->phase = SUPERVISOR_QUICK;
		enter(sv);
	} else if (n > 0 && !sv->workers_killed) {
		sv->workers_killed = true;
		log_warn("%u worker%s killed", n, n == 1 ? " is" : "s are");
		signal_workers(sv, SIGKILL, true);
		deadline_set(&sv->stop, LAST_WAIT);
	} else {
		sv->phase = SUPERVISOR_KILLING;
		enter(sv);
	}
}

void
supervisor_stop_init(struct supervisor *sv)
{
	deadline_init(&sv->stop, sv->loop, on_timer, sv);
	ev_timer_init(&sv->sweep, on_sweep_timer, SWEEP_S, SWEEP_S);
	sv->sweep.data = sv;
}

/* Nobody waits for a start that is a while away. */
static void
stop_waiting(struct supervisor *sv)
{
	struct pool *p;
	struct slot *s;

	TAILQ_FOREACH(p, &sv->pools, entry) {
		TAILQ_FOREACH(s, &p->slots, entry) {
			if (ev_is_active(&s->again) &&
			    (sv->phase > SUPERVISOR_GRACEFUL ||
				!sv->broker_ready))
				ev_timer_stop(sv->loop, &s->again);
		}
	}
	ev_timer_stop(sv->loop, &sv->broker.again);
}

void
supervisor_stop(
    struct supervisor *sv, enum supervisor_phase phase, const char *why)
{
	static const char *const kinds[] = {
	    [SUPERVISOR_GRACEFUL] = "graceful",
	    [SUPERVISOR_QUICK] = "quick",
	    [SUPERVISOR_KILLING] = "immediate",
	};

	if (phase <= sv->phase) {
		log_info("%s: already stopping", why);
		return;
	}
	log_info("%s: %s stop", why, kinds[phase]);
	if (sv->phase <= SUPERVISOR_SERVING) {
		notify_stopping(
		    &sv->notify, sv->config->graceful_timeout_ms + HARD_WAIT);
		reload_cancel(sv);
		upgrade_cancel(sv);
		health_stop(sv);
		supervisor_rest(sv, false);
	}
	sv->phase = phase;
	deadline_stop(&sv->serve);
	stop_waiting(sv);
	enter(sv);
	supervisor_end_if_over(sv);
}

void
supervisor_end_if_over(struct supervisor *sv)
{
	if (sv->phase <= SUPERVISOR_SERVING || sv->broker.pid != 0 ||
	    pool_count_processes(sv) > 0 || sv->ended)
		return;
	if (sv->phase != SUPERVISOR_SWEEPING) {
		sv->phase = SUPERVISOR_SWEEPING;
		deadline_stop(&sv->stop);
		ev_timer_start(sv->loop, &sv->sweep);
	}
	if (reap_sweep(sv) && sv->n_sweeps < SWEEPS_MAX)
		return; /* until the next SIGCHLD, or the timer */
	sv->ended = true;
	log_info("stopped");
	ev_break(sv->loop, EVBREAK_ALL);
}
