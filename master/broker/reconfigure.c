/* SPDX-License-Identifier: ISC */
/*
 * reconfigure.c - put settings in force, at the start and at a reload
 *
 * First everything is staged that needs memory: queues, names, crews with their
 * sources and shifts, lanes for all tasks.  Then it is committed, which can't
 * fail, within one turn of the loop: no task and no worker is ever without a
 * place.
 */
#include "master/broker/reconfigure.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/log.h"
#include "master/broker/access.h"
#include "master/broker/conn.h"
#include "master/broker/listener.h"
#include "master/broker/relane.h"
#include "master/broker/storage.h"

#define SETTINGS_MAX ((off_t)256 * 1024 * 1024)

/* A pool of the new settings. */
struct pool_stage {
	struct crew *crew;           /* owned if fresh_crew, else borrowed */
	struct crew_source *sources; /* owned */
	size_t n_sources;
	struct shift *main; /* owned if fresh_main, else borrowed */
	bool fresh_crew, fresh_main;
};

struct stage {
	struct broker *b;
	struct broker_settings *s;
	struct catalog_stage catalog;
	struct pool_stage *pools; /* owned; s->n_pools */
	struct crew **crews;      /* owned; all that there will be */
	size_t n_crews, n_all;    /* as in struct broker */
	struct relane_plan plan;
	int moved; /* what relane_stage said */
};

struct crew *
reconfigure_find_crew(const struct broker *b, const char *name)
{
	size_t i;

	for (i = 0; name != NULL && i < b->n_all_crews; i++)
		if (strcmp(b->crews[i]->name, name) == 0)
			return b->crews[i];
	return NULL;
}

int
reconfigure_need_crew(struct broker *b, const char *name, struct crew **out)
{
	struct crew *w = reconfigure_find_crew(b, name), **crews;

	if (w == NULL) {
		crews = reallocarray(
		    b->crews, b->n_all_crews + 1, sizeof(struct crew *));
		if (crews == NULL)
			return -ENOMEM;
		b->crews = crews;
		w = crew_new(b, name);
		if (w == NULL)
			return -ENOMEM;
		crews[b->n_all_crews++] = w;
	}
	*out = w;
	return 0;
}

static struct crew_source *
find_source(struct crew_source *list, size_t n, const struct queue *q)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (list[i].queue == q)
			return &list[i];
	return NULL;
}

/*
 * What w takes from: by the settings p, and what it took from before as long as
 * something is left there.
 */
static int
stage_sources(const struct stage *st, const struct broker_pool_settings *p,
    struct pool_stage *ps)
{
	struct crew *w = ps->crew;
	struct crew_source *old, *source;
	size_t i;

	ps->sources = calloc(p->n_refs + w->n_sources + 1, sizeof(*source));
	if (ps->sources == NULL)
		return -ENOMEM;
	for (i = 0; i < p->n_refs; i++) {
		source = &ps->sources[ps->n_sources++];
		source->queue = st->catalog.queues[p->refs[i].queue];
		source->weight = p->refs[i].weight;
		old = find_source(w->sources, w->n_sources, source->queue);
		source->pass = old == NULL ? w->pass : old->pass;
		source->run_us = old == NULL ? CREW_RUN_US : old->run_us;
		source->waits = old != NULL && old->waits;
	}
	for (i = 0; i < w->n_sources; i++) {
		old = &w->sources[i];
		if (queue_is_empty(old->queue) ||
		    find_source(ps->sources, p->n_refs, old->queue) != NULL)
			continue;
		source = &ps->sources[ps->n_sources++];
		*source = *old;
		source->past = true;
	}
	return 0;
}

/* A new shift of w, which has a place in b->shift_at from here on. */
static int
make_shift(
    struct broker *b, struct crew *w, struct skills *skills, struct shift **out)
{
	unsigned i;

	for (i = 0; i < SHIFTS_MAX && b->shift_at[i] != NULL; i++)
		continue;
	if (i == SHIFTS_MAX)
		return -E2BIG;
	*out = shift_new(w, i, skills);
	if (*out == NULL)
		return -ENOMEM;
	b->shift_at[i] = *out;
	return 0;
}

static void
unmake_shift(struct broker *b, struct shift *s)
{
	b->shift_at[s->index] = NULL;
	shift_free(s);
}

static int
stage_main(const struct stage *st, const struct broker_pool_settings *p,
    struct pool_stage *ps)
{
	struct skills *skills;
	struct shift *s;
	int r;

	skills = skills_new(p->names, p->n_names, p->commands, p->n_commands);
	if (skills == NULL)
		return -ENOMEM;
	r = 0;
	TAILQ_FOREACH(s, &ps->crew->shifts, entry) {
		if (!s->over && skills_equal(s->skills, skills))
			ps->main = s;
	}
	if (ps->main == NULL) {
		r = make_shift(st->b, ps->crew, skills, &ps->main);
		ps->fresh_main = r == 0;
	}
	skills_unref(skills);
	return r;
}

static int
stage_pool(const struct stage *st, const struct broker_pool_settings *p,
    struct pool_stage *ps)
{
	int r;

	ps->crew = reconfigure_find_crew(st->b, p->name);
	if (ps->crew == NULL) {
		ps->crew = crew_new(st->b, p->name);
		if (ps->crew == NULL)
			return -ENOMEM;
		ps->fresh_crew = true;
	}
	r = stage_sources(st, p, ps);
	return r < 0 ? r : stage_main(st, p, ps);
}

static bool
is_staged(const struct stage *st, const struct crew *w)
{
	size_t i;

	for (i = 0; i < st->s->n_pools; i++)
		if (st->pools[i].crew == w)
			return true;
	return false;
}

/* Those of the settings in their order, then who leaves, then who is gone. */
static int
stage_crews(struct stage *st)
{
	struct broker *b = st->b;
	size_t i;
	int r;

	st->pools = calloc(st->s->n_pools + 1, sizeof(*st->pools));
	st->crews =
	    calloc(st->s->n_pools + b->n_all_crews + 1, sizeof(struct crew *));
	if (st->pools == NULL || st->crews == NULL)
		return -ENOMEM;
	for (i = 0; i < st->s->n_pools; i++) {
		r = stage_pool(st, &st->s->pools[i], &st->pools[i]);
		if (r < 0)
			return r;
		st->crews[st->n_all++] = st->pools[i].crew;
	}
	for (i = 0; i < b->n_crews; i++)
		if (!is_staged(st, b->crews[i]))
			st->crews[st->n_all++] = b->crews[i];
	st->n_crews = st->n_all;
	for (i = b->n_crews; i < b->n_all_crews; i++)
		if (!is_staged(st, b->crews[i]))
			st->crews[st->n_all++] = b->crews[i];
	return 0;
}

static void
plan_shift(struct stage *st, const struct pool_stage *ps, const struct shift *s,
    bool main)
{
	struct relane_item *item = &st->plan.list[st->plan.n++];

	item->shift = s;
	item->sources = ps->sources;
	item->n_sources = ps->n_sources;
	item->main = main;
	item->leaving = false;
}

static void
make_plan(struct stage *st)
{
	const struct shift *s;
	size_t i, n;

	for (i = 0; i < st->s->n_pools; i++) {
		const struct pool_stage *ps = &st->pools[i];

		plan_shift(st, ps, ps->main, true);
		TAILQ_FOREACH(s, &ps->crew->shifts, entry) {
			if (!s->over && s != ps->main)
				plan_shift(st, ps, s, false);
		}
	}
	for (i = st->s->n_pools; i < st->n_crews; i++) {
		n = st->plan.n;
		relane_plan_crew(&st->plan, st->crews[i]);
		for (; n < st->plan.n; n++) {
			st->plan.list[n].leaving = true;
			st->plan.list[n].main = false;
		}
	}
}

static void
unstage(struct stage *st)
{
	size_t i;

	for (i = 0; st->pools != NULL && i < st->s->n_pools; i++) {
		struct pool_stage *ps = &st->pools[i];

		free(ps->sources);
		if (ps->fresh_main)
			unmake_shift(st->b, ps->main);
		if (ps->fresh_crew)
			crew_free(ps->crew);
	}
	free(st->pools);
	free(st->crews);
	catalog_unstage(&st->catalog);
}

static int
stage(struct stage *st)
{
	int r;

	r = catalog_stage(&st->b->catalog, st->s, &st->catalog);
	if (r == 0)
		r = stage_crews(st);
	if (r == 0) {
		make_plan(st);
		r = relane_stage(st->b, &st->catalog, &st->plan);
		st->moved = r;
	}
	if (r < 0)
		unstage(st);
	return r < 0 ? r : 0;
}

static void
commit_pool(struct pool_stage *ps, const struct broker_pool_settings *p)
{
	struct crew *w = ps->crew;

	free(w->sources);
	w->sources = ps->sources;
	w->n_sources = ps->n_sources;
	w->settings = p;
	w->n_target = p->n_processes;
	/* The master measures anew. */
	memset(&w->told, 0, sizeof(w->told));
	w->state = CREW_UP;
	settings_unref(w->held);
	w->held = NULL;
	if (ps->fresh_main)
		TAILQ_INSERT_TAIL(&w->shifts, ps->main, entry);
	w->main = ps->main;
}

static void
commit_leaving(const struct stage *st, struct crew *w)
{
	if (w->state == CREW_LEAVING)
		return;
	log_info("pool %s leaves: it is gone from the configuration", w->name);
	w->state = CREW_LEAVING;
	w->n_target = 0;
	w->held = settings_ref(st->b->settings);
}

static void
commit_crews(struct stage *st)
{
	struct broker *b = st->b;
	size_t i;

	for (i = 0; i < st->s->n_pools; i++)
		commit_pool(&st->pools[i], &st->s->pools[i]);
	for (; i < st->n_crews; i++)
		commit_leaving(st, st->crews[i]);
	free(st->pools);
	free(b->crews);
	b->crews = st->crews;
	b->n_crews = st->n_crews;
	b->n_all_crews = st->n_all;
}

/* Who may do what, for all that are connected. */
static void
review_access(struct broker *b, const struct broker_settings *old)
{
	const struct conn *last = NULL;
	struct conn *c;

	if (old != NULL && access_is_equal(old, b->settings))
		return;
	TAILQ_FOREACH(c, &b->conns, entry) {
		/* A look-up of groups may take its time. */
		if (last != NULL && last->cred.uid == c->cred.uid &&
		    last->cred.gid == c->cred.gid)
			c->may = last->may;
		else
			c->may = access_classes(b->settings, &c->cred);
		last = c;
	}
}

static void
commit_limits(struct broker *b)
{
	const struct broker_settings *s = b->settings;

	log_set_level(s->log_level);
	log_set_format(s->log_format);
	if (b->store != NULL)
		storage_set_limits(b);
	listener_review(&b->listener);
}

int
reconfigure(
    struct broker *b, struct broker_settings *s, char why[SETTINGS_WHY_SIZE])
{
	struct stage st = {.b = b, .s = s};
	struct broker_settings *old = b->settings;
	int r;

	r = stage(&st);
	if (r < 0) {
		snprintf(why, SETTINGS_WHY_SIZE, "%s",
		    r == -E2BIG ? "too many workers of earlier configurations "
				  "have not ended yet"
				: strerror(-r));
		return r;
	}
	if (old != NULL) {
		/* What is there was made for these. */
		s->max_message = old->max_message;
		s->shared = old->shared;
		s->shared_fd = old->shared_fd;
	}
	catalog_commit_stage(&b->catalog, &st.catalog, s, mono_now());
	commit_crews(&st);
	b->settings = s;
	relane_commit(b, st.moved > 0);
	review_access(b, old);
	commit_limits(b);
	settings_unref(old);
	return 0;
}

/* Read all of fd.  A new string, NULL and *r_out on failure. */
static char *
read_all(int fd, size_t *len_out, int *r_out)
{
	struct stat st;
	size_t n = 0;
	ssize_t got;
	char *text;

	if (fstat(fd, &st) < 0) {
		*r_out = -errno;
		return NULL;
	}
	*r_out = st.st_size > SETTINGS_MAX ? -EFBIG : -ENOMEM;
	text = *r_out == -EFBIG ? NULL : malloc((size_t)st.st_size + 1);
	if (text == NULL)
		return NULL;
	while (n < (size_t)st.st_size) {
		got = pread(fd, text + n, (size_t)st.st_size - n, (off_t)n);
		if (got <= 0) {
			*r_out = got < 0 ? -errno : -EIO;
			free(text);
			return NULL;
		}
		n += (size_t)got;
	}
	*len_out = n;
	return text;
}

void
reconfigure_order(struct broker *b, int fd)
{
	char why[SETTINGS_WHY_SIZE] = "";
	struct broker_settings *s;
	size_t len;
	char *text;
	int r;

	text = read_all(fd, &len, &r);
	close(fd);
	if (text == NULL) {
		snprintf(why, sizeof(why), "can't read the settings: %s",
		    strerror(-r));
	} else {
		r = settings_load(text, len, &s, why);
		if (r == 0 && (r = reconfigure(b, s, why)) < 0)
			settings_unref(s);
		free(text);
	}
	if (r < 0)
		log_error("the new settings are not in force: %s", why);
	else
		log_info("new settings are in force");
	(void)ctl_send(&b->ctl, -1, "settings.applied", "{s:b,s:s}", "ok",
	    r == 0, "why", why);
}

int
reconfigure_shift(
    struct broker *b, struct crew *w, struct skills *skills, struct shift **out)
{
	struct shift *s = crew_find_shift(w, skills);
	int r;

	if (s == NULL) {
		r = make_shift(b, w, skills, &s);
		if (r < 0)
			return r;
		TAILQ_INSERT_TAIL(&w->shifts, s, entry);
		r = relane_now(b);
		if (r < 0) {
			TAILQ_REMOVE(&w->shifts, s, entry);
			unmake_shift(b, s);
			return r;
		}
		log_info(
		    "pool %s has workers that know other task names than "
		    "the configuration says: they are given what they know",
		    w->name);
	}
	*out = s;
	return 0;
}
