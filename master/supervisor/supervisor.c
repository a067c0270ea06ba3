/* SPDX-License-Identifier: ISC */
/*
 * supervisor.c - the master: keep the broker and the workers alive
 *
 * Set-up, the socket, and what concerns all children.  The socket's name
 * appears when every worker has said hello, or one has failed to, and stays.
 */
#include "master/supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/log.h"
#include "ipc/sock.h"
#include "master/supervisor/autoscale.h"
#include "master/supervisor/child.h"
#include "master/supervisor/dump.h"
#include "master/supervisor/handover.h"
#include "master/supervisor/health.h"
#include "master/supervisor/order.h"
#include "master/supervisor/reap.h"
#include "master/supervisor/signals.h"
#include "master/supervisor/stop.h"

#define SERVE_WAIT_MS 5000 /* for the first workers to come up */

void
supervisor_connect(struct supervisor *sv, int fd)
{
	ctl_init(&sv->ctl, sv->loop, fd, &order_ctl_ops, sv);
}

/* Listen on the socket's path, in place of whatever has had it. */
static int
listen_at_path(struct supervisor *sv)
{
	const struct config *c = sv->config;
	struct stat st;
	int fd, r;

	r = sock_listen(c->socket, c->socket_mode, c->socket_gid, &fd);
	if (r < 0)
		return r;
	if (sv->listen_fd >= 0)
		close(sv->listen_fd);
	sv->listen_fd = fd;
	if (stat(c->socket, &st) == 0) {
		sv->listen_dev = st.st_dev;
		sv->listen_ino = st.st_ino;
	}
	return 0;
}

static void
give_listener(struct supervisor *sv)
{
	int r = 0;

	if (sv->listen_fd >= 0 && sv->broker_ready)
		r = ctl_send(&sv->ctl, sv->listen_fd, "listener", NULL);
	if (r < 0)
		log_error("can't pass on the socket: %s", strerror(-r));
}

void
supervisor_watch_socket(struct supervisor *sv)
{
	if (!sv->activated)
		files_watch_socket(&sv->files, sv->config->socket,
		    sv->listen_dev, sv->listen_ino);
}

static void
open_socket(struct supervisor *sv)
{
	int r = 0;

	deadline_stop(&sv->serve);
	if (!sv->activated)
		r = listen_at_path(sv);
	if (r < 0) {
		log_error(
		    "can't listen on %s: %s", sv->config->socket, strerror(-r));
		sv->exit_status = EX_CANTCREAT;
		supervisor_stop(sv, SUPERVISOR_QUICK, "no socket to serve on");
		return;
	}
	give_listener(sv);
	sv->phase = SUPERVISOR_SERVING;
	log_info("serving on %s", sv->config->socket);
	sv->ops->on_serving(sv->arg);
	supervisor_watch_socket(sv);
	supervisor_tell_status(sv);
	notify_ready(&sv->notify);
	reload_resume(sv);
}

void
supervisor_serve_if_ready(struct supervisor *sv)
{
	struct pool *p;
	struct slot *s;

	if (sv->phase != SUPERVISOR_STARTING || !sv->broker_ready)
		return;
	TAILQ_FOREACH(p, &sv->pools, entry) {
		TAILQ_FOREACH(s, &p->slots, entry) {
			if (!s->answered && deadline_is_set(&sv->serve) &&
			    s->pid != 0)
				return;
		}
	}
	open_socket(sv);
}

static void
on_serve_timer(void *arg)
{
	supervisor_serve_if_ready(arg);
}

/* A new broker knows of no worker: start those that have no process. */
static void
start_workers(struct supervisor *sv)
{
	struct pool *p, *next_pool;
	struct slot *s, *next;

	TAILQ_FOREACH_SAFE(p, &sv->pools, entry, next_pool) {
		TAILQ_FOREACH_SAFE(s, &p->slots, entry, next) {
			if (!ev_is_active(&s->again))
				child_start(s);
		}
		if (sv->phase <= SUPERVISOR_SERVING)
			pool_adjust(p);
		pool_tell_state(p);
	}
}

void
supervisor_take_ready(struct supervisor *sv, bool resumed)
{
	sv->broker_ready = true;
	restart_hello(&sv->broker.restart, mono_now());
	/* It serves from now on, so living a second proves it. */
	restart_served(&sv->broker.restart, mono_now());
	child_watch_proving(&sv->broker);
	if (!resumed) {
		log_info("broker, pid %d, is up", (int)sv->broker.pid);
		if (sv->phase == SUPERVISOR_STARTING)
			deadline_set(&sv->serve, SERVE_WAIT_MS);
		give_listener(sv);
		start_workers(sv);
		supervisor_serve_if_ready(sv);
	}
	upgrade_take_broker(sv);
	reload_take_broker(sv);
}

void
supervisor_reopen_logs(struct supervisor *sv)
{
	int r = log_reopen();

	if (r < 0) {
		log_error("can't open the log file anew: %s", strerror(-r));
		return;
	}
	log_info("log opened anew");
	/* It could perhaps not open the file itself. */
	r = ctl_send(&sv->ctl, log_fd(), "log.reopen", NULL);
	if (r < 0 && r != -EPIPE)
		log_error(
		    "the broker goes on in the old log file: %s", strerror(-r));
}

void
supervisor_tell_status(struct supervisor *sv)
{
	unsigned n_up = 0, n_flapping = 0, n_pools = 0;
	const struct pool *p;
	const struct slot *s;

	if (sv->notify.fd < 0 || sv->phase > SUPERVISOR_SERVING)
		return;
	if (restart_is_flapping(&sv->broker.restart)) {
		notify_status(&sv->notify, "the broker is flapping");
		return;
	}
	TAILQ_FOREACH(p, &sv->pools, entry) {
		n_pools++;
		n_flapping += p->flapping;
		TAILQ_FOREACH(s, &p->slots, entry)
			n_up += s->pid != 0 && s->answered;
	}
	notify_status(&sv->notify,
	    "%s; workers up: %u, pools: %u, of them flapping: %u",
	    sv->phase < SUPERVISOR_SERVING ? "starting"
	    : sv->resting                  ? "drained"
					   : "serving",
	    n_up, n_pools, n_flapping);
}

void
supervisor_rest(struct supervisor *sv, bool resting)
{
	struct pool *p;

	if (sv->resting == resting)
		return;
	sv->resting = resting;
	log_info("%s", resting ? "the workers are drained; tasks are queued "
				 "until a SIGHUP"
			       : "the workers are started again");
	pool_adjust_all(sv);
	TAILQ_FOREACH(p, &sv->pools, entry)
		pool_tell_state(p);
}

/* The socket's name is gone, or a dead one's: take it back. */
static int
on_socket_lost(void *arg)
{
	struct supervisor *sv = arg;
	int r;

	if (sv->phase != SUPERVISOR_SERVING)
		return 0;
	r = listen_at_path(sv);
	if (r < 0)
		return r;
	give_listener(sv);
	outage_move(&sv->outage, sv->listen_fd);
	supervisor_watch_socket(sv);
	return 0;
}

static void
on_watchdog(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct supervisor *sv = w->data;

	(void)loop;
	(void)revents;
	notify_ping(&sv->notify);
}

/* Tell the service manager that the loop goes round, as often as it wants. */
static void
start_watchdog(struct supervisor *sv)
{
	double s = (double)notify_watchdog_ms(&sv->notify) / 2000.;

	ev_timer_init(&sv->watchdog, on_watchdog, s, s);
	sv->watchdog.data = sv;
	if (s > 0.)
		ev_timer_start(sv->loop, &sv->watchdog);
}

static int
add_pools(struct supervisor *sv)
{
	const struct config *c = sv->config;
	struct pool *p;
	unsigned k;
	size_t i;

	for (i = 0; i < c->n_pools; i++) {
		p = pool_add(sv, &c->pools[i]);
		if (p == NULL)
			return -ENOMEM;
		for (k = 1; k <= p->n_wanted; k++)
			if (pool_add_slot(p, k) == NULL)
				return -ENOMEM;
	}
	return 0;
}

/* What needs memory, or the kernel.  0 or -errno. */
static int
set_up(struct supervisor *sv, const struct supervisor_start *start)
{
	int r;

	outage_init(&sv->outage, sv->loop);
	r = reap_adopt_orphans();
	if (r < 0)
		log_warn(
		    "can't adopt what tasks leave behind: %s", strerror(-r));
	r = notify_open(&sv->notify, sv->loop);
	if (r < 0)
		log_warn("can't tell the service manager: %s", strerror(-r));
	start_watchdog(sv);
	r = files_open(&sv->files, sv->loop, start->lock, on_socket_lost, sv);
	if (r < 0)
		log_warn("can't watch files: %s", strerror(-r));
	slot_init(&sv->broker, sv, NULL, 0);
	deadline_init(&sv->serve, sv->loop, on_serve_timer, sv);
	supervisor_stop_init(sv);
	health_init(sv);
	r = reload_init(sv);
	if (r == 0)
		r = upgrade_init(sv);
	if (r == 0)
		r = signals_open(sv);
	if (r == 0)
		r = start->handover == NULL
			? add_pools(sv)
			: handover_read(sv, start->handover);
	return r;
}

/* Unlink the socket unless its name is another daemon's by now. */
static void
remove_socket(struct supervisor *sv)
{
	struct stat st;

	if (sv->listen_fd < 0)
		return;
	if (!sv->activated && stat(sv->config->socket, &st) == 0 &&
	    st.st_dev == sv->listen_dev && st.st_ino == sv->listen_ino)
		(void)unlink(sv->config->socket);
	close(sv->listen_fd);
}

static void
tear_down(struct supervisor *sv)
{
	dump_done(sv);
	outage_end(&sv->outage);
	reload_done(sv);
	upgrade_done(sv);
	files_close(&sv->files);
	remove_socket(sv);
	ctl_done(&sv->ctl);
	signals_close(sv);
	while (!TAILQ_EMPTY(&sv->pools))
		pool_remove(TAILQ_FIRST(&sv->pools));
	notify_close(&sv->notify);
	ev_loop_destroy(sv->loop);
	json_decref(sv->names);
	json_decref(sv->rolls);
	config_free(&sv->config);
}

/* Begin: from nothing, or where the binary before this one was. */
static void
begin(struct supervisor *sv, const struct supervisor_start *start)
{
	health_configure(sv);
	if (start->handover == NULL) {
		child_start(&sv->broker);
		return;
	}
	log_info("upgrade: gangerd " GANGER_VERSION " has taken over");
	supervisor_watch_socket(sv);
	upgrade_go_on(sv, start->handover);
	/* Who ended, or was stopped, while nobody looked. */
	reap_run(sv);
	reap_note_stops(sv);
}

int
supervisor_run(const struct supervisor_start *start)
{
	struct supervisor sv;
	int r;

	memset(&sv, 0, sizeof(sv));
	sv.config = start->config;
	sv.names = start->names;
	sv.ops = start->ops;
	sv.arg = start->arg;
	sv.debug = start->debug;
	sv.listen_fd = start->listen_fd;
	sv.activated = start->listen_fd >= 0;
	sv.signal_fd = sv.ctl.fd = -1;
	sv.rolls = json_array();
	TAILQ_INIT(&sv.pools);
	LIST_INIT(&sv.dumps);
	/* Not the default loop, which would reap children itself. */
	sv.loop = ev_loop_new(EVFLAG_AUTO);
	if (sv.loop == NULL || sv.rolls == NULL) {
		log_error("can't make an event loop");
		return EX_OSERR;
	}
	r = set_up(&sv, start);
	if (r < 0) {
		log_error("can't set up: %s", strerror(-r));
		sv.exit_status = EX_OSERR;
	} else {
		begin(&sv, start);
		ev_run(sv.loop, 0);
	}
	tear_down(&sv);
	return sv.exit_status;
}
