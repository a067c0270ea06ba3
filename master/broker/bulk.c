/* SPDX-License-Identifier: ISC */
/*
 * bulk.c - change tasks that are named by their ids
 *
 *   LOOKING    every id is looked for, here and in the store
 *   CHANGING   each task is changed; what was read and is out of date by now
 *              is looked up again
 *   KEEPING    the store keeps it, unless all of them are volatile
 */
#include "master/broker/bulk.h"

#include <errno.h>
#include <stdlib.h>

#include "master/broker/life.h"
#include "master/broker/method.h"

#define LOOKS_MAX 5 /* at a task that is never what was read */

/* One id. */
struct item {
	struct bulk *bulk;
	uint64_t id;
	struct task *task; /* a reference; NULL: not found so far */
	unsigned n_looks;
};

struct bulk {
	struct broker *broker;
	struct call *call;
	struct change change;
	struct change_tally tally;
	bool changing;
	size_t n_lookups; /* asked of the store, and one while asking */
	int err;          /* of the look-up of id `missing`; 0: none failed */
	uint64_t missing;
	size_t n;
	struct item items[];
};

static void
bulk_free(struct bulk *k)
{
	size_t i;

	for (i = 0; i < k->n; i++)
		task_unref(k->items[i].task);
	change_tally_done(&k->tally);
	free(k);
}

static void
refuse(struct bulk *k, struct fault *f)
{
	call_error(k->call, f);
	fault_done(f);
	bulk_free(k);
}

static void
refuse_missing(struct bulk *k)
{
	struct fault f;

	if (k->err == -ENOENT)
		fault_set(&f, RPC_NO_SUCH_TASK, "no task %llu",
		    (unsigned long long)k->missing);
	else
		fault_set(&f, RPC_STORAGE, "task %llu can't be read",
		    (unsigned long long)k->missing);
	f.retryable = k->err != -ENOENT;
	f.id = k->missing;
	refuse(k, &f);
}

/* None of them could be changed. */
static void
refuse_all(struct bulk *k)
{
	struct fault f;

	change_refuse(&k->change, &k->tally, &f);
	refuse(k, &f);
}

static void
on_kept(void *arg, int err)
{
	struct bulk *k = arg;
	struct fault f;
	struct buf *out;

	if (err < 0) {
		method_not_kept(k->broker, err, &f);
		refuse(k, &f);
		return;
	}
	out = call_open_result(k->call);
	buf_addc(out, '{');
	change_add_answer(&k->change, &k->tally, out);
	buf_addc(out, '}');
	call_close_result(k->call);
	bulk_free(k);
}

static void
finish(struct bulk *k)
{
	if (k->tally.n_changed + k->tally.n_asked == 0)
		refuse_all(k);
	else if (!k->tally.durable)
		on_kept(k, 0);
	else if (store_barrier(k->broker->store, on_kept, k) < 0)
		on_kept(k, -ENOMEM);
}

static int look_up(struct item *item);
static void go_on(struct bulk *k);

static void
on_changed(void *arg, int err)
{
	struct item *item = arg;
	struct bulk *k = item->bulk;

	if (err < 0) {
		k->err = err;
		k->missing = item->id;
	}
	if (--k->n_lookups == 0)
		go_on(k);
}

static void
change_item(struct item *item)
{
	struct bulk *k = item->bulk;
	int r;

	r = change_task(
	    k->broker, &k->change, item->task, &k->tally, on_changed, item);
	if (r == 1)
		k->n_lookups++;
	else if (r == -EAGAIN &&
		 (item->n_looks >= LOOKS_MAX || look_up(item) < 0))
		change_skip(&k->tally, item->task, -EBUSY);
}

/* A round of look-ups is over. */
static void
go_on(struct bulk *k)
{
	size_t i;

	if (k->err < 0) {
		refuse_missing(k);
		return;
	}
	if (k->changing) {
		finish(k);
		return;
	}
	k->changing = true;
	k->n_lookups = 1;
	for (i = 0; i < k->n; i++)
		change_item(&k->items[i]);
	if (--k->n_lookups == 0)
		go_on(k);
}

static void
on_looked_up(void *arg, int err, struct task *t)
{
	struct item *item = arg;
	struct bulk *k = item->bulk;

	if (err == -ENOENT && k->changing) {
		/* It was deleted meanwhile. */
		change_skip(&k->tally, item->task, -ENOENT);
	} else if (err < 0) {
		k->err = err;
		k->missing = item->id;
	} else {
		task_unref(item->task);
		item->task = task_ref(t);
		if (k->changing)
			change_item(item);
	}
	if (--k->n_lookups == 0)
		go_on(k);
}

/* Ask the store; -ENOMEM. */
static int
look_up(struct item *item)
{
	struct bulk *k = item->bulk;
	int r;

	item->n_looks++;
	r = store_get(k->broker->store, item->id, on_looked_up, item);
	if (r == 0)
		k->n_lookups++;
	return r;
}

static void
look_for(struct item *item)
{
	struct bulk *k = item->bulk;
	struct task *t = life_find(k->broker, item->id);

	if (t != NULL) {
		item->task = task_ref(t);
		return;
	}
	if (look_up(item) == 0)
		return;
	k->err = -ENOMEM;
	k->missing = item->id;
}

void
bulk_start(struct broker *b, struct call *call, const struct change *c,
    const uint64_t *ids, size_t n)
{
	struct bulk *k;
	size_t i;

	k = calloc(1, sizeof(*k) + n * sizeof(struct item));
	if (k == NULL) {
		method_no_memory(call);
		return;
	}
	k->broker = b;
	k->call = call;
	k->change = *c;
	change_tally_init(&k->tally);
	k->n = n;
	k->n_lookups = 1;
	for (i = 0; i < n; i++) {
		k->items[i].bulk = k;
		k->items[i].id = ids[i];
		look_for(&k->items[i]);
	}
	if (--k->n_lookups == 0)
		go_on(k);
}
