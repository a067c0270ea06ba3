/* SPDX-License-Identifier: ISC */
/*
 * scale.c - how many processes a pool shall have
 *
 * Pure.  The doubling steps are those of Apache's prefork servers, the waiting
 * time as the measure is what queue-driven autoscalers use, and the window over
 * which a need must have been absent is that of the Kubernetes autoscaler.
 *
 * The window is a ring of spans that together are at least idle_timeout, and at
 * most an eighth longer: each holds the most threads that were busy in it.
 */
#include "master/supervisor/scale.h"

#include <assert.h>
#include <string.h>

static uint64_t
min_of(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static unsigned
clamp(const struct scale *s, unsigned n)
{
	if (n < s->settings.min)
		return s->settings.min;
	return n > s->settings.max ? s->settings.max : n;
}

/* The threads of n processes. */
static uint64_t
threads_of(const struct scale *s, unsigned n)
{
	return (uint64_t)n * s->settings.threads;
}

/* The processes that it takes for n threads. */
static uint64_t
processes_for(const struct scale *s, uint64_t n)
{
	return n / s->settings.threads + (n % s->settings.threads != 0);
}

static bool
is_pressed(const struct scale *s)
{
	return s->load.ready > 0 &&
	       (s->load.oldest_ms > SCALE_WAIT_MS || s->n_full >= SCALE_FULL);
}

static int64_t
span_ms(const struct scale *s)
{
	int64_t ms;

	ms = s->settings.idle_timeout_ms / SCALE_SPANS +
	     (s->settings.idle_timeout_ms % SCALE_SPANS != 0);
	return ms > 0 ? ms : 1;
}

/* End the spans that are over; the last report holds for the new ones. */
static void
turn_spans(struct scale *s, struct mono now)
{
	unsigned i;

	for (i = 0; i <= SCALE_SPANS && mono_reached(now, s->span_end); i++) {
		s->span = (s->span + 1) % (SCALE_SPANS + 1);
		s->peaks[s->span] = s->load.busy;
		s->span_end = mono_add_ms(s->span_end, span_ms(s));
	}
	if (mono_reached(now, s->span_end))
		s->span_end = mono_add_ms(now, span_ms(s));
}

/* So many threads are needed now. */
static void
note_need(struct scale *s, uint64_t n)
{
	if (s->peaks[s->span] < n)
		s->peaks[s->span] = n;
}

/* True when the window shows no need for the last process. */
static bool
is_roomy(const struct scale *s)
{
	uint64_t peak;
	unsigned i;

	peak = s->load.busy;
	for (i = 0; i <= SCALE_SPANS; i++)
		if (peak < s->peaks[i])
			peak = s->peaks[i];
	return peak <= threads_of(s, s->target - 1);
}

/* How many more processes there is work for, within the settings. */
static unsigned
growth(const struct scale *s)
{
	uint64_t wanted, up, coming;

	if (!s->fresh || !is_pressed(s) || s->load.threads == 0)
		return 0;
	up = processes_for(s, s->load.threads);
	coming = s->target > up ? s->target - up : 0;
	wanted = processes_for(s, s->load.ready);
	if (wanted <= coming)
		return 0;
	wanted = min_of(wanted - coming, s->step);
	return (unsigned)min_of(wanted, s->settings.max - s->target);
}

void
scale_init(struct scale *s, const struct scale_settings *settings, unsigned n,
    struct mono now)
{
	memset(s, 0, sizeof(*s));
	s->step = 1;
	s->up_at = s->down_at = now;
	s->target = n;
	scale_set(s, settings, now);
	note_need(s, threads_of(s, s->target));
}

void
scale_set(
    struct scale *s, const struct scale_settings *settings, struct mono now)
{
	assert(settings->min >= 1 && settings->min <= settings->max);
	assert(settings->threads >= 1);
	s->settings = *settings;
	s->target = clamp(s, s->target);
	s->span_end = mono_add_ms(now, span_ms(s));
}

void
scale_report(struct scale *s, const struct scale_load *load, struct mono now)
{
	turn_spans(s, now);
	s->load = *load;
	s->fresh = true;
	if (load->ready == 0 || load->busy < load->threads)
		s->n_full = 0;
	else if (s->n_full < SCALE_FULL)
		s->n_full++;
	note_need(s, load->busy);
	if (!is_pressed(s))
		s->step = 1;
}

unsigned
scale_move(struct scale *s, unsigned n, struct mono now)
{
	turn_spans(s, now);
	s->target = clamp(s, n);
	s->step = 1;
	s->fresh = false;
	s->up_at = s->down_at = mono_add_ms(now, SCALE_PAUSE_MS);
	note_need(s, threads_of(s, s->target));
	return s->target;
}

unsigned
scale_target(struct scale *s, struct mono now)
{
	unsigned n;

	turn_spans(s, now);
	n = mono_reached(now, s->up_at) ? growth(s) : 0;
	if (n > 0) {
		s->target += n;
		s->step = (unsigned)min_of(s->step * 2, SCALE_STEP_MAX);
		s->fresh = false;
		s->up_at = mono_add_ms(now, SCALE_PAUSE_MS);
		note_need(s, threads_of(s, s->target));
	} else if (s->target > s->settings.min && !is_pressed(s) &&
		   mono_reached(now, s->down_at) && is_roomy(s)) {
		s->target--;
		s->down_at = mono_add_ms(now, SCALE_PAUSE_MS);
	}
	return s->target;
}

bool
scale_due_at(const struct scale *s, struct mono *at_out)
{
	if (growth(s) > 0) {
		*at_out = s->up_at;
		return true;
	}
	if (s->target == s->settings.min || is_pressed(s) ||
	    s->load.busy > threads_of(s, s->target - 1))
		return false;
	*at_out = is_roomy(s) ? s->down_at : s->span_end;
	return true;
}
