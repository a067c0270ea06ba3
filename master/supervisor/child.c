/* SPDX-License-Identifier: ISC */
/*
 * child.c - a child's life: start, hello, death, and what follows from each
 *
 * The broker comes first; workers are started once it takes orders, because
 * their channels go to it.  When the broker dies its workers die of their
 * closed channels, and both are started again.  A canary, which tries out a
 * new configuration, keeps its channel here until it has proved good: all that
 * is looked at is whether something comes on it.
 */
#include "master/supervisor/child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "ipc/log.h"
#include "ipc/sock.h"
#include "master/supervisor/autoscale.h"
#include "master/supervisor/pool.h"
#include "master/supervisor/reload.h"
#include "master/supervisor/rss.h"
#include "master/supervisor/spawn.h"
#include "master/supervisor/supervisor.h"

#define ORPHAN_WAIT_MS 2000 /* for workers to end after their broker */

/* What the child of a slot is to run. */
struct birth {
	struct slot *slot;
	const struct config *config;
	const struct config_pool *pool;
	int fd;
};

static int
run_child(void *arg)
{
	struct birth *birth = arg;
	struct supervisor *sv = birth->slot->supervisor;

	if (birth->pool == NULL)
		return sv->ops->run_broker(
		    sv->arg, birth->config, sv->names, birth->fd);
	return sv->ops->run_worker(sv->arg, birth->config, birth->pool,
	    birth->slot->number, birth->fd, birth->slot->page);
}

static void
set_timer(struct slot *s, struct ev_timer *w, int64_t ms)
{
	struct ev_loop *loop = s->supervisor->loop;

	ev_timer_stop(loop, w);
	ev_now_update(loop);
	ev_timer_set(w, (double)ms / 1000., 0.);
	ev_timer_start(loop, w);
}

void
child_watch_proving(struct slot *s)
{
	struct mono at;

	if (restart_proves_at(&s->restart, &at))
		set_timer(s, &s->prove, mono_until_ms(mono_now(), at));
}

/* The broker will not be there for so long. */
static void
tell_outage(struct supervisor *sv, int64_t ms)
{
	if (sv->listen_fd >= 0 && sv->phase <= SUPERVISOR_SERVING)
		outage_begin(
		    &sv->outage, sv->listen_fd, mono_add_ms(mono_now(), ms));
	supervisor_tell_status(sv);
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
	set_timer(s, &s->again, ms);
	if (s->pool == NULL && restart_is_flapping(&s->restart))
		tell_outage(s->supervisor, ms);
}

/* The pool as a configuration has it, or NULL. */
static const struct config_pool *
configured(const struct slot *s)
{
	if (s->trial != NULL)
		return config_find_pool(s->trial, s->pool->name);
	return s->pool->config;
}

/* Make the channel, the page and the output that a new process has.  -errno. */
static int
set_up(struct slot *s, int type, int fds[2], int *out_fd)
{
	char name[SLOT_NAME_SIZE];
	int r;

	r = sock_pair(type, fds);
	if (r < 0 || s->pool == NULL)
		return r;
	r = page_new(&s->page_fd, &s->page);
	if (r < 0)
		goto err_pair;
	slot_name(s, name);
	r = output_open(&s->output, s->supervisor->loop, name, out_fd);
	if (r < 0)
		goto err_page;
	return 0;

err_page:
	page_unmap(&s->page);
	close(s->page_fd);
	s->page_fd = -1;
err_pair:
	close(fds[0]);
	close(fds[1]);
	return r;
}

/* Fork the slot's process on its end of a channel; 0 or -errno. */
static int
fork_slot(struct slot *s, int type, int *fd_out)
{
	struct birth birth = {.slot = s};
	char title[SLOT_NAME_SIZE];
	struct config_account account;
	struct spawn spawn = {
	    .title = title,
	    .death_signal = SIGTERM,
	    .run = run_child,
	    .arg = &birth,
	    .account = &account,
	};
	int fds[2], r;
	pid_t pid;

	birth.config = s->trial != NULL ? s->trial : s->supervisor->config;
	birth.pool = spawn.pool = s->pool == NULL ? NULL : configured(s);
	account = config_account_of(birth.config, birth.pool);
	r = set_up(s, type, fds, &spawn.out_fd);
	if (r < 0)
		return r;
	slot_name(s, title);
	birth.fd = spawn.keep_fd = fds[1];
	if (s->pool == NULL)
		spawn.shared_fd =
		    s->supervisor->ops->shared_fd(s->supervisor->arg);
	pid = spawn_child(&spawn);
	close(fds[1]);
	if (spawn.out_fd > 0)
		close(spawn.out_fd);
	if (pid < 0) {
		close(fds[0]);
		slot_clear(s);
		return (int)pid;
	}
	/* Its siblings have no business in it. */
	if (s->page != NULL)
		(void)madvise(s->page, sizeof(*s->page), MADV_DONTFORK);
	s->pid = pid;
	s->ordered = s->answered = s->over = s->stale = s->cut = false;
	s->generation = s->pool == NULL ? 0 : s->pool->generation;
	restart_started(&s->restart);
	*fd_out = fds[0];
	return 0;
}

static void
start_failed(struct slot *s, int r)
{
	char name[SLOT_NAME_SIZE];

	slot_name(s, name);
	log_error("can't start %s: %s", name, strerror(-r));
	if (s->trial != NULL) {
		reload_break(s->supervisor, strerror(-r));
		return;
	}
	if (s->replaces != NULL)
		pool_fail_roll(s->pool, strerror(-r));
	schedule_restart(s);
}

/* Give the broker its end of a worker's channel, which is closed here. */
static void
pass_channel(struct slot *s, int fd)
{
	bool again = s->filled || s->replaces != NULL;
	int r;

	r = ctl_send(&s->supervisor->ctl, fd, "worker.add", "{s:s,s:i,s:i,s:b}",
	    "pool", s->pool->name, "slot", (int)s->number, "pid", (int)s->pid,
	    "again", (int)again);
	s->filled = true;
	close(fd);
	/* Without its channel it ends by itself. */
	if (r < 0)
		log_error("can't pass on a channel: %s", strerror(-r));
}

static void
start_worker(struct slot *s)
{
	struct supervisor *sv = s->supervisor;
	const struct config_pool *c;
	int fd, r;

	r = fork_slot(s, SOCK_STREAM, &fd);
	if (r < 0) {
		start_failed(s, r);
		return;
	}
	output_set_pid(&s->output, s->pid);
	log_debug("started worker %s/%u, pid %d", s->pool->name, s->number,
	    (int)s->pid);
	c = configured(s);
	if (c->boot_timeout_ms > 0)
		deadline_set(&s->boot, c->boot_timeout_ms);
	if (s->trial == NULL) {
		pass_channel(s, fd);
		return;
	}
	s->channel_fd = fd;
	ev_io_set(&s->hello, fd, EV_READ);
	ev_io_start(sv->loop, &s->hello);
}

static void
start_broker(struct slot *s)
{
	struct supervisor *sv = s->supervisor;
	int fd, r;

	outage_end(&sv->outage);
	r = fork_slot(s, SOCK_SEQPACKET, &fd);
	if (r < 0) {
		start_failed(s, r);
		return;
	}
	log_debug("started broker, pid %d", (int)s->pid);
	supervisor_connect(sv, fd);
}

void
child_start(struct slot *s)
{
	struct supervisor *sv = s->supervisor;

	if (s->pid != 0 || sv->phase > SUPERVISOR_GRACEFUL)
		return;
	if (s->pool == NULL)
		start_broker(s);
	else if ((sv->broker_ready || s->trial != NULL) && !s->over &&
		 configured(s) != NULL)
		start_worker(s);
}

void
child_on_restart(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	child_start(w->data);
}

void
child_on_boot_timeout(void *arg)
{
	struct slot *s = arg;
	char name[SLOT_NAME_SIZE];

	if (!s->ordered) {
		slot_abort(s, "it has not come up within boot_timeout");
		s->cut = false; /* it has no tasks; this is a death */
		return;
	}
	slot_name(s, name);
	log_error(
	    "%s, pid %d, has outlived the broker: killed", name, (int)s->pid);
	slot_kill_group(s, SIGKILL);
}

void
child_on_grace_over(void *arg)
{
	slot_abort(arg, "its tasks have not ended within reload_timeout");
}

void
child_on_proved(struct ev_loop *loop, struct ev_timer *w, int revents)
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
		pool_tell_state(s->pool);
	else
		supervisor_tell_status(s->supervisor);
}

/* The canary said something.  The broker will read what. */
void
child_on_trial_hello(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct slot *s = w->data;
	ssize_t n;
	char c;

	(void)revents;
	n = recv(s->channel_fd, &c, 1, MSG_PEEK | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	ev_io_stop(loop, w);
	if (n <= 0)
		return; /* its reaping will follow */
	deadline_stop(&s->boot);
	s->answered = true;
	restart_hello(&s->restart, mono_now());
	reload_take_hello(s->supervisor);
}

void
child_admit(struct slot *s)
{
	s->trial = NULL;
	s->generation = s->pool->generation;
	/* Its hello, and so its predecessor's end, comes by the broker. */
	s->answered = false;
	pass_channel(s, s->channel_fd);
	s->channel_fd = -1;
}

void
child_take_hello(struct slot *s)
{
	struct slot *old = s->replaces;

	deadline_stop(&s->boot);
	if (!s->answered)
		log_info("worker %s/%u, pid %d, is up", s->pool->name,
		    s->number, (int)s->pid);
	s->answered = true;
	restart_hello(&s->restart, mono_now());
	child_watch_proving(s);
	if (old != NULL) {
		s->replaces = NULL;
		pool_retire(old);
	}
	pool_adjust(s->pool);
	if (s->pool->flapping) /* whoever died so often may be gone by now */
		pool_tell_state(s->pool);
	supervisor_tell_status(s->supervisor);
	supervisor_serve_if_ready(s->supervisor);
}

void
child_take_served(struct slot *s)
{
	restart_served(&s->restart, mono_now());
	child_watch_proving(s);
}

/* True when a stop wants no process in the place of one that ended. */
static bool
is_over(const struct slot *s, int status)
{
	const struct supervisor *sv = s->supervisor;

	if (sv->phase != SUPERVISOR_GRACEFUL)
		return sv->phase > SUPERVISOR_GRACEFUL;
	return sv->drained || (status == 0 && !s->ordered);
}

/* What becomes of a slot whose process has ended. */
static void
settle_worker(struct slot *s, int status)
{
	struct supervisor *sv = s->supervisor;
	struct pool *p = s->pool;

	if (is_over(s, status)) {
		s->over = true;
		return;
	}
	/* Its successor, if there is one, has the place from now on. */
	if (s->leaving || p->config == NULL || pool_successor(s) != NULL) {
		pool_remove_slot(s);
		pool_adjust(p);
		pool_remove_if_gone(p);
		return;
	}
	if (!sv->broker_ready)
		return; /* it died with the broker, and starts with the next */
	if (s->ordered) {
		child_start(s);
		return;
	}
	if (s->replaces != NULL)
		pool_fail_roll(p, "a new worker has died before it was up");
	schedule_restart(s);
	pool_tell_state(p);
	pool_adjust(p);
	if (sv->phase == SUPERVISOR_STARTING) {
		/* Clients can be told what is wrong: do not wait for it. */
		deadline_stop(&sv->serve);
		supervisor_serve_if_ready(sv);
	}
}

static void
orphan(struct slot *s)
{
	if (s->pid == 0 || s->trial != NULL)
		return;
	/* Its channel is closed: it ends by no fault of its own. */
	s->ordered = true;
	s->filled = false;
	deadline_set(&s->boot, ORPHAN_WAIT_MS);
}

static void
settle_broker(struct slot *s, int status)
{
	struct supervisor *sv = s->supervisor;
	struct pool *p;
	struct slot *w;

	/* It may have said why. */
	ctl_catch_up(&sv->ctl);
	ctl_done(&sv->ctl);
	sv->broker_ready = false;
	if (sv->phase > SUPERVISOR_SERVING) {
		s->over = true;
		if (status != 0 && !s->ordered &&
		    sv->phase == SUPERVISOR_GRACEFUL)
			sv->exit_status = EX_SOFTWARE;
		return;
	}
	TAILQ_FOREACH(p, &sv->pools, entry)
		TAILQ_FOREACH(w, &p->slots, entry)
			orphan(w);
	TAILQ_FOREACH(p, &sv->pools, entry)
		autoscale_forget_load(p);
	schedule_restart(s);
}

/* Tell the broker of a worker's end, and which task did it if that is known. */
static void
report_end(const struct slot *s, pid_t pid, int status, const char *text)
{
	struct supervisor *sv = s->supervisor;
	uint64_t task = 0, run = 0;
	int slot;

	if (sv->ctl.fd < 0)
		return;
	slot =
	    s->page == NULL ? PAGE_NO_SLOT : atomic_load(&s->page->fault_slot);
	if (slot >= 0 && slot < PAGE_SLOTS) {
		task = atomic_load(&s->page->slots[slot].task);
		run = atomic_load(&s->page->slots[slot].run);
	}
	(void)ctl_send(&sv->ctl, -1, "worker.gone", "{s:i,s:s,s:i,s:I,s:I,s:b}",
	    "pid", (int)pid, "status", text, "signal",
	    WIFSIGNALED(status) ? WTERMSIG(status) : 0, "task",
	    (json_int_t)task, "run", (json_int_t)run, "cut", (int)s->cut);
}

/* True when a worker has ended because its channel was closed. */
static bool
lost_channel(const struct slot *s, int status)
{
	return s->pool != NULL && s->trial == NULL && WIFEXITED(status) &&
	       WEXITSTATUS(status) == EX_UNAVAILABLE;
}

/*
 * True when the broker has ended, or is about to: a process gives up its memory
 * before its descriptors, and may be reaped after those who miss it.
 */
static bool
has_lost_broker(const struct supervisor *sv)
{
	uint64_t bytes;

	/* Until it is reaped there is something to read: else nothing is known.
	 */
	return sv->ctl.fd < 0 ||
	       (rss_of(sv->broker.pid, &bytes) == 0 && bytes == 0);
}

/* True when a worker that nobody asked to has ended in its start. */
static bool
ended_early(const struct slot *s)
{
	return s->pool != NULL && !s->answered && !s->ordered && !s->leaving &&
	       (s->trial != NULL || s->pool->config != NULL) &&
	       s->supervisor->phase <= SUPERVISOR_SERVING;
}

static void
log_end(const struct slot *s, pid_t pid, int status, const char *text)
{
	char name[SLOT_NAME_SIZE];

	slot_name(s, name);
	if (status == 0 && ended_early(s))
		log_warn("%s, pid %d, has ended before it was ready: %s", name,
		    (int)pid, text);
	else if (status == 0)
		log_info("%s, pid %d, has ended", name, (int)pid);
	else if (s->ordered && lost_channel(s, status))
		log_info(
		    "%s, pid %d, has ended with its broker", name, (int)pid);
	else if (s->ordered)
		log_info(
		    "%s, pid %d, %s, as was ordered", name, (int)pid, text);
	else
		log_warn("%s, pid %d, %s", name, (int)pid, text);
}

void
child_settle(struct slot *s, pid_t pid, int status)
{
	char text[96];

	slot_describe_status(status, text, sizeof(text));
	output_drain(&s->output); /* its last words come first */
	if (lost_channel(s, status) && has_lost_broker(s->supervisor)) {
		s->ordered = true;
		s->supervisor->broker_ready = false;
	}
	log_end(s, pid, status, text);
	if (s->pool == NULL) {
		slot_clear(s);
		settle_broker(s, status);
		return;
	}
	if (s->trial == NULL)
		report_end(s, pid, status, text);
	slot_clear(s);
	if (s->trial != NULL)
		reload_lost_canary(s, text);
	else
		settle_worker(s, status);
}
