/* SPDX-License-Identifier: ISC */
/*
 * health.c - look after workers that live but are not well
 *
 * A worker writes down since when its main loop works; one that waits for
 * events is well, so a healthy idle worker has nothing to do for this.  Nor has
 * it to tell that it is stopped by a signal: the kernel does.  It does not tell
 * of one that a debugger holds, who is left alone.
 */
#include "master/supervisor/health.h"

#include <stdio.h>

#include "ipc/log.h"
#include "master/supervisor/pool.h"
#include "master/supervisor/reap.h"
#include "master/supervisor/rss.h"
#include "master/supervisor/supervisor.h"

#define MEMORY_MS   1000 /* between looks at the memory */
#define LOOKS       4    /* within a heartbeat_timeout */
#define LOOK_MIN_MS 250
#define LOOK_MAX_MS 15000

/* How long until the next look; 0: no pool wants one. */
static int64_t
interval_ms(const struct supervisor *sv)
{
	const struct pool *p;
	int64_t ms = 0, want;

	TAILQ_FOREACH(p, &sv->pools, entry) {
		want = p->heartbeat_timeout_ms / LOOKS;
		if (want > LOOK_MAX_MS)
			want = LOOK_MAX_MS;
		if (p->config != NULL && p->config->max_memory > 0 &&
		    (want == 0 || want > MEMORY_MS))
			want = MEMORY_MS;
		if (want > 0 && want < LOOK_MIN_MS)
			want = LOOK_MIN_MS;
		if (want > 0 && (ms == 0 || want < ms))
			ms = want;
	}
	return ms;
}

/* True when it has been so, since then, for longer than a worker may. */
static bool
is_over(const struct slot *s, struct mono since, struct mono now)
{
	int64_t limit_ms = s->pool->heartbeat_timeout_ms;

	return limit_ms > 0 && since.ns > 0 && s->answered &&
	       mono_reached(now, mono_add_ms(since, limit_ms));
}

/* One whose main loop does not come back can't be fed, nor stopped. */
static void
check_loop(struct slot *s, struct mono now)
{
	struct mono since = {atomic_load(&s->page->busy_ns)};
	char why[80];

	if (is_over(s, s->stopped_since, now)) {
		snprintf(why, sizeof(why),
		    "it has been stopped for %lld s (heartbeat_timeout)",
		    (long long)mono_until_ms(s->stopped_since, now) / 1000);
		slot_abort(s, why);
	} else if (is_over(s, since, now)) {
		slot_abort(s, "its main loop hangs (heartbeat_timeout)");
	}
}

static void
check_memory(struct slot *s)
{
	uint64_t bytes, limit = s->pool->config->max_memory;
	char name[SLOT_NAME_SIZE];

	if (limit == 0 || s->stale || !s->answered ||
	    rss_of(s->pid, &bytes) < 0 || bytes <= limit)
		return;
	slot_name(s, name);
	log_info("%s, pid %d, is to be replaced: it has %llu MiB (max_memory)",
	    name, (int)s->pid, (unsigned long long)bytes >> 20);
	s->stale = true;
}

static void
check_pool(struct pool *p, struct mono now)
{
	struct slot *s;

	TAILQ_FOREACH(s, &p->slots, entry) {
		if (s->pid == 0 || s->page == NULL || s->trial != NULL)
			continue;
		check_loop(s, now);
		if (!s->leaving && p->config != NULL)
			check_memory(s);
	}
	pool_adjust(p);
}

static void
arm(struct supervisor *sv)
{
	int64_t ms = interval_ms(sv);

	ev_timer_stop(sv->loop, &sv->health);
	if (ms == 0)
		return;
	ev_now_update(sv->loop);
	ev_timer_set(&sv->health, (double)ms / 1000., 0.);
	ev_timer_start(sv->loop, &sv->health);
	sv->health_due = mono_add_ms(mono_now(), ms);
}

static void
on_timer(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct supervisor *sv = w->data;
	struct mono now = mono_now();
	struct pool *p;
	bool late;

	(void)loop;
	(void)revents;
	/* Stopped together, or the workers with us: they get a chance. */
	late = mono_reached(now, mono_add_ms(sv->health_due, DEADLINE_LATE_MS));
	/* What is told already comes first. */
	reap_note_stops(sv);
	if (!late && sv->phase == SUPERVISOR_SERVING)
		TAILQ_FOREACH(p, &sv->pools, entry)
			check_pool(p, now);
	arm(sv);
}

void
health_init(struct supervisor *sv)
{
	ev_timer_init(&sv->health, on_timer, 0., 0.);
	sv->health.data = sv;
}

void
health_configure(struct supervisor *sv)
{
	arm(sv);
}

void
health_stop(struct supervisor *sv)
{
	ev_timer_stop(sv->loop, &sv->health);
}
