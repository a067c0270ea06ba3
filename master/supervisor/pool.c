/* SPDX-License-Identifier: ISC */
/*
 * pool.c - the workers of one pool: how many there should be, and which
 *
 * A member is a slot that counts for the pool's size: not one that is leaving,
 * nor a successor or a canary, whose predecessor counts for it.
 */
#include "master/supervisor/pool.h"

#include <stdlib.h>
#include <string.h>

#include "ipc/log.h"
#include "master/supervisor/answer.h"
#include "master/supervisor/autoscale.h"
#include "master/supervisor/child.h"
#include "master/supervisor/supervisor.h"

#define ROLL_PART 4 /* a fourth of a pool is replaced at a time */

/* The roll has failed: its successors go, and the members stay. */
static void
on_give_up(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct pool *p = w->data;
	struct slot *s, *next;

	(void)loop;
	(void)revents;
	log_error("pool \"%s\": its workers stay: %s", p->name, p->failure);
	TAILQ_FOREACH_SAFE(s, &p->slots, entry, next) {
		if (s->replaces != NULL && s->trial == NULL) {
			s->replaces = NULL;
			pool_retire(s);
		} else if (s->trial == NULL) {
			s->generation = p->generation;
		}
	}
	p->rolling = p->asked = false;
	answer_take_unrolled(p->supervisor, p->name, p->failure);
	free(p->failure);
	p->failure = NULL;
}

void
pool_fail_roll(struct pool *p, const char *why)
{
	answer_take_setback(p->supervisor, p, why);
	if (!p->asked || p->failure != NULL)
		return;
	p->failure = strdup(why);
	if (p->failure == NULL)
		return;
	ev_timer_set(&p->give_up, 0., 0.);
	ev_timer_start(p->supervisor->loop, &p->give_up);
}

static struct pool *
add(struct supervisor *sv, const char *name)
{
	struct pool *p;

	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->name = strdup(name);
	if (p->name == NULL) {
		free(p);
		return NULL;
	}
	p->supervisor = sv;
	TAILQ_INIT(&p->slots);
	autoscale_init(p);
	ev_timer_init(&p->give_up, on_give_up, 0., 0.);
	p->give_up.data = p;
	TAILQ_INSERT_TAIL(&sv->pools, p, entry);
	return p;
}

struct pool *
pool_add_named(struct supervisor *sv, const char *name)
{
	return add(sv, name);
}

struct pool *
pool_add(struct supervisor *sv, const struct config_pool *config)
{
	struct pool *p = add(sv, config->name);

	if (p != NULL)
		pool_configure(p, config);
	return p;
}

void
pool_remove(struct pool *p)
{
	struct slot *s;

	autoscale_stop(p);
	ev_timer_stop(p->supervisor->loop, &p->give_up);
	free(p->failure);
	while ((s = TAILQ_FIRST(&p->slots)) != NULL) {
		TAILQ_REMOVE(&p->slots, s, entry);
		slot_clear(s);
		free(s);
	}
	TAILQ_REMOVE(&p->supervisor->pools, p, entry);
	free(p->name);
	free(p);
}

struct pool *
pool_find(struct supervisor *sv, const char *name)
{
	struct pool *p;

	TAILQ_FOREACH(p, &sv->pools, entry) {
		if (strcmp(p->name, name) == 0)
			return p;
	}
	return NULL;
}

struct pool *
pool_default(struct supervisor *sv)
{
	struct pool *p = pool_find(sv, "default");

	if (p != NULL && p->config != NULL)
		return p;
	return pool_find(sv, sv->config->pools[0].name);
}

struct slot *
pool_find_worker(struct supervisor *sv, pid_t pid)
{
	struct pool *p;
	struct slot *s;

	if (pid <= 0)
		return NULL;
	TAILQ_FOREACH(p, &sv->pools, entry) {
		TAILQ_FOREACH(s, &p->slots, entry) {
			if (s->pid == pid)
				return s;
		}
	}
	return NULL;
}

struct slot *
pool_add_slot(struct pool *p, unsigned number)
{
	struct slot *s;

	s = malloc(sizeof(*s));
	if (s == NULL)
		return NULL;
	slot_init(s, p->supervisor, p, number);
	TAILQ_INSERT_TAIL(&p->slots, s, entry);
	return s;
}

struct slot *
pool_successor(const struct slot *s)
{
	struct slot *other;

	TAILQ_FOREACH(other, &s->pool->slots, entry) {
		if (other->replaces == s && other->trial == NULL)
			return other;
	}
	return NULL;
}

void
pool_remove_slot(struct slot *s)
{
	struct pool *p = s->pool;
	struct slot *other;

	TAILQ_FOREACH(other, &p->slots, entry) {
		if (other->replaces == s)
			other->replaces = NULL;
	}
	TAILQ_REMOVE(&p->slots, s, entry);
	slot_clear(s);
	free(s);
}

void
pool_remove_if_gone(struct pool *p)
{
	if (p->config != NULL || !TAILQ_EMPTY(&p->slots))
		return;
	if (p->n_wanted > 0)
		log_info("pool \"%s\" is gone", p->name);
	pool_remove(p);
}

/* True when s counts for the size of its pool. */
static bool
is_member(const struct slot *s)
{
	return !s->leaving && s->replaces == NULL && s->trial == NULL;
}

static unsigned
count_members(const struct pool *p)
{
	const struct slot *s;
	unsigned n = 0;

	TAILQ_FOREACH(s, &p->slots, entry)
		n += is_member(s);
	return n;
}

unsigned
pool_count_processes(const struct supervisor *sv)
{
	const struct pool *p;
	const struct slot *s;
	unsigned n = 0;

	TAILQ_FOREACH(p, &sv->pools, entry)
		TAILQ_FOREACH(s, &p->slots, entry)
			n += s->pid != 0;
	return n;
}

void
pool_retire(struct slot *s)
{
	struct supervisor *sv = s->supervisor;
	struct slot *next = pool_successor(s);

	if (next != NULL && !next->answered) {
		/* The place itself goes. */
		next->replaces = NULL;
		pool_retire(next);
	}
	if (s->leaving)
		return;
	s->leaving = true;
	ev_timer_stop(sv->loop, &s->again);
	if (s->pid == 0) {
		pool_remove_slot(s);
		return;
	}
	(void)ctl_send(
	    &sv->ctl, -1, "worker.retire", "{s:i}", "pid", (int)s->pid);
	/* Only a reload is in a hurry. */
	if (sv->config->reload_timeout_ms > 0 &&
	    s->generation != s->pool->generation)
		deadline_set(&s->grace, sv->config->reload_timeout_ms);
}

/* The lowest number that no member has. */
static unsigned
free_number(const struct pool *p)
{
	const struct slot *s;
	unsigned n;

	for (n = 1;; n++) {
		TAILQ_FOREACH(s, &p->slots, entry) {
			if (is_member(s) && s->number == n)
				break;
		}
		if (s == NULL)
			return n;
	}
}

/* The member to let go first: one without a process, else the last. */
static struct slot *
find_surplus(struct pool *p)
{
	struct slot *s, *best = NULL;

	TAILQ_FOREACH(s, &p->slots, entry) {
		if (!is_member(s))
			continue;
		if (best == NULL || (s->pid == 0) > (best->pid == 0) ||
		    ((s->pid == 0) == (best->pid == 0) &&
			s->number > best->number))
			best = s;
	}
	return best;
}

static unsigned
wanted(const struct pool *p)
{
	return p->supervisor->resting ? 0 : p->n_wanted;
}

/* Have as many members as are wanted. */
static void
adjust_size(struct pool *p)
{
	unsigned n = count_members(p);
	struct slot *s;

	for (; n > wanted(p); n--)
		pool_retire(find_surplus(p));
	for (; n < wanted(p); n++) {
		s = pool_add_slot(p, free_number(p));
		if (s == NULL) {
			log_error(
			    "no memory for a worker of pool \"%s\"", p->name);
			return;
		}
		child_start(s);
	}
}

static bool
is_outdated(const struct slot *s)
{
	return is_member(s) &&
	       (s->stale || s->generation != s->pool->generation);
}

/* Replace one member: start its successor, or the slot itself if it is down. */
static void
replace(struct slot *s)
{
	struct slot *next;

	if (s->pid == 0) {
		/* What it died of may be mended. */
		s->stale = false;
		s->generation = s->pool->generation;
		restart_init(&s->restart);
		ev_timer_stop(s->supervisor->loop, &s->again);
		child_start(s);
		return;
	}
	next = pool_add_slot(s->pool, s->number);
	if (next == NULL)
		return;
	next->replaces = s;
	child_start(next);
}

/* Start successors for members that want one, few at a time. */
static void
adjust_members(struct pool *p)
{
	struct slot *s, *next;
	unsigned room, n_old = 0;

	room = p->n_wanted / ROLL_PART;
	room += room == 0;
	TAILQ_FOREACH(s, &p->slots, entry)
		room -= room > 0 && s->replaces != NULL;
	TAILQ_FOREACH_SAFE(s, &p->slots, entry, next) {
		if (!is_outdated(s))
			continue;
		/* A worker that is recycled is no roll. */
		n_old += s->generation != p->generation;
		if (room == 0 || pool_successor(s) != NULL)
			continue;
		room--;
		replace(s);
	}
	if (p->rolling && n_old == 0) {
		p->rolling = p->asked = false;
		log_info("pool \"%s\": all its workers are replaced", p->name);
		answer_take_rolled(p->supervisor);
	}
}

void
pool_adjust(struct pool *p)
{
	struct supervisor *sv = p->supervisor;

	if (!sv->broker_ready || sv->phase > SUPERVISOR_SERVING ||
	    p->config == NULL)
		return;
	adjust_size(p);
	adjust_members(p);
}

void
pool_adjust_all(struct supervisor *sv)
{
	struct pool *p, *next;

	TAILQ_FOREACH_SAFE(p, &sv->pools, entry, next)
		pool_adjust(p);
}

/*
 * True when what the pool was scaled to, by the load or by hand, holds on with
 * another configuration.
 */
static bool
keeps_size(const struct config_pool *old, const struct config_pool *new)
{
	if (old == NULL)
		return false;
	return (config_pool_scales(old) && config_pool_scales(new)) ||
	       (old->processes == new->processes &&
		   old->min_processes == new->min_processes &&
		   old->max_processes == new->max_processes);
}

void
pool_configure(struct pool *p, const struct config_pool *config)
{
	bool goes_on = keeps_size(p->config, config);

	if (p->config != NULL && !goes_on &&
	    p->n_wanted != p->config->processes &&
	    p->n_wanted != config->processes)
		log_info("pool \"%s\": processes %u -> %u: the configuration",
		    p->name, p->n_wanted, config->processes);
	p->config = config;
	p->heartbeat_timeout_ms = config->heartbeat_timeout_ms;
	if (!goes_on)
		p->n_wanted = config->processes;
	autoscale_configure(p, goes_on);
}

void
pool_set_wanted(struct pool *p, unsigned n, const char *why)
{
	log_info("pool \"%s\": processes %u -> %u: %s", p->name, p->n_wanted, n,
	    why);
	p->n_wanted = n;
	pool_adjust(p);
	pool_tell_state(p);
}

void
pool_resize(struct pool *p, long n, const char *why)
{
	unsigned to;

	to = n < 1                    ? 1
	     : n > POOL_PROCESSES_MAX ? POOL_PROCESSES_MAX
				      : (unsigned)n;
	to = autoscale_move(p, to);
	if (to != p->n_wanted)
		pool_set_wanted(p, to, why);
}

void
pool_forget_asked(struct pool *p)
{
	p->asked = false;
	ev_timer_stop(p->supervisor->loop, &p->give_up);
	free(p->failure);
	p->failure = NULL;
}

void
pool_roll(struct pool *p)
{
	p->generation++;
	p->rolling = true;
	pool_adjust(p);
}

void
pool_tell_state(struct pool *p)
{
	struct supervisor *sv = p->supervisor;
	bool flapping = false;
	struct slot *s;

	TAILQ_FOREACH(s, &p->slots, entry) {
		if (!is_member(s))
			continue;
		flapping = restart_is_flapping(&s->restart);
		if (!flapping)
			break;
	}
	if (flapping && !p->flapping)
		log_error("pool \"%s\" is flapping: none of its workers stays "
			  "up",
		    p->name);
	p->flapping = flapping;
	supervisor_tell_status(sv);
	if (sv->broker_ready && p->config != NULL)
		(void)ctl_send(&sv->ctl, -1, "pool.state", "{s:s,s:s,s:i}",
		    "pool", p->name, "state",
		    sv->resting ? "drained"
		    : flapping  ? "flapping"
				: "up",
		    "processes", (int)wanted(p));
}
