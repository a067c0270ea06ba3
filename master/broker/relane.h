/* SPDX-License-Identifier: ISC */
/*
 * relane.h - let every task wait where those wait that can run it
 *
 * Who can run what changes when settings change, when a shift begins and when
 * one is over.  All memory is taken in a first step, that may fail; the second
 * can't.
 */
#ifndef GANGER_BROKER_RELANE_H
#define GANGER_BROKER_RELANE_H

#include <stdbool.h>

#include "master/broker/broker.h"

/* A shift as it will be. */
struct relane_item {
	const struct shift *shift;
	const struct crew_source *sources; /* borrowed */
	size_t n_sources;
	bool main;    /* knows what the settings say */
	bool leaving; /* its pool is gone from the settings */
};

struct relane_plan {
	struct relane_item list[SHIFTS_MAX];
	size_t n; /* of shifts that are not over, each has its own index */
};

/* Add the shifts of w, as they are, that are not over. */
void relane_plan_crew(struct relane_plan *plan, const struct crew *w);

/*
 * Make the next lanes for all tasks, with the queues and names of st.  Returns
 * 1, or 0 when all can stay where they are.  -ENOMEM: nothing is left behind.
 */
int relane_stage(struct broker *b, const struct catalog_stage *st,
    const struct relane_plan *plan);

/* Carry it out; moved is what relane_stage said.  st is in force by now. */
void relane_commit(struct broker *b, bool moved);

/* How many tasks of q are ready and can be run by nobody. */
uint64_t relane_count_stranded(const struct broker *b, const struct queue *q);

/* Do both with the crews as they are.  -ENOMEM: nothing has changed. */
int relane_now(struct broker *b);

#endif
