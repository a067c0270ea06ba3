/* SPDX-License-Identifier: ISC */
/*
 * once.c - tasks that run at most once: their start is kept before it is made
 *
 * Meanwhile a slot is taken, so that the worker has room for it.  Until the
 * line is written the task has certainly not run: whatever happens by then, it
 * goes back to where it was at no cost.
 */
#include "master/broker/once.h"

#include <stdlib.h>

#include "master/broker/chan.h"
#include "master/broker/condemn.h"
#include "master/broker/life.h"
#include "master/broker/run.h"

#define RETRY_MS 1000 /* after the store could not keep it */

/* A start that is with the store. */
struct start {
	struct broker *broker;
	uint64_t id;
	uint32_t run;
};

/* t does not start: it waits on, or for a while when that is of no use. */
static void
put_back(struct broker *b, struct task *t, bool later)
{
	struct chan *c = t->chan;

	chan_take_back(c, t);
	if (later)
		run_snooze(b, t, RETRY_MS);
	else
		run_requeue(b, t, NULL);
	condemn_review(b, c);
}

/* t was refused to its client, who may submit it anew: it never starts. */
static void
forget(struct broker *b, struct task *t)
{
	task_ref(t);
	t->cancelling = true;
	put_back(b, t, false);
	store_erase(b->store, t);
	task_unref(t);
}

static void
on_kept(void *arg, int err)
{
	struct start *s = arg;
	struct broker *b = s->broker;
	struct task *t = life_find(b, s->id);

	/* Its worker may have died, and it may even run again; the channels of
	 * a broker that leaves may be gone. */
	if (b->phase != BROKER_LEAVING && t != NULL && t->unsent &&
	    t->run == s->run) {
		if (t->lost)
			forget(b, t);
		else if (err < 0)
			put_back(b, t, true);
		else if (t->cancelling || b->phase >= BROKER_QUITTING ||
			 !chan_can_send(t->chan))
			put_back(b, t, false);
		else
			run_send(b, t);
	}
	free(s);
}

void
once_start(struct broker *b, struct task *t)
{
	struct start *s = malloc(sizeof(*s));

	if (s != NULL) {
		s->broker = b;
		s->id = t->id;
		s->run = t->run;
		if (store_barrier(b->store, on_kept, s) == 0)
			return;
		free(s);
	}
	put_back(b, t, true);
}
