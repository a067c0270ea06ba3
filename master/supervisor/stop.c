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
 * A stop is over when no child is left.
 */
#include "master/supervisor/stop.h"

#include <signal.h>

#include "ipc/log.h"

#define ABORT_WAIT 1.0 /* s from SIGABRT to a quick stop */
#define QUICK_WAIT 1.2 /* s from a quick stop to SIGKILL for workers */
#define LAST_WAIT  0.7 /* s from there to SIGKILL for the broker */

static void
signal_workers(struct supervisor *sv, int signo, bool group)
{
	size_t i;

	for (i = 0; i < sv->n_workers; i++) {
		if (group)
			slot_kill_group(&sv->workers[i], signo);
		else
			slot_kill(&sv->workers[i], signo);
	}
}

static unsigned
count_workers(const struct supervisor *sv)
{
	unsigned n;
	size_t i;

	for (i = n = 0; i < sv->n_workers; i++)
		n += sv->workers[i].pid != 0;
	return n;
}

static void
set_timer(struct supervisor *sv, double seconds)
{
	ev_timer_stop(sv->loop, &sv->stop);
	ev_now_update(sv->loop);
	ev_timer_set(&sv->stop, seconds, 0.);
	ev_timer_start(sv->loop, &sv->stop);
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
		set_timer(sv, (double)sv->config->graceful_timeout_ms / 1000.);
		break;
	case SUPERVISOR_ABORTING:
		/* First the word that what they run is not to blame. */
		tell_broker(sv, "abort");
		signal_workers(sv, SIGABRT, false);
		set_timer(sv, ABORT_WAIT);
		break;
	case SUPERVISOR_QUICK:
		tell_broker(sv, "quick");
		signal_workers(sv, SIGTERM, false);
		set_timer(sv, QUICK_WAIT);
		break;
	default:
		signal_workers(sv, SIGKILL, true);
		slot_kill(&sv->broker, SIGKILL);
	}
}

static void
on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct supervisor *sv = w->data;

	(void)loop;
	(void)revents;
	if (sv->phase == SUPERVISOR_GRACEFUL) {
		log_warn("over graceful_timeout: %u workers are aborted",
		    count_workers(sv));
		sv->phase = SUPERVISOR_ABORTING;
		enter(sv);
	} else if (sv->phase == SUPERVISOR_ABORTING) {
		sv->phase = SUPERVISOR_QUICK;
		enter(sv);
	} else if (count_workers(sv) > 0) {
		log_warn("%u workers are killed", count_workers(sv));
		signal_workers(sv, SIGKILL, true);
		set_timer(sv, LAST_WAIT);
	} else {
		sv->phase = SUPERVISOR_KILLING;
		enter(sv);
	}
}

void
supervisor_stop_init(struct supervisor *sv)
{
	ev_timer_init(&sv->stop, on_timer, 0., 0.);
	sv->stop.data = sv;
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
	size_t i;

	if (phase <= sv->phase) {
		log_info("%s: already stopping", why);
		return;
	}
	log_info("%s: %s stop", why, kinds[phase]);
	sv->phase = phase;
	ev_timer_stop(sv->loop, &sv->serve);
	/* Nobody waits for a start that is a while away. */
	for (i = 0; i < sv->n_workers; i++)
		if (ev_is_active(&sv->workers[i].again) &&
		    (phase > SUPERVISOR_GRACEFUL || !sv->broker_ready))
			ev_timer_stop(sv->loop, &sv->workers[i].again);
	ev_timer_stop(sv->loop, &sv->broker.again);
	enter(sv);
	supervisor_end_if_over(sv);
}

void
supervisor_end_if_over(struct supervisor *sv)
{
	if (sv->phase <= SUPERVISOR_SERVING || sv->broker.pid != 0 ||
	    count_workers(sv) > 0 || sv->ended)
		return;
	sv->ended = true;
	log_info("stopped");
	ev_break(sv->loop, EVBREAK_ALL);
}
