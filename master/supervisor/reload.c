/* SPDX-License-Identifier: ISC */
/*
 * reload.c - take on a new configuration while everything goes on
 *
 * The master does not read the file itself: the child that has checked it
 * prints what it has read, so that what was checked is what is used, and a file
 * that hangs, or a module that loops when it is loaded, costs only a child.
 *
 * News of canaries may come while they are being started: all they do is to
 * set the timer, which decides.
 */
#include "master/supervisor/reload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/log.h"
#include "master/supervisor/answer.h"
#include "master/supervisor/child.h"
#include "master/supervisor/config_diff.h"
#include "master/supervisor/health.h"
#include "master/supervisor/pool.h"
#include "master/supervisor/supervisor.h"
#include "master/supervisor/upgrade.h"

#define STAY_MS  500 /* that canaries must stay up after hello */
#define STOPPING "the daemon is stopping"
#define TEXT_MAX ((size_t)64 * 1024 * 1024)

static void
set_timer(struct supervisor *sv, int64_t ms)
{
	struct ev_timer *w = &sv->reload.stay;

	ev_timer_stop(sv->loop, w);
	ev_now_update(sv->loop);
	ev_timer_set(w, (double)ms / 1000., 0.);
	ev_timer_start(sv->loop, w);
}

static void
forget(struct reload *r)
{
	config_free(&r->next);
	json_decref(r->names);
	json_decref(r->changed);
	json_decref(r->held_back);
	free(r->broken);
	r->names = r->changed = r->held_back = NULL;
	r->broken = NULL;
	r->renewed = false;
}

/* It is over; start the one that was asked for meanwhile. */
static void
go_on(struct supervisor *sv)
{
	struct reload *r = &sv->reload;
	json_t *asking = r->asking;

	forget(r);
	r->phase = RELOAD_IDLE;
	notify_ready(&sv->notify);
	if (!r->again)
		return;
	r->again = false;
	r->asking = r->next_asking;
	r->next_asking = asking;
	reload_start(sv, "it was asked for meanwhile", 0);
}

/* End the canaries: nobody knows of them yet. */
static void
drop_canaries(struct supervisor *sv)
{
	struct pool *p, *next_pool;
	struct slot *s, *next;

	TAILQ_FOREACH_SAFE(p, &sv->pools, entry, next_pool) {
		TAILQ_FOREACH_SAFE(s, &p->slots, entry, next) {
			if (s->trial == NULL)
				continue;
			s->trial = NULL;
			s->replaces = NULL;
			s->leaving = s->ordered = true;
			slot_kill_group(s, SIGKILL);
			slot_quiet(s);
			if (s->pid == 0)
				pool_remove_slot(s);
		}
		pool_remove_if_gone(p);
	}
}

static void
refuse(struct supervisor *sv, json_t *asking, bool retryable, const char *why,
    json_t *mistakes)
{
	json_t *item;
	size_t i;

	json_array_foreach(asking, i, item)
		answer_refused(sv, (uint64_t)json_integer_value(item),
		    retryable, why, mistakes);
	(void)json_array_clear(asking);
}

/* Answer once all workers are of the new configuration, or the new binary. */
static void
answer(struct supervisor *sv)
{
	struct reload *r = &sv->reload;
	json_t *item, *result;
	size_t i;

	json_array_foreach(r->asking, i, item) {
		if (r->renewed)
			result = json_pack("{s:s,s:i}", "version",
			    GANGER_VERSION, "pid", (int)getpid());
		else
			result = json_pack("{s:O,s:O}", "changed", r->changed,
			    "needs_restart", r->held_back);
		answer_when_rolled(
		    sv, (uint64_t)json_integer_value(item), result);
	}
	(void)json_array_clear(r->asking);
}

static void
fail(struct supervisor *sv, bool retryable, const char *why, json_t *mistakes)
{
	struct reload *r = &sv->reload;

	ev_timer_stop(sv->loop, &r->stay);
	drop_canaries(sv);
	if (r->renewed)
		log_error("upgrade: %s; the old workers stay", why);
	else
		log_error("reload: %s; the old configuration stays", why);
	refuse(sv, r->asking, retryable, why, mistakes);
	go_on(sv);
}

void
reload_break(struct supervisor *sv, const char *why)
{
	struct reload *r = &sv->reload;

	if (r->phase == RELOAD_IDLE || r->broken != NULL)
		return;
	r->broken = strdup(why);
	set_timer(sv, 0);
}

static void
log_texts(json_t *texts, const char *before)
{
	json_t *text;
	size_t i;

	json_array_foreach(texts, i, text)
		log_info("reload: %s%s", before, json_string_value(text));
}

static bool
all_answered(const struct supervisor *sv)
{
	const struct pool *p;
	const struct slot *s;

	TAILQ_FOREACH(p, &sv->pools, entry)
		TAILQ_FOREACH(s, &p->slots, entry)
			if (s->trial != NULL && !s->answered)
				return false;
	return true;
}

/* Give the broker its part.  0 or -errno. */
static int
send_settings(struct supervisor *sv)
{
	struct reload *r = &sv->reload;
	struct buf text;
	int fd, res;

	buf_init(&text, TEXT_MAX);
	fd = memfd_create("ganger-settings", MFD_CLOEXEC);
	res = fd < 0 ? -errno : 0;
	if (res == 0)
		res =
		    sv->ops->write_settings(sv->arg, r->next, r->names, &text);
	if (res == 0 && write(fd, buf_head(&text), buf_len(&text)) !=
			    (ssize_t)buf_len(&text))
		res = -EIO;
	if (res == 0)
		res = ctl_send(&sv->ctl, fd, "settings", NULL);
	if (fd >= 0)
		close(fd);
	buf_done(&text);
	return res;
}

static void
apply(struct supervisor *sv)
{
	int r;

	sv->reload.phase = RELOAD_APPLYING;
	if (!sv->broker_ready)
		return; /* reload_take_broker goes on */
	log_debug("reload: the canaries are up; the broker takes on its part");
	r = send_settings(sv);
	if (r < 0)
		reload_break(sv, strerror(-r));
}

static void
on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct supervisor *sv = w->data;
	struct reload *r = &sv->reload;
	char why[512];

	(void)loop;
	(void)revents;
	if (r->broken != NULL) {
		snprintf(why, sizeof(why), "%s", r->broken);
		fail(sv, false, why, NULL);
	} else if (r->phase == RELOAD_TRYING && all_answered(sv)) {
		apply(sv);
	}
}

void
reload_take_hello(struct supervisor *sv)
{
	if (sv->reload.phase == RELOAD_TRYING && sv->reload.broken == NULL &&
	    all_answered(sv))
		set_timer(sv, STAY_MS);
}

void
reload_lost_canary(struct slot *s, const char *status)
{
	struct supervisor *sv = s->supervisor;
	struct pool *p = s->pool;
	char why[512];

	if (sv->reload.phase == RELOAD_APPLYING) {
		/* There is no way back: the broker has the settings. */
		pool_remove_slot(s);
		return;
	}
	snprintf(why, sizeof(why),
	    "a worker of pool \"%s\" with the new configuration: %s", p->name,
	    status);
	pool_remove_slot(s);
	pool_remove_if_gone(p);
	reload_break(sv, why);
}

void
reload_take_broker(struct supervisor *sv)
{
	if (sv->reload.phase == RELOAD_APPLYING && sv->reload.broken == NULL)
		apply(sv);
}

/*
 * The place that the canary of a pool takes: the first one with a process, or
 * the first one.
 */
static struct slot *
first_member(struct pool *p)
{
	struct slot *s, *dead = NULL;

	TAILQ_FOREACH(s, &p->slots, entry) {
		if (s->leaving || s->trial != NULL || s->replaces != NULL ||
		    pool_successor(s) != NULL)
			continue;
		if (s->pid != 0)
			return s;
		if (dead == NULL)
			dead = s;
	}
	return dead;
}

/* Start a canary for one pool.  -ENOMEM. */
static int
start_canary(struct supervisor *sv, const struct config_pool *config)
{
	struct pool *p = pool_find(sv, config->name);
	struct slot *s, *old;

	if (p == NULL)
		p = pool_add_named(sv, config->name);
	if (p == NULL)
		return -ENOMEM;
	old = first_member(p);
	s = pool_add_slot(p, old == NULL ? 1 : old->number);
	if (s == NULL) {
		pool_remove_if_gone(p);
		return -ENOMEM;
	}
	s->trial = sv->reload.next;
	s->replaces = old;
	child_start(s);
	return 0;
}

static void
try(struct supervisor *sv)
{
	struct reload *r = &sv->reload;
	size_t i;
	int res;

	r->phase = RELOAD_TRYING;
	for (i = 0; i < r->next->n_pools && r->broken == NULL; i++) {
		res = start_canary(sv, &r->next->pools[i]);
		if (res < 0)
			reload_break(sv, strerror(-res));
	}
}

/* Find out what is new, and what has to stay as it is. */
static int
compare(struct supervisor *sv)
{
	struct reload *r = &sv->reload;
	struct config_diff diff;
	size_t i;
	int res;

	r->changed = json_array();
	r->held_back = json_array();
	if (r->changed == NULL || r->held_back == NULL)
		return -ENOMEM;
	res = config_diff(sv->config, r->next, &diff);
	if (res < 0)
		return res;
	for (i = 0; i < diff.n_changes; i++)
		(void)json_array_append_new(
		    r->changed, json_string(diff.changes[i]));
	for (i = 0; i < diff.n_restart; i++)
		(void)json_array_append_new(
		    r->held_back, json_string(diff.restart[i]));
	config_diff_done(&diff);
	return config_keep(r->next, sv->config);
}

void
reload_try(
    struct supervisor *sv, struct config *next, json_t *names, json_t *asking)
{
	struct reload *r = &sv->reload;
	int res;

	r->renewed = true;
	r->next = next;
	r->names = names;
	r->phase = RELOAD_TRYING;
	(void)json_array_extend(r->asking, asking);
	res = compare(sv);
	if (res < 0)
		reload_break(sv, strerror(-res));
	else
		try(sv);
}

static void
refuse_checked(struct supervisor *sv, const struct verdict *v)
{
	json_t *text;
	size_t i;

	json_array_foreach(v->mistakes, i, text)
		log_error("%s", json_string_value(text));
	fail(sv, v->retryable, "the new configuration is refused", v->mistakes);
}

static void
on_checked(void *arg, const struct verdict *v)
{
	struct supervisor *sv = arg;
	struct reload *r = &sv->reload;

	if (v->config == NULL) {
		refuse_checked(sv, v);
		return;
	}
	r->next = v->config;
	r->names = v->names;
	if (compare(sv) < 0)
		fail(sv, true, "out of memory", NULL);
	else
		try(sv);
}

/* What a reload has to wait for, or NULL. */
static const char *
what_is_first(const struct supervisor *sv)
{
	if (sv->phase < SUPERVISOR_SERVING)
		return "the start";
	if (upgrade_is_busy(sv))
		return "the upgrade";
	return sv->reload.phase == RELOAD_IDLE ? NULL : "the present one";
}

void
reload_start(struct supervisor *sv, const char *why, uint64_t ask_id)
{
	struct reload *r = &sv->reload;
	const char *first = what_is_first(sv);
	int res;

	if (sv->phase > SUPERVISOR_SERVING) {
		log_info("%s: no reload while stopping", why);
		answer_refused(sv, ask_id, true, STOPPING, NULL);
		return;
	}
	if (ask_id != 0)
		(void)json_array_append_new(
		    first != NULL ? r->next_asking : r->asking,
		    json_integer((json_int_t)ask_id));
	if (first != NULL) {
		log_info("%s: another reload will follow %s", why, first);
		r->again = true;
		return;
	}
	log_info("%s: reloading the configuration", why);
	notify_reloading(&sv->notify);
	r->phase = RELOAD_CHECKING;
	res = sv->ops->check_start(sv->arg, sv->loop, false, on_checked, sv);
	if (res < 0)
		reload_break(sv, strerror(-res));
}

void
reload_resume(struct supervisor *sv)
{
	if (sv->reload.phase == RELOAD_IDLE && sv->reload.again)
		go_on(sv);
}

/* A pool that is configured no more: the broker lets its workers go. */
static void
let_go(struct pool *p)
{
	struct slot *s, *next;

	p->config = NULL;
	TAILQ_FOREACH_SAFE(s, &p->slots, entry, next) {
		ev_timer_stop(p->supervisor->loop, &s->again);
		if (s->pid == 0)
			pool_remove_slot(s);
		else if (p->supervisor->config->reload_timeout_ms > 0)
			deadline_set(&s->grace,
			    p->supervisor->config->reload_timeout_ms);
	}
	pool_remove_if_gone(p);
}

static void
admit_canaries(struct pool *p)
{
	struct slot *s;

	TAILQ_FOREACH(s, &p->slots, entry) {
		if (s->trial != NULL)
			child_admit(s);
	}
}

/* Pools that have lost their canaries just now are new all the same. */
static void
add_missing(struct supervisor *sv)
{
	size_t i;

	for (i = 0; i < sv->config->n_pools; i++) {
		const struct config_pool *c = &sv->config->pools[i];

		if (pool_find(sv, c->name) == NULL && pool_add(sv, c) == NULL)
			log_error("no memory for pool \"%s\"", c->name);
	}
}

/* Drained workers come back with a reload, but an upgrade changes nothing. */
static void
end_rest(struct supervisor *sv)
{
	if (!sv->resting || sv->reload.renewed)
		return;
	sv->resting = false;
	log_info("the workers are started again");
}

/* The new configuration is what runs from here on. */
static void
commit(struct supervisor *sv)
{
	struct reload *r = &sv->reload;
	struct config *old = sv->config;
	const struct config_pool *c;
	struct pool *p, *next;

	sv->config = r->next;
	r->next = NULL;
	json_decref(sv->names);
	sv->names = json_incref(r->names);
	end_rest(sv);
	log_set_level(sv->debug ? LOG_DEBUG : sv->config->log_level);
	log_set_format(sv->config->log_format);
	TAILQ_FOREACH_SAFE(p, &sv->pools, entry, next) {
		c = config_find_pool(sv->config, p->name);
		if (c == NULL) {
			let_go(p);
			continue;
		}
		pool_configure(p, c);
		p->generation++;
		p->rolling = true;
		pool_forget_asked(p);
		admit_canaries(p);
		pool_tell_state(p);
	}
	add_missing(sv);
	supervisor_watch_socket(sv);
	health_configure(sv);
	config_free(&old);
	pool_adjust_all(sv);
}

void
reload_take_applied(struct supervisor *sv, bool ok, const char *why)
{
	struct reload *r = &sv->reload;

	if (r->phase != RELOAD_APPLYING || r->broken != NULL)
		return;
	if (!ok) {
		fail(sv, false, why, NULL);
		return;
	}
	commit(sv);
	log_texts(r->changed, "");
	log_texts(r->held_back, "takes effect at a restart of gangerd: ");
	log_info("%s", r->renewed ? "upgrade: workers of the new binary follow"
				  : "reload: the new configuration is in use");
	answer(sv);
	go_on(sv);
}

void
reload_cancel(struct supervisor *sv)
{
	struct reload *r = &sv->reload;

	r->again = false;
	refuse(sv, r->next_asking, true, STOPPING, NULL);
	refuse(sv, r->asking, true, STOPPING, NULL);
	if (r->phase == RELOAD_IDLE)
		return;
	if (r->phase == RELOAD_CHECKING)
		sv->ops->check_cancel(sv->arg);
	log_info("the reload is given up for the stop");
	ev_timer_stop(sv->loop, &r->stay);
	drop_canaries(sv);
	forget(r);
	r->phase = RELOAD_IDLE;
}

int
reload_hand_over(const struct supervisor *sv, json_t *state)
{
	const struct reload *r = &sv->reload;
	int res;

	res = json_object_set_new(state, "reload", json_boolean(r->again));
	res |= json_object_set(state, "reload_asking", r->next_asking);
	return res < 0 ? -ENOMEM : 0;
}

void
reload_take_over(struct supervisor *sv, const json_t *state)
{
	struct reload *r = &sv->reload;

	r->again = json_is_true(json_object_get(state, "reload"));
	(void)json_array_extend(
	    r->next_asking, json_object_get(state, "reload_asking"));
}

int
reload_init(struct supervisor *sv)
{
	struct reload *r = &sv->reload;

	r->asking = json_array();
	r->next_asking = json_array();
	ev_timer_init(&r->stay, on_timer, 0., 0.);
	r->stay.data = sv;
	return r->asking == NULL || r->next_asking == NULL ? -ENOMEM : 0;
}

void
reload_done(struct supervisor *sv)
{
	struct reload *r = &sv->reload;

	forget(r);
	json_decref(r->asking);
	json_decref(r->next_asking);
}
