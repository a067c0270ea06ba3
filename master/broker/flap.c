/* SPDX-License-Identifier: ISC */
/*
 * flap.c - what a client is told of pools whose workers are not up
 *
 * A task for such a pool is taken all the same: it waits until the cause is
 * gone.  But nobody shall wonder why it does.
 */
#include "master/broker/flap.h"

#include <stdio.h>
#include <string.h>

#include "master/broker/holdback.h"

_Static_assert((int)HOLDBACK_SIZE <= (int)FLAP_SIZE, "one text serves both");

static bool
all_are(const struct broker *b, shift_set set, enum crew_state state)
{
	size_t i;

	for (i = 0; i < b->n_crews; i++)
		if ((set & crew_shifts(b->crews[i])) != 0 &&
		    b->crews[i]->state != state)
			return false;
	return set != 0;
}

/* Write "a, b" of the pools in set, as many as fit; returns how many. */
static unsigned
list_pools(const struct broker *b, shift_set set, char *out, size_t size)
{
	unsigned n_listed = 0;
	size_t i, at;
	int n;

	for (i = at = 0; i < b->n_crews && at < size; i++) {
		if ((set & crew_shifts(b->crews[i])) == 0)
			continue;
		n = snprintf(out + at, size - at, "%s%s", at == 0 ? "" : ", ",
		    b->crews[i]->name);
		at += (size_t)n;
		n_listed++;
	}
	return n_listed;
}

bool
flap_describe_lane(
    const struct broker *b, const struct lane *lane, char out[FLAP_SIZE])
{
	char names[FLAP_SIZE - 64] = "";
	bool drained, several;

	out[0] = '\0';
	if (lane == NULL)
		return false;
	drained = all_are(b, lane->shifts, CREW_DRAINED);
	if (!drained && !all_are(b, lane->shifts, CREW_FLAPPING))
		return false;
	several = list_pools(b, lane->shifts, names, sizeof(names)) > 1;
	if (drained)
		snprintf(out, FLAP_SIZE,
		    "pool%s %s %s drained: a reload brings the workers back",
		    several ? "s" : "", names, several ? "are" : "is");
	else
		snprintf(out, FLAP_SIZE,
		    "pool%s %s %s flapping: %s workers die soon "
		    "after their start",
		    several ? "s" : "", names, several ? "are" : "is",
		    several ? "their" : "its");
	return true;
}

bool
flap_describe(const struct broker *b, const struct task *t, char out[FLAP_SIZE])
{
	out[0] = '\0';
	if (t->state != TASK_READY && t->state != TASK_SCHEDULED)
		return false;
	/* It may be on the disk only, and have no lane of its own. */
	return flap_describe_lane(
		   b, catalog_get_lane(&b->catalog, t->queue, t->kind), out) ||
	       holdback_describe(t->kind, out);
}
