/* SPDX-License-Identifier: ISC */
/*
 * autoscale.c - let the size of a pool follow its load
 */
#include "master/supervisor/autoscale.h"

#include <string.h>

#include "master/supervisor/pool.h"
#include "master/supervisor/supervisor.h"

/* Come back when the policy may say something else. */
static void
watch(struct pool *p, struct mono now)
{
	struct ev_loop *loop = p->supervisor->loop;
	struct mono at;

	ev_timer_stop(loop, &p->rescale);
	if (!scale_due_at(&p->scale, &at))
		return;
	ev_now_update(loop);
	ev_timer_set(&p->rescale, (double)mono_until_ms(now, at) / 1000., 0.);
	ev_timer_start(loop, &p->rescale);
}

/* Do what the policy says by now. */
static void
follow(struct pool *p)
{
	struct mono now = mono_now();
	unsigned n;

	ev_timer_stop(p->supervisor->loop, &p->rescale);
	if (p->config == NULL || !config_pool_scales(p->config))
		return;
	n = scale_target(&p->scale, now);
	if (n != p->n_wanted)
		pool_set_wanted(p, n, "the load");
	watch(p, now);
}

static void
on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	follow(w->data);
}

void
autoscale_init(struct pool *p)
{
	ev_timer_init(&p->rescale, on_timer, 0., 0.);
	p->rescale.data = p;
}

void
autoscale_stop(struct pool *p)
{
	ev_timer_stop(p->supervisor->loop, &p->rescale);
}

void
autoscale_configure(struct pool *p, bool goes_on)
{
	struct scale_settings settings = {
	    .min = p->config->min_processes,
	    .max = p->config->max_processes,
	    .threads = p->config->threads,
	    .idle_timeout_ms = p->config->idle_timeout_ms,
	};

	if (config_pool_scales(p->config)) {
		if (goes_on)
			scale_set(&p->scale, &settings, mono_now());
		else
			scale_init(
			    &p->scale, &settings, p->n_wanted, mono_now());
		p->n_wanted = p->scale.target;
	}
	follow(p);
}

static void
report(struct pool *p, const struct scale_load *load)
{
	if (p->config == NULL || !config_pool_scales(p->config))
		return;
	scale_report(&p->scale, load, mono_now());
	follow(p);
}

void
autoscale_take_load(struct pool *p, json_t *msg)
{
	struct scale_load load = {
	    .ready =
		(uint64_t)json_integer_value(json_object_get(msg, "ready")),
	    .oldest_ms = json_integer_value(json_object_get(msg, "oldest_ms")),
	    .busy = (unsigned)json_integer_value(json_object_get(msg, "busy")),
	    .threads =
		(unsigned)json_integer_value(json_object_get(msg, "threads")),
	};

	report(p, &load);
}

void
autoscale_forget_load(struct pool *p)
{
	struct scale_load none;

	memset(&none, 0, sizeof(none));
	report(p, &none);
}

unsigned
autoscale_move(struct pool *p, unsigned n)
{
	struct mono now = mono_now();

	if (!config_pool_scales(p->config))
		return n;
	n = scale_move(&p->scale, n, now);
	/* The caller says why it is done. */
	watch(p, now);
	return n;
}
