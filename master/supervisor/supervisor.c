/* SPDX-License-Identifier: ISC */
/*
 * supervisor.c - the master: keep the broker and the workers alive
 *
 * The broker comes first; workers are started once it takes orders, because
 * their channels go to it.  When the broker dies its workers die of their
 * closed channels, and both are started again.  The socket's name appears when
 * every worker has said hello, or one has failed to, and stays.
 */
#include "master/supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/clock.h"
#include "ipc/log.h"
#include "ipc/sock.h"
#include "master/supervisor/signals.h"
#include "master/supervisor/spawn.h"
#include "master/supervisor/stop.h"

#define SERVE_WAIT     5.   /* s for the first workers to come up */
#define ORPHAN_WAIT_MS 2000 /* for workers to end after their broker */

/* What the child of a slot is to run. */
struct birth {
	struct slot *slot;
	int fd;
};

static int
run_child(void *arg)
{
	struct birth *birth = arg;
	struct supervisor *sv = birth->slot->supervisor;

	if (birth->slot->pool == NULL)
		return sv->ops->run_broker(sv->arg, birth->fd);
	return sv->ops->run_worker(
	    sv->arg, birth->slot->pool, birth->slot->number, birth->fd);
}

static void
set_timer(struct supervisor *sv, struct ev_timer *w, int64_t ms)
{
	ev_timer_stop(sv->loop, w);
	ev_now_update(sv->loop);
	ev_timer_set(w, (double)ms / 1000., 0.);
	ev_timer_start(sv->loop, w);
}

/* It died, or could not be started: start it again when its turn comes. */
static void
schedule_restart(struct slot *s)
{
	bool was_flapping = restart_is_flapping(&s->restart);
	char name[SLOT_NAME_SIZE];
	int64_t ms;

	ms = restart_died(&s->restart, mono_now(), arc4random());
	slot_name(s, name);
	if (restart_is_flapping(&s->restart) && !was_flapping)
		log_error("%s is flapping: it died %d times in a row right "
			  "after its start; tried every %d s from now on",
		    name, RESTART_FLAPPING_AT, RESTART_PROBE_MS / 1000);
	else if (ms > 0)
		log_warn("%s is started again in %lld ms", name, (long long)ms);
	set_timer(s->supervisor, &s->again, ms);
}

/* Tell the broker whether a pool has any worker that stays up. */
static void
tell_pool_state(struct supervisor *sv, const struct config_pool *pool)
{
	bool flapping = false;
	size_t i;

	for (i = 0; i < sv->n_workers; i++) {
		if (sv->workers[i].pool != pool)
			continue;
		flapping = restart_is_flapping(&sv->workers[i].restart);
		if (!flapping)
			break;
	}
	if (sv->broker_ready)
		(void)ctl_send(&sv->ctl, -1, "pool.state", "{s:s,s:s}", "pool",
		    pool->name, "state", flapping ? "flapping" : "up");
}

static void
start_failed(struct slot *s, int r)
{
	char name[SLOT_NAME_SIZE];

	slot_name(s, name);
	log_error("can't start %s: %s", name, strerror(-r));
	schedule_restart(s);
}

/* Fork the slot's process on its end of a channel; 0 or -errno. */
static int
fork_slot(struct slot *s, int type, int *fd_out)
{
	struct birth birth = {.slot = s};
	char title[SLOT_NAME_SIZE];
	struct config_account account =
	    config_account_of(s->supervisor->config, s->pool);
	struct spawn spawn = {
	    .title = title,
	    .death_signal = SIGTERM,
	    .nice = s->pool == NULL ? 0 : s->pool->nice,
	    .run = run_child,
	    .arg = &birth,
	    .account = &account,
	};
	int fds[2], r;
	pid_t pid;

	r = sock_pair(type, fds);
	if (r < 0)
		return r;
	slot_name(s, title);
	birth.fd = spawn.keep_fd = fds[1];
	pid = spawn_child(&spawn);
	close(fds[1]);
	if (pid < 0) {
		close(fds[0]);
		return (int)pid;
	}
	s->pid = pid;
	s->ordered = s->answered = s->over = false;
	restart_started(&s->restart);
	*fd_out = fds[0];
	return 0;
}

static void
start_worker(struct slot *s)
{
	struct supervisor *sv = s->supervisor;
	int fd, r;

	r = fork_slot(s, SOCK_STREAM, &fd);
	if (r < 0) {
		start_failed(s, r);
		return;
	}
	log_debug("started worker %s/%u, pid %d", s->pool->name, s->number,
	    (int)s->pid);
	r = ctl_send(&sv->ctl, fd, "worker.add", "{s:s,s:i,s:i}", "pool",
	    s->pool->name, "slot", (int)s->number, "pid", (int)s->pid);
	close(fd);
	if (r < 0) {
		/* Without its channel it ends by itself. */
		log_error("can't pass on a channel: %s", strerror(-r));
		return;
	}
	if (s->pool->boot_timeout_ms > 0)
		set_timer(sv, &s->boot, s->pool->boot_timeout_ms);
}

static void on_order(void *arg, const char *name, json_t *msg, int fd);
static void on_broker_gone(void *arg);

static const struct ctl_ops ctl_ops = {
    .on_msg = on_order,
    .on_gone = on_broker_gone,
};

static void
start_broker(struct slot *s)
{
	struct supervisor *sv = s->supervisor;
	int fd, r;

	r = fork_slot(s, SOCK_SEQPACKET, &fd);
	if (r < 0) {
		start_failed(s, r);
		return;
	}
	log_debug("started broker, pid %d", (int)s->pid);
	ctl_init(&sv->ctl, sv->loop, fd, &ctl_ops, sv);
}

void
supervisor_start(struct slot *s)
{
	struct supervisor *sv = s->supervisor;

	if (s->pid != 0 || sv->phase > SUPERVISOR_GRACEFUL)
		return;
	if (s->pool == NULL)
		start_broker(s);
	else if (sv->broker_ready && !s->over)
		start_worker(s);
}

void
supervisor_on_restart(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	supervisor_start(w->data);
}

void
supervisor_on_boot_timeout(
    struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct slot *s = w->data;
	char name[SLOT_NAME_SIZE];

	(void)loop;
	(void)revents;
	slot_name(s, name);
	log_error("%s, pid %d, %s: killed", name, (int)s->pid,
	    s->ordered ? "has outlived the broker"
		       : "has not come up within boot_timeout");
	slot_kill_group(s, SIGKILL);
}

void
supervisor_on_proved(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct slot *s = w->data;
	char name[SLOT_NAME_SIZE];

	(void)loop;
	(void)revents;
	if (!restart_check(&s->restart, mono_now()))
		return;
	slot_name(s, name);
	log_info("%s has stayed up: no longer flapping", name);
	if (s->pool != NULL)
		tell_pool_state(s->supervisor, s->pool);
}

/* Let the prove timer follow what the policy says. */
static void
watch_proving(struct slot *s)
{
	struct mono at;

	if (restart_proves_at(&s->restart, &at))
		set_timer(
		    s->supervisor, &s->prove, mono_until_ms(mono_now(), at));
}

static struct slot *
find_worker(struct supervisor *sv, pid_t pid)
{
	size_t i;

	for (i = 0; pid > 0 && i < sv->n_workers; i++)
		if (sv->workers[i].pid == pid)
			return &sv->workers[i];
	return NULL;
}

static void
open_socket(struct supervisor *sv)
{
	const struct config *c = sv->config;
	struct stat st;
	int r;

	ev_timer_stop(sv->loop, &sv->serve);
	r = sock_listen(
	    c->socket, c->socket_mode, c->socket_gid, &sv->listen_fd);
	if (r < 0) {
		log_error("can't listen on %s: %s", c->socket, strerror(-r));
		sv->exit_status = EX_CANTCREAT;
		supervisor_stop(sv, SUPERVISOR_QUICK, "no socket to serve on");
		return;
	}
	if (stat(c->socket, &st) == 0) {
		sv->listen_dev = st.st_dev;
		sv->listen_ino = st.st_ino;
	}
	(void)ctl_send(&sv->ctl, sv->listen_fd, "listener", NULL);
	sv->phase = SUPERVISOR_SERVING;
	log_info("serving on %s", c->socket);
	sv->ops->on_serving(sv->arg);
}

void
supervisor_serve_if_ready(struct supervisor *sv)
{
	size_t i;

	if (sv->phase != SUPERVISOR_STARTING || !sv->broker_ready)
		return;
	for (i = 0; i < sv->n_workers; i++)
		if (!sv->workers[i].answered && ev_is_active(&sv->serve) &&
		    sv->workers[i].pid != 0)
			return;
	open_socket(sv);
}

static void
on_serve_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	supervisor_serve_if_ready(w->data);
}

static void
take_ready(struct supervisor *sv)
{
	size_t i;

	sv->broker_ready = true;
	restart_hello(&sv->broker.restart, mono_now());
	watch_proving(&sv->broker);
	if (sv->phase == SUPERVISOR_STARTING)
		set_timer(sv, &sv->serve, (int64_t)(SERVE_WAIT * 1000));
	if (sv->listen_fd >= 0)
		(void)ctl_send(&sv->ctl, sv->listen_fd, "listener", NULL);
	for (i = 0; i < sv->n_workers; i++) {
		if (!ev_is_active(&sv->workers[i].again))
			supervisor_start(&sv->workers[i]);
		tell_pool_state(sv, sv->workers[i].pool);
	}
	supervisor_serve_if_ready(sv);
}

static void
take_hello(struct slot *s)
{
	ev_timer_stop(s->supervisor->loop, &s->boot);
	if (!s->answered)
		log_info("worker %s/%u, pid %d, is up", s->pool->name,
		    s->number, (int)s->pid);
	s->answered = true;
	restart_hello(&s->restart, mono_now());
	watch_proving(s);
	supervisor_serve_if_ready(s->supervisor);
}

static void
take_stop(struct supervisor *sv, json_t *msg)
{
	const char *mode = json_string_value(json_object_get(msg, "mode"));

	supervisor_stop(sv,
	    mode != NULL && strcmp(mode, "quick") == 0 ? SUPERVISOR_QUICK
						       : SUPERVISOR_GRACEFUL,
	    "a client asked for it");
}

static void
take_kill(struct slot *s, json_t *msg)
{
	const char *why = json_string_value(json_object_get(msg, "why"));

	log_warn("worker %s/%u, pid %d, is killed: %s", s->pool->name,
	    s->number, (int)s->pid, why == NULL ? "" : why);
	if (!json_is_true(json_object_get(msg, "at_fault")))
		s->ordered = true;
	slot_kill_group(s, SIGKILL);
}

static void
on_order(void *arg, const char *name, json_t *msg, int fd)
{
	struct supervisor *sv = arg;
	struct slot *s;

	if (fd >= 0)
		close(fd);
	s = find_worker(
	    sv, (pid_t)json_integer_value(json_object_get(msg, "pid")));
	if (strcmp(name, "ready") == 0) {
		take_ready(sv);
	} else if (strcmp(name, "stop") == 0) {
		take_stop(sv, msg);
	} else if (strcmp(name, "drained") == 0) {
		sv->drained = true;
	} else if (s == NULL) {
		return; /* of a worker that was reaped meanwhile */
	} else if (strcmp(name, "worker.hello") == 0) {
		take_hello(s);
	} else if (strcmp(name, "worker.served") == 0) {
		restart_served(&s->restart, mono_now());
		watch_proving(s);
	} else if (strcmp(name, "worker.retired") == 0) {
		s->ordered = true;
	} else if (strcmp(name, "worker.kill") == 0) {
		take_kill(s, msg);
	}
}

/* The broker's end of the control channel closed: its reaping will follow. */
static void
on_broker_gone(void *arg)
{
	struct supervisor *sv = arg;

	ctl_done(&sv->ctl);
	sv->broker_ready = false;
	/* One that hangs without its channel would never be replaced. */
	if (sv->phase <= SUPERVISOR_SERVING)
		slot_kill(&sv->broker, SIGKILL);
}

void
supervisor_reopen_logs(struct supervisor *sv)
{
	int r = log_reopen();
	size_t i;

	if (r < 0)
		log_error("can't open the log file anew: %s", strerror(-r));
	else
		log_info("log opened anew");
	if (sv->broker_ready)
		(void)ctl_send(&sv->ctl, -1, "log.reopen", NULL);
	for (i = 0; i < sv->n_workers; i++)
		slot_kill(&sv->workers[i], SIGUSR1);
}

/* What becomes of a slot whose process has ended. */
static void
settle_worker(struct slot *s, int status)
{
	struct supervisor *sv = s->supervisor;
	bool clean = WIFEXITED(status) && WEXITSTATUS(status) == 0;

	if (sv->phase > SUPERVISOR_GRACEFUL ||
	    (sv->phase == SUPERVISOR_GRACEFUL &&
		((clean && !s->ordered) || sv->drained))) {
		s->over = true;
		return;
	}
	if (!sv->broker_ready)
		return; /* it died with the broker, and starts with the next */
	if (s->ordered) {
		supervisor_start(s);
		return;
	}
	schedule_restart(s);
	tell_pool_state(sv, s->pool);
	if (sv->phase == SUPERVISOR_STARTING) {
		/* Clients can be told what is wrong: do not wait for it. */
		ev_timer_stop(sv->loop, &sv->serve);
		supervisor_serve_if_ready(sv);
	}
}

static void
settle_broker(struct slot *s, int status)
{
	struct supervisor *sv = s->supervisor;
	size_t i;

	ctl_done(&sv->ctl);
	sv->broker_ready = false;
	if (sv->phase > SUPERVISOR_SERVING) {
		s->over = true;
		if (status != 0 && !s->ordered &&
		    sv->phase == SUPERVISOR_GRACEFUL)
			sv->exit_status = EX_SOFTWARE;
		return;
	}
	/* Their channels are closed: they end by no fault of theirs. */
	for (i = 0; i < sv->n_workers; i++) {
		sv->workers[i].ordered = true;
		if (sv->workers[i].pid != 0)
			set_timer(sv, &sv->workers[i].boot, ORPHAN_WAIT_MS);
	}
	schedule_restart(s);
}

static void
settle(struct supervisor *sv, pid_t pid, int status)
{
	char name[SLOT_NAME_SIZE], text[96];
	struct slot *s;

	s = pid == sv->broker.pid ? &sv->broker : find_worker(sv, pid);
	if (s == NULL)
		return; /* an orphan that was handed to this process */
	s->pid = 0;
	slot_quiet(s);
	slot_name(s, name);
	slot_describe_status(status, text, sizeof(text));
	if (status == 0)
		log_info("%s, pid %d, has ended", name, (int)pid);
	else
		log_warn("%s, pid %d, %s", name, (int)pid, text);
	if (s->pool == NULL) {
		settle_broker(s, status);
		return;
	}
	if (sv->ctl.fd >= 0)
		(void)ctl_send(&sv->ctl, -1, "worker.gone", "{s:i,s:s,s:i}",
		    "pid", (int)pid, "status", text, "signal",
		    WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	settle_worker(s, status);
}

void
supervisor_reap(struct supervisor *sv)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		settle(sv, pid, status);
	supervisor_end_if_over(sv);
}

static int
set_up(struct supervisor *sv)
{
	const struct config *c = sv->config;
	size_t i, n;
	unsigned k;

	for (i = n = 0; i < c->n_pools; i++)
		n += c->pools[i].processes;
	sv->workers = calloc(n, sizeof(*sv->workers));
	if (sv->workers == NULL)
		return -ENOMEM;
	for (i = 0; i < c->n_pools; i++)
		for (k = 1; k <= c->pools[i].processes; k++)
			slot_init(
			    &sv->workers[sv->n_workers++], sv, &c->pools[i], k);
	slot_init(&sv->broker, sv, NULL, 0);
	ev_timer_init(&sv->serve, on_serve_timer, 0., 0.);
	sv->serve.data = sv;
	supervisor_stop_init(sv);
	return signals_open(sv);
}

/* Unlink the socket unless its name is another daemon's by now. */
static void
remove_socket(struct supervisor *sv)
{
	struct stat st;

	if (sv->listen_fd < 0)
		return;
	if (stat(sv->config->socket, &st) == 0 && st.st_dev == sv->listen_dev &&
	    st.st_ino == sv->listen_ino)
		(void)unlink(sv->config->socket);
	close(sv->listen_fd);
}

int
supervisor_run(
    const struct config *config, const struct supervisor_ops *ops, void *arg)
{
	struct supervisor sv;
	int r;

	memset(&sv, 0, sizeof(sv));
	sv.config = config;
	sv.ops = ops;
	sv.arg = arg;
	sv.listen_fd = sv.signal_fd = sv.ctl.fd = -1;
	/* Not the default loop, which would reap children itself. */
	sv.loop = ev_loop_new(EVFLAG_AUTO);
	if (sv.loop == NULL) {
		log_error("can't make an event loop");
		return EX_OSERR;
	}
	r = set_up(&sv);
	if (r < 0) {
		log_error("can't set up: %s", strerror(-r));
		sv.exit_status = EX_OSERR;
	} else {
		supervisor_start(&sv.broker);
		ev_run(sv.loop, 0);
	}
	remove_socket(&sv);
	ctl_done(&sv.ctl);
	signals_close(&sv);
	free(sv.workers);
	ev_loop_destroy(sv.loop);
	return sv.exit_status;
}
