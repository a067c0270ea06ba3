/* SPDX-License-Identifier: ISC */
/*
 * restart.c - when a process that died is started again
 *
 * Pure.  A process that crashes at once must not be forked in a loop, one that
 * crashes now and then must be replaced without a pause: what tells them apart
 * is whether the dead process had proved itself.  The jitter keeps the slots of
 * a pool, which tend to die together, from starting together.
 */
#include "master/supervisor/restart.h"

#include <string.h>

void
restart_init(struct restart *r)
{
	memset(r, 0, sizeof(*r));
}

void
restart_started(struct restart *r)
{
	r->greeted = r->served = r->proved = false;
}

void
restart_hello(struct restart *r, struct mono now)
{
	if (r->greeted)
		return;
	r->greeted = true;
	r->proves_at = mono_add_ms(now, RESTART_IDLE_MS);
}

void
restart_served(struct restart *r, struct mono now)
{
	struct mono at;

	if (!r->greeted || r->served)
		return;
	r->served = true;
	/* A first task that ends late does not put off what idling proves. */
	at = mono_add_ms(now, RESTART_SERVED_MS);
	if (at.ns < r->proves_at.ns)
		r->proves_at = at;
}

bool
restart_proves_at(const struct restart *r, struct mono *at_out)
{
	if (!r->greeted || r->proved)
		return false;
	*at_out = r->proves_at;
	return true;
}

bool
restart_check(struct restart *r, struct mono now)
{
	bool was_flapping;

	if (!r->greeted || r->proved || !mono_reached(now, r->proves_at))
		return false;
	was_flapping = restart_is_flapping(r);
	r->proved = true;
	r->n_quick = 0;
	return was_flapping;
}

/* d, less up to half of it. */
static int64_t
jitter(int64_t d, uint32_t random)
{
	return d / 2 + (int64_t)(random % (uint32_t)(d / 2 + 1));
}

int64_t
restart_died(struct restart *r, struct mono now, uint32_t random)
{
	bool proved;

	restart_check(r, now);
	proved = r->proved;
	restart_started(r);
	if (proved)
		return 0;
	if (r->n_quick < RESTART_FLAPPING_AT)
		r->n_quick++;
	if (r->n_quick == RESTART_FLAPPING_AT)
		return RESTART_PROBE_MS;
	if (r->n_quick == 1)
		return 0;
	return jitter(RESTART_DELAY_MS << (r->n_quick - 2), random);
}

bool
restart_is_flapping(const struct restart *r)
{
	return r->n_quick >= RESTART_FLAPPING_AT;
}
