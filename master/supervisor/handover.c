/* SPDX-License-Identifier: ISC */
/*
 * handover.c - what the master has, for the binary that takes its place
 *
 * Monotonic times hold in the new image: it is the same process on the same
 * clock.  A successor names its predecessor by its process.
 */
#include "master/supervisor/handover.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>

#include "ipc/log.h"
#include "master/supervisor/autoscale.h"
#include "master/supervisor/child.h"
#include "master/supervisor/config_ids.h"
#include "master/supervisor/config_print.h"
#include "master/supervisor/pool.h"
#include "master/supervisor/supervisor.h"

#define TEXT_MAX ((size_t)64 * 1024 * 1024)

void
handover_keep_fd(int fd, bool keep)
{
	if (fd >= 0)
		(void)fcntl(fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
}

void
handover_keep_fds(struct supervisor *sv, bool keep)
{
	struct pool *p;
	struct slot *s;

	handover_keep_fd(sv->ctl.fd, keep);
	handover_keep_fd(sv->listen_fd, keep);
	TAILQ_FOREACH(p, &sv->pools, entry) {
		TAILQ_FOREACH(s, &p->slots, entry) {
			handover_keep_fd(s->page_fd, keep);
			handover_keep_fd(output_fd(&s->output), keep);
		}
	}
}

static json_t *
write_restart(const struct restart *r)
{
	return json_pack("{s:i,s:b,s:b,s:b,s:I}", "n_quick", (int)r->n_quick,
	    "greeted", (int)r->greeted, "served", (int)r->served, "proved",
	    (int)r->proved, "proves_at", (json_int_t)r->proves_at.ns);
}

static json_t *
write_slot(struct slot *s)
{
	return json_pack("{s:i,s:i,s:i,s:b,s:b,s:b,s:b,s:b,s:i,s:i,s:i,s:o,"
			 "s:I,s:I,s:b,s:f,s:b,s:I}",
	    "number", (int)s->number, "pid", (int)s->pid, "generation",
	    (int)s->generation, "ordered", (int)s->ordered, "answered",
	    (int)s->answered, "stale", (int)s->stale, "leaving",
	    (int)s->leaving, "cut", (int)s->cut, "replaces",
	    s->replaces == NULL ? 0 : (int)s->replaces->pid, "page", s->page_fd,
	    "output", output_fd(&s->output), "restart",
	    write_restart(&s->restart), "boot_ms",
	    (json_int_t)deadline_left_ms(&s->boot), "grace_ms",
	    (json_int_t)deadline_left_ms(&s->grace), "waits",
	    (int)ev_is_active(&s->again), "again",
	    ev_is_active(&s->again)
		? ev_timer_remaining(s->supervisor->loop, &s->again)
		: 0.,
	    "dying", (int)deadline_is_set(&s->kill), "stopped_since",
	    (json_int_t)s->stopped_since.ns);
}

static json_t *
write_pool(struct pool *p)
{
	json_t *slots = json_array();
	struct slot *s;

	TAILQ_FOREACH(s, &p->slots, entry) {
		/* Half a line that was read would be lost with this image. */
		output_flush(&s->output);
		(void)json_array_append_new(slots, write_slot(s));
	}
	return json_pack("{s:s,s:i,s:i,s:b,s:b,s:b,s:o,s:I}", "name", p->name,
	    "wanted", (int)p->n_wanted, "generation", (int)p->generation,
	    "rolling", (int)p->rolling, "asked", (int)p->asked, "flapping",
	    (int)p->flapping, "slots", slots, "heartbeat_timeout_ms",
	    (json_int_t)p->heartbeat_timeout_ms);
}

/* What a printing function makes of the configuration. */
static json_t *
write_text(const struct supervisor *sv,
    int (*print)(const struct config *c, struct buf *out))
{
	struct buf text;
	json_t *value = NULL;

	buf_init(&text, TEXT_MAX);
	if (print(sv->config, &text) == 0)
		value = json_stringn(
		    buf_len(&text) == 0 ? "" : buf_head(&text), buf_len(&text));
	buf_done(&text);
	return value;
}

json_t *
handover_write(struct supervisor *sv)
{
	json_t *pools = json_array();
	struct pool *p;

	TAILQ_FOREACH(p, &sv->pools, entry)
		(void)json_array_append_new(pools, write_pool(p));
	return json_pack("{s:i,s:o,s:o,s:s?,s:O,s:b,s:o,s:{s:i,s:i,s:o},s:i,"
			 "s:b,s:I,s:I,s:i,s:i,s:O}",
	    "version", HANDOVER_VERSION, "config", write_text(sv, config_print),
	    "ids", write_text(sv, config_ids_print), "path", sv->config->path,
	    "names", sv->names, "resting", (int)sv->resting, "pools", pools,
	    "broker", "pid", (int)sv->broker.pid, "ctl", sv->ctl.fd, "restart",
	    write_restart(&sv->broker.restart), "listen", sv->listen_fd,
	    "activated", (int)sv->activated, "listen_dev",
	    (json_int_t)sv->listen_dev, "listen_ino",
	    (json_int_t)sv->listen_ino, "n_int", (int)sv->n_int, "n_quit",
	    (int)sv->n_quit, "rolls", sv->rolls);
}

static int64_t
get_int(json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static bool
get_bool(json_t *o, const char *key)
{
	return json_is_true(json_object_get(o, key));
}

/* A descriptor, which closes at the next exec again; -1: none. */
static int
get_fd(json_t *o, const char *key)
{
	json_t *v = json_object_get(o, key);
	int fd = json_is_integer(v) ? (int)json_integer_value(v) : -1;

	if (fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		return -1;
	return fd;
}

static void
read_restart(struct restart *r, json_t *o)
{
	r->n_quick = (unsigned)get_int(o, "n_quick");
	if (r->n_quick > RESTART_FLAPPING_AT)
		r->n_quick = RESTART_FLAPPING_AT;
	r->greeted = get_bool(o, "greeted");
	r->served = get_bool(o, "served");
	r->proved = get_bool(o, "proved");
	r->proves_at.ns = get_int(o, "proves_at");
}

/* Take over what a process shares with the master. */
static void
read_sharing(struct slot *s, json_t *o)
{
	char name[SLOT_NAME_SIZE];
	int fd;

	s->page_fd = get_fd(o, "page");
	if (s->page_fd >= 0 && page_map(s->page_fd, &s->page) == 0)
		(void)madvise(s->page, sizeof(*s->page), MADV_DONTFORK);
	slot_name(s, name);
	fd = get_fd(o, "output");
	if (fd >= 0)
		output_adopt(&s->output, s->supervisor->loop, name, s->pid, fd);
}

/* Set the timers going again. */
static void
read_timers(struct slot *s, json_t *o)
{
	struct ev_loop *loop = s->supervisor->loop;
	int64_t ms;

	ms = get_int(o, "boot_ms");
	if (ms > 0)
		deadline_set(&s->boot, ms);
	ms = get_int(o, "grace_ms");
	if (ms > 0)
		deadline_set(&s->grace, ms);
	if (s->pid > 0)
		child_watch_proving(s);
	/* Its turn may have come just then. */
	if (get_bool(o, "waits") || s->pid == 0) {
		ev_timer_set(&s->again,
		    json_number_value(json_object_get(o, "again")), 0.);
		ev_timer_start(loop, &s->again);
	}
}

static int
read_slot(struct pool *p, json_t *o)
{
	struct slot *s;

	s = pool_add_slot(p, (unsigned)get_int(o, "number"));
	if (s == NULL)
		return -ENOMEM;
	s->pid = (pid_t)get_int(o, "pid");
	s->filled = true;
	s->generation = (unsigned)get_int(o, "generation");
	s->ordered = get_bool(o, "ordered");
	s->answered = get_bool(o, "answered");
	s->stale = get_bool(o, "stale");
	s->leaving = get_bool(o, "leaving");
	s->cut = get_bool(o, "cut");
	s->stopped_since.ns = get_int(o, "stopped_since");
	read_restart(&s->restart, json_object_get(o, "restart"));
	if (s->pid > 0)
		read_sharing(s, o);
	/* Whoever was aborted was about to be killed. */
	if (s->pid > 0 && (s->cut || get_bool(o, "dying")))
		slot_kill_group(s, SIGKILL);
	read_timers(s, o);
	return 0;
}

/* Find out again who is whose successor. */
static void
read_successors(struct pool *p, json_t *slots)
{
	struct slot *s = TAILQ_FIRST(&p->slots);
	json_t *o;
	size_t i;

	json_array_foreach(slots, i, o) {
		s->replaces = pool_find_worker(
		    p->supervisor, (pid_t)get_int(o, "replaces"));
		s = TAILQ_NEXT(s, entry);
	}
}

static int
read_pool(struct supervisor *sv, json_t *o)
{
	const char *name = json_string_value(json_object_get(o, "name"));
	json_t *slots = json_object_get(o, "slots"), *slot;
	struct pool *p;
	size_t i;
	int r;

	if (name == NULL)
		return -EPROTO;
	p = pool_add_named(sv, name);
	if (p == NULL)
		return -ENOMEM;
	json_array_foreach(slots, i, slot) {
		r = read_slot(p, slot);
		if (r < 0)
			return r;
	}
	read_successors(p, slots);
	p->generation = (unsigned)get_int(o, "generation");
	p->rolling = get_bool(o, "rolling");
	p->asked = get_bool(o, "asked");
	p->flapping = get_bool(o, "flapping");
	p->config = config_find_pool(sv->config, name);
	p->n_wanted = (unsigned)get_int(o, "wanted");
	p->heartbeat_timeout_ms = get_int(o, "heartbeat_timeout_ms");
	if (p->config != NULL) {
		p->heartbeat_timeout_ms = p->config->heartbeat_timeout_ms;
		if (p->n_wanted < 1 || p->n_wanted > POOL_PROCESSES_MAX)
			p->n_wanted = p->config->processes;
		autoscale_configure(p, false);
	}
	return 0;
}

int
handover_read(struct supervisor *sv, json_t *state)
{
	json_t *broker = json_object_get(state, "broker"), *pool;
	size_t i;
	int fd, r;

	fd = get_fd(broker, "ctl");
	if (get_int(state, "version") != HANDOVER_VERSION || fd < 0)
		return -EPROTO;
	sv->broker.pid = (pid_t)get_int(broker, "pid");
	read_restart(&sv->broker.restart, json_object_get(broker, "restart"));
	child_watch_proving(&sv->broker);
	json_array_foreach(json_object_get(state, "pools"), i, pool) {
		r = read_pool(sv, pool);
		if (r < 0)
			return r;
	}
	sv->listen_fd = get_fd(state, "listen");
	sv->activated = get_bool(state, "activated");
	sv->listen_dev = (dev_t)get_int(state, "listen_dev");
	sv->listen_ino = (ino_t)get_int(state, "listen_ino");
	sv->n_int = (unsigned)get_int(state, "n_int");
	sv->n_quit = (unsigned)get_int(state, "n_quit");
	sv->resting = get_bool(state, "resting");
	(void)json_array_extend(sv->rolls, json_object_get(state, "rolls"));
	supervisor_connect(sv, fd);
	sv->broker_ready = true;
	sv->phase = SUPERVISOR_SERVING;
	return 0;
}
