/* SPDX-License-Identifier: ISC */
/*
 * crew.c - a pool as the broker sees it: its workers and its queues
 *
 * Weights are kept by stride scheduling (Waldspurger and Weihl, 1995): each
 * queue has a virtual time that grows by run time/weight with each of its
 * tasks, and the one that lags most is next.  What a run takes shows at its
 * end: until then its queue has paid what its tasks took so far, on average.
 *
 * A queue that had nothing to give starts where those are that did, or when
 * there are none, where the last one is, at most one run before it: it can't
 * save up turns, nor owe any for a time when nobody else wanted them.
 */
#include "master/broker/crew.h"

#include <stdlib.h>
#include <string.h>

#define STRIDE UINT64_C(1000) /* virtual time of a microsecond at weight 1 */
#define ADAPT  8              /* a run's part in what the next is expected */

#define US_NS INT64_C(1000)

struct crew *
crew_new(struct broker *b, const char *name)
{
	struct crew *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->name = strdup(name);
	if (w->name == NULL) {
		free(w);
		return NULL;
	}
	w->broker = b;
	w->state = CREW_GONE;
	w->parting.name = w->name;
	w->settings = &w->parting;
	TAILQ_INIT(&w->chans);
	TAILQ_INIT(&w->shifts);
	return w;
}

static void
free_shifts(struct crew *w)
{
	struct shift *s;

	while ((s = TAILQ_FIRST(&w->shifts)) != NULL) {
		TAILQ_REMOVE(&w->shifts, s, entry);
		shift_free(s);
	}
	w->main = NULL;
}

void
crew_end(struct crew *w)
{
	free_shifts(w);
	free(w->sources);
	w->sources = NULL;
	w->n_sources = 0;
	w->settings = &w->parting;
	w->state = CREW_GONE;
	w->n_target = 0;
	settings_unref(w->held);
	w->held = NULL;
}

void
crew_free(struct crew *w)
{
	if (w == NULL)
		return;
	crew_end(w);
	free(w->name);
	free(w);
}

shift_set
crew_shifts(const struct crew *w)
{
	const struct shift *s;
	shift_set set = 0;

	TAILQ_FOREACH(s, &w->shifts, entry) {
		if (!s->over)
			set |= SHIFT_BIT(s->index);
	}
	return set;
}

struct shift *
crew_find_shift(const struct crew *w, const struct skills *skills)
{
	struct shift *s;

	if (w->main != NULL && !w->main->over &&
	    skills_match(w->main->skills, skills))
		return w->main;
	TAILQ_FOREACH(s, &w->shifts, entry) {
		if (!s->over && skills_match(s->skills, skills))
			return s;
	}
	return NULL;
}

struct crew_source *
crew_find_source(const struct crew *w, const struct queue *q)
{
	size_t i;

	for (i = 0; i < w->n_sources; i++)
		if (w->sources[i].queue == q)
			return &w->sources[i];
	return NULL;
}

bool
crew_may_start(struct crew *w, const struct queue *q, struct mono now)
{
	struct mono due;

	if (!queue_is_open(q))
		return false;
	if (rate_take_ok(&q->rate, now))
		return true;
	due = rate_due(&q->rate, now);
	if (w->wake.ns == 0 || due.ns < w->wake.ns)
		w->wake = due;
	return false;
}

/* True when a lags behind b. */
static bool
lags(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

/*
 * Where those are that had something to give: the one that lags most; or when
 * none had, the one that is farthest.
 */
static uint64_t
front(const struct crew *w)
{
	const struct crew_source *source;
	uint64_t first = w->pass, last = first;
	bool any = false;
	size_t i;

	for (i = 0; i < w->n_sources; i++) {
		source = &w->sources[i];
		if (source->waits && (!any || lags(source->pass, first)))
			first = source->pass;
		any = any || source->waits;
		if (lags(last, source->pass))
			last = source->pass;
	}
	return any ? first : last;
}

/* What a run is expected to cost. */
static uint64_t
cost(const struct crew_source *source)
{
	return source->run_us * STRIDE / source->weight;
}

/*
 * source has something to give, which it had not at the last look.  It may have
 * come while the last one had its turn, and then goes before that.
 */
static void
join(struct crew *w, struct crew_source *source)
{
	uint64_t limit = front(w), pass = limit - cost(source);

	if (lags(pass, w->pass))
		pass = lags(w->pass, limit) ? w->pass : limit;
	if (lags(source->pass, pass))
		source->pass = pass;
	source->waits = true;
}

struct task *
crew_peek(struct shift *s, struct mono now, struct crew_source **source_out)
{
	struct crew *w = s->crew;
	struct task *t, *best;
	size_t i;

	best = NULL;
	for (i = 0; i < w->n_sources; i++) {
		struct crew_source *source = &w->sources[i];

		t = queue_peek(source->queue, s->index);
		if (t == NULL || !crew_may_start(w, source->queue, now)) {
			source->waits = false;
			continue;
		}
		if (!source->waits)
			join(w, source);
		if (best == NULL || lags(source->pass, (*source_out)->pass)) {
			best = t;
			*source_out = source;
		}
		if (w->settings->strict)
			break;
	}
	return best;
}

void
crew_charge(
    struct crew *w, struct crew_source *source, struct task *t, struct mono now)
{
	rate_take(&t->queue->rate, now);
	t->began = now;
	t->charged_us = 0;
	if (source == NULL)
		return;
	t->charged_us = source->run_us;
	w->pass = source->pass;
	source->pass += cost(source);
}

void
crew_settle(struct crew *w, struct task *t, struct mono now)
{
	struct crew_source *source = crew_find_source(w, t->queue);
	int64_t us = (now.ns - t->began.ns) / US_NS, more;

	if (source != NULL && t->charged_us > 0) {
		if (us < 1)
			us = 1;
		more = us - (int64_t)t->charged_us;
		source->pass += (uint64_t)(more * (int64_t)STRIDE /
					   (int64_t)source->weight);
		more = us - (int64_t)source->run_us;
		source->run_us += (uint64_t)(more / ADAPT);
	}
	t->charged_us = 0;
}

static bool
has_no_work(const struct crew *w, const struct shift *s)
{
	const struct task *t;
	size_t i;

	TAILQ_FOREACH(t, &s->suspects, entry) {
		if (!t->queue->paused)
			return false;
	}
	for (i = 0; i < w->n_sources; i++)
		if (!w->sources[i].queue->paused &&
		    queue_peek(w->sources[i].queue, s->index) != NULL)
			return false;
	return true;
}

bool
crew_has_no_work(const struct crew *w)
{
	const struct shift *s;

	TAILQ_FOREACH(s, &w->shifts, entry) {
		if (!s->over && !has_no_work(w, s))
			return false;
	}
	return true;
}

void
crew_take_state(struct crew *w, const char *name)
{
	w->state = strcmp(name, "flapping") == 0  ? CREW_FLAPPING
		   : strcmp(name, "drained") == 0 ? CREW_DRAINED
						  : CREW_UP;
}

const char *
crew_state_name(const struct crew *w)
{
	static const char *const names[] = {
	    [CREW_UP] = "up",
	    [CREW_FLAPPING] = "flapping",
	    [CREW_DRAINED] = "drained",
	    [CREW_LEAVING] = "leaving",
	    [CREW_GONE] = "gone",
	};

	return names[w->state];
}
