/* SPDX-License-Identifier: ISC */
/* LINK: master/broker/mailbox.c master/broker/task.c master/broker/delay.c
 *	ipc/clock.c ipc/log.c ipc/buf.c ipc/json.c */
/*
 * test_mailbox.c - one of a key at a time, in order, whatever leaves memory
 *
 * Against a simple model: a list of each key's tasks in the order in which they
 * became ready, whose first alone may run.  The store is played: what it reads
 * is as it was at a flush, and is told later, in order.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ipc/log.h"
#include "master/broker/broker.h"
#include "master/broker/life.h"

#define IDS   4000
#define KEYS  5
#define CALLS 4096

/* A task as the disk has it. */
struct row {
	bool kept, live, holds, parked;
	unsigned key;
	uint64_t seq;
};

/* A call of the store that is open. */
struct wish {
	enum { GET, FETCH, FIND } kind;
	bool read; /* its flush has been */
	void *fn, *arg;
	uint64_t id, after;
	size_t n;
	char key[16];
	int err;
	uint64_t found, cursor;
	struct task *tasks[64];
	size_t n_tasks;
};

static struct world {
	struct broker b;
	struct store store;
	struct row rows[IDS];
	struct task *dirty[CALLS]; /* a reference each; as of the next flush */
	bool fresh[CALLS];         /* it is new */
	size_t n_dirty;
	struct wish wishes[CALLS];
	size_t n_wishes;
	struct task *resident[IDS]; /* a reference each */
	bool ended[IDS];
	unsigned key_of[IDS];
	uint64_t order[KEYS][IDS]; /* of ids that have not ended */
	size_t n_order[KEYS];
	uint64_t runs[KEYS]; /* the id that holds the key; 0: none */
	uint64_t last_id, seq;
	unsigned spills, fails; /* out of 100 */
	size_t n_fetches, n_finds;
} w;

static unsigned
chance(unsigned of)
{
	return (unsigned)rand() % of;
}

/* The model. */

static void
model_took(uint64_t id)
{
	unsigned k = w.key_of[id];

	assert_int_equal(w.runs[k], 0);
	assert_true(w.n_order[k] > 0);
	assert_int_equal(w.order[k][0], id);
	w.runs[k] = id;
}

static void
model_gone(uint64_t id)
{
	unsigned k = w.key_of[id];
	size_t i;

	w.ended[id] = true;
	if (w.runs[k] == id)
		w.runs[k] = 0;
	for (i = 0; w.order[k][i] != id; i++)
		assert_true(i < w.n_order[k]);
	w.n_order[k]--;
	memmove(&w.order[k][i], &w.order[k][i + 1],
	    (w.n_order[k] - i) * sizeof(uint64_t));
}

/* The store. */

static void
note_news(struct task *t, bool fresh)
{
	if (!t->durable)
		return;
	assert_true(w.n_dirty < CALLS);
	w.fresh[w.n_dirty] = fresh;
	w.dirty[w.n_dirty++] = task_ref(t);
}

static struct wish *
wish_add(int kind, void *arg)
{
	struct wish *x = &w.wishes[w.n_wishes++];

	assert_true(w.n_wishes <= CALLS);
	memset(x, 0, sizeof(*x));
	x->kind = kind;
	x->arg = arg;
	return x;
}

static int
fake_get(struct store *s, uint64_t id, store_task_fn fn, void *arg)
{
	struct wish *x = wish_add(GET, arg);

	(void)s;
	x->fn = *(void **)&fn;
	x->id = id;
	return 0;
}

static int
fake_fetch(struct store *s, const struct store_range *range, store_list_fn fn,
    void *arg)
{
	struct wish *x;

	(void)s;
	if (chance(100) < w.fails)
		return -ENOMEM;
	assert_int_equal(range->order, STORE_KEY);
	assert_in_range(range->n, 1, 64);
	x = wish_add(FETCH, arg);
	x->fn = *(void **)&fn;
	strcpy(x->key, range->key);
	x->after = (uint64_t)range->after;
	x->n = range->n;
	w.n_fetches++;
	return 0;
}

static int
fake_find(struct store *s, enum store_what what, const struct queue *q,
    const struct kind *kind, const char *text, store_found_fn fn, void *arg)
{
	struct wish *x = wish_add(FIND, arg);

	(void)s;
	(void)q;
	(void)kind;
	assert_int_equal(what, STORE_BY_KEY);
	x->fn = *(void **)&fn;
	strcpy(x->key, text);
	w.n_finds++;
	return 0;
}

static const struct store_ops fake_ops = {
    .get = fake_get, .fetch = fake_fetch, .find = fake_find};

static struct task *
task_of_row(uint64_t id)
{
	struct row *r = &w.rows[id];
	struct task *t = task_new(id);
	char key[16];

	snprintf(key, sizeof(key), "k%u", r->key);
	t->key = strdup(key);
	t->durable = true;
	t->seq = r->seq;
	t->holds = r->holds;
	t->parked = r->parked;
	t->state = r->live ? TASK_READY : TASK_SUCCEEDED;
	return t;
}

static bool
row_is_of(uint64_t id, const char *key)
{
	const struct row *r = &w.rows[id];

	return r->kept && r->live && (unsigned)(key[1] - '0') == r->key;
}

/* The first parked one after a seq; 0: none. */
static uint64_t
next_parked(const char *key, uint64_t after)
{
	uint64_t id, best = 0;

	for (id = 1; id <= w.last_id; id++)
		if (row_is_of(id, key) && w.rows[id].parked &&
		    w.rows[id].seq > after &&
		    (best == 0 || w.rows[id].seq < w.rows[best].seq))
			best = id;
	return best;
}

static void
read_wish(struct wish *x)
{
	uint64_t id;

	x->read = true;
	if (x->kind != GET && chance(100) < w.fails) {
		x->err = -EIO;
	} else if (x->kind == GET) {
		if (w.rows[x->id].kept)
			x->tasks[x->n_tasks++] = task_of_row(x->id);
	} else if (x->kind == FETCH) {
		while (x->n_tasks < x->n &&
		       (id = next_parked(x->key, x->after)) != 0) {
			x->tasks[x->n_tasks++] = task_of_row(id);
			x->after = w.rows[id].seq;
		}
		x->cursor = next_parked(x->key, x->after) != 0;
	} else {
		for (id = 1; id <= w.last_id; id++)
			if (row_is_of(id, x->key) && w.rows[id].holds)
				x->found = id;
		if (x->found == 0)
			x->found = next_parked(x->key, 0);
	}
}

static void
tell_wish(struct wish *x)
{
	store_task_fn get;
	store_list_fn fetch;
	store_found_fn find;
	size_t i;

	*(void **)&get = x->fn;
	*(void **)&fetch = x->fn;
	*(void **)&find = x->fn;
	if (x->kind == GET)
		get(x->arg, x->n_tasks > 0 ? 0 : -ENOENT, x->tasks[0]);
	else if (x->kind == FETCH)
		fetch(x->arg, x->err, x->err < 0 ? NULL : x->tasks, x->n_tasks,
		    x->cursor);
	else
		find(x->arg, x->err, x->found, x->found != 0 ? 1 : 0);
	for (i = 0; i < x->n_tasks; i++)
		task_unref(x->tasks[i]);
}

/* What was put is not kept. */
static void
fail_put(struct task *t)
{
	if (w.ended[t->id])
		return;
	model_gone(t->id);
	mailbox_leave(&w.b, t);
	if (w.resident[t->id] != NULL) {
		w.resident[t->id] = NULL;
		task_unref(t);
	}
}

static void
fake_flush(void)
{
	bool fails = chance(100) < w.fails;
	size_t i, n = w.n_wishes;
	struct task *t;
	struct row *r;

	for (i = 0; i < w.n_dirty; i++) {
		t = w.dirty[i];
		if (w.fresh[i] && fails)
			fail_put(t);
		r = &w.rows[t->id];
		/* What failed when it was put has no row to be changed. */
		if (fails ? r->kept : w.fresh[i] || r->kept)
			*r = (struct row){true, !w.ended[t->id], t->holds,
			    t->parked, w.key_of[t->id], t->seq};
		if (w.ended[t->id] && w.runs[w.key_of[t->id]] == t->id) {
			model_gone(t->id);
			mailbox_kept(&w.b, t);
		}
		task_unref(t);
	}
	w.n_dirty = 0;
	for (i = 0; i < n; i++)
		if (!w.wishes[i].read)
			read_wish(&w.wishes[i]);
}

/* Tell the first ones of what was read. */
static void
fake_tell(size_t n)
{
	struct wish *told = calloc(CALLS, sizeof(*told));
	size_t i;

	for (i = 0; i < n && i < w.n_wishes && w.wishes[i].read; i++)
		told[i] = w.wishes[i];
	n = i;
	w.n_wishes -= n;
	memmove(w.wishes, w.wishes + n, w.n_wishes * sizeof(w.wishes[0]));
	for (i = 0; i < n; i++)
		tell_wish(&told[i]);
	free(told);
}

/* The life of tasks, as far as it matters here. */

struct task *
life_find(struct broker *b, uint64_t id)
{
	(void)b;
	return w.resident[id];
}

bool
life_spill(struct broker *b, struct task *t)
{
	assert_true(t->durable);
	assert_ptr_equal(w.resident[t->id], t);
	w.resident[t->id] = NULL;
	mailbox_spill(b, t);
	t->spilled = true;
	task_unref(t);
	return true;
}

struct task *
life_adopt(struct broker *b, struct task *t)
{
	if (w.resident[t->id] != NULL)
		return w.resident[t->id];
	if (w.ended[t->id] || chance(100) < w.fails)
		return NULL;
	assert_int_equal(mailbox_adopt(b, t), 0);
	w.resident[t->id] = task_ref(t);
	return t;
}

void
life_unparked(struct broker *b, struct task *t)
{
	assert_true(t->holds && !t->parked && t->place == TASK_NOWHERE);
	model_took(t->id);
	note_news(t, false);
	if (t->durable && chance(100) < w.spills)
		(void)life_spill(b, t);
}

/* What happens. */

static void
submit(unsigned key, bool durable)
{
	struct task *t = task_new(++w.last_id);
	char text[16];

	assert_true(w.last_id < IDS);
	snprintf(text, sizeof(text), "k%u", key);
	t->key = strdup(text);
	t->durable = durable;
	t->state = TASK_READY;
	assert_int_equal(mailbox_enter(&w.b, t), 0);
	w.key_of[t->id] = key;
	w.order[key][w.n_order[key]++] = t->id;
	w.resident[t->id] = t;
	t->seq = ++w.seq;
	note_news(t, true);
	if (mailbox_admit(&w.b, t)) {
		assert_true(t->holds);
		model_took(t->id);
		if (durable && chance(100) < w.spills)
			(void)life_spill(&w.b, t);
	} else {
		assert_true(t->parked && !t->holds);
		assert_int_equal(t->place, TASK_IN_MAILBOX);
	}
}

static bool
is_dirty(uint64_t id)
{
	size_t i;

	for (i = 0; i < w.n_dirty; i++)
		if (w.dirty[i]->id == id)
			return true;
	return false;
}

/* The task of that id, brought from the disk if it is there. */
static struct task *
bring(uint64_t id)
{
	struct task *t = w.resident[id];

	if (t != NULL || is_dirty(id) || !w.rows[id].kept)
		return t;
	t = task_of_row(id);
	(void)life_adopt(&w.b, t);
	task_unref(t);
	return w.resident[id];
}

static void
finish(struct task *t)
{
	uint64_t id = t->id;

	/* Until its end is kept, a durable one may run again. */
	if (t->durable && w.runs[w.key_of[id]] == id)
		w.ended[id] = true;
	else
		model_gone(id);
	t->state = TASK_SUCCEEDED;
	mailbox_leave(&w.b, t);
	assert_null(t->mailbox);
	note_news(t, false);
	w.resident[id] = NULL;
	task_unref(t);
}

static void
turn(size_t told)
{
	mailbox_tidy(&w.b);
	fake_flush();
	fake_tell(told);
}

static void
run_later(void)
{
	if (ev_is_active(&w.b.mailboxes.timer)) {
		ev_timer_stop(w.b.loop, &w.b.mailboxes.timer);
		ev_invoke(w.b.loop, &w.b.mailboxes.timer, EV_TIMER);
	}
}

/* Another broker goes on with what is resident. */
static void
hand_over(void)
{
	uint64_t id;
	size_t i;

	for (i = 0; i < 100 && (w.n_wishes > 0 || w.n_dirty > 0 ||
				   !mailbox_is_settled(&w.b));
	     i++) {
		run_later();
		turn(CALLS);
	}
	assert_true(i < 100);
	mailbox_done_all(&w.b);
	for (id = 1; id <= w.last_id; id++)
		if (w.resident[id] != NULL)
			w.resident[id]->mailbox = NULL;
	memset(&w.b.mailboxes, 0, sizeof(w.b.mailboxes));
	for (id = 1; id <= w.last_id; id++)
		if (w.resident[id] != NULL)
			assert_int_equal(
			    mailbox_restore(&w.b, w.resident[id]), 0);
}

static void
act(unsigned keys, unsigned submits)
{
	unsigned k = chance(keys), what = chance(100);
	struct task *t;
	uint64_t id;

	if (chance(100) < submits) {
		submit(k, chance(4) != 0);
	} else if (what < 70 && w.runs[k] != 0) {
		t = bring(w.runs[k]);
		if (t != NULL)
			finish(t);
	} else if (what < 80 && w.runs[k] != 0) {
		/* It is tried again, and waits for that on the disk. */
		t = bring(w.runs[k]);
		if (t == NULL)
			return;
		t->seq = ++w.seq;
		note_news(t, false);
		if (t->durable)
			(void)life_spill(&w.b, t);
	} else if (what < 90 && w.n_order[k] > 0) {
		id = w.order[k][chance((unsigned)w.n_order[k])];
		t = bring(id);
		if (t != NULL)
			finish(t);
	}
}

static void
start(unsigned seed, unsigned spills, unsigned fails)
{
	srand(seed);
	memset(&w, 0, sizeof(w));
	w.spills = spills;
	w.fails = fails;
	w.store.ops = &fake_ops;
	w.b.store = &w.store;
	w.b.loop = ev_loop_new(EVFLAG_AUTO);
}

/* End all that is left, one holder after the other. */
static void
drain(void)
{
	unsigned i, k;
	size_t left = 1;

	for (i = 0; left > 0; i++) {
		struct task *t;

		assert_true(i < 4 * IDS);
		run_later();
		turn(CALLS);
		for (k = 0, left = 0; k < KEYS; k++) {
			t = w.runs[k] == 0 ? NULL : bring(w.runs[k]);
			if (t != NULL)
				finish(t);
			left += w.n_order[k];
		}
	}
	for (i = 0; i < 20; i++) {
		run_later();
		turn(CALLS);
	}
}

static void
stop(void)
{
	drain();
	assert_int_equal(w.b.n_keyed_absent, 0);
	assert_int_equal(w.b.mailboxes.n, 0);
	assert_int_equal(w.b.mailboxes.n_durable, 0);
	assert_int_equal(w.n_wishes, 0);
	mailbox_done_all(&w.b);
	ev_loop_destroy(w.b.loop);
}

static void
keys_are_held_in_the_order_of_seq(void **state)
{
	unsigned seed;
	int i;

	(void)state;
	for (seed = 1; seed <= 20; seed++) {
		start(seed, seed % 3 * 40, seed % 4 == 0 ? 15 : 0);
		for (i = 0; i < 1200; i++) {
			/* They pile up, are done, and pile up again. */
			act(1 + seed % KEYS, i % 600 < 300 ? 80 : 10);
			if (chance(3) == 0)
				turn(chance(3));
			if (chance(20) == 0)
				run_later();
			if (chance(300) == 0)
				hand_over();
		}
		stop();
	}
}

static void
what_is_parked_far_behind_leaves_memory(void **state)
{
	uint64_t id;
	size_t n = 0;
	int i;

	(void)state;
	start(1, 0, 0);
	for (i = 0; i < 1000; i++)
		submit(0, true);
	turn(CALLS);
	for (id = 1; id <= w.last_id; id++)
		n += w.resident[id] != NULL;
	assert_int_equal(n, 65); /* with the one that runs */
	assert_int_equal(w.b.n_keyed_absent, 935);
	assert_int_equal(w.n_fetches + w.n_finds, 0);
	stop();
	/* They came back by the dozen. */
	assert_in_range(w.n_fetches, 935 / 64, 60);
	assert_int_equal(w.n_finds, 0);
}

static void
volatile_ones_stay_and_keep_their_place(void **state)
{
	int i;

	(void)state;
	start(1, 0, 0);
	for (i = 0; i < 600; i++)
		submit(0, i % 3 == 0);
	turn(CALLS);
	assert_int_equal(w.b.n_keyed_absent, 200 - 65);
	stop();
}

static void
a_key_without_a_mailbox_is_looked_up(void **state)
{
	(void)state;
	start(1, 100, 0);
	submit(0, true); /* holds, and is on the disk only */
	turn(CALLS);
	assert_int_equal(w.b.mailboxes.n, 0);
	submit(0, true);
	submit(1, true);
	assert_true(w.resident[2]->parked);
	assert_true(w.resident[3]->parked);
	turn(CALLS);
	turn(CALLS);
	/* The first key is held by what is not here, the second was free. */
	assert_int_equal(w.runs[0], 1);
	assert_int_equal(w.runs[1], 3);
	assert_int_equal(w.n_finds, 2);
	stop();
}

static void
what_a_lost_holder_kept_back_goes_on(void **state)
{
	(void)state;
	start(1, 100, 0);
	submit(0, true); /* holds, and has left memory before its commit */
	submit(0, false);
	assert_int_equal(w.runs[0], 1);
	w.fails = 100;
	turn(0);
	assert_int_equal(w.runs[0], 0);
	w.fails = 0;
	turn(CALLS);
	turn(CALLS);
	assert_int_equal(w.runs[0], 2);
	stop();
}

/* 100 of a key, so many of them done that the next are being fetched. */
static void
start_fetch(void)
{
	int i;

	start(1, 0, 0);
	for (i = 0; i < 100; i++)
		submit(0, true);
	turn(CALLS);
	while (w.n_fetches == 0) {
		finish(w.resident[w.runs[0]]);
		turn(0); /* its end is kept */
		turn(0); /* the next one has the key */
	}
	assert_int_equal(w.n_wishes, 1);
}

static void
what_is_spilled_while_a_fetch_is_open_comes_back(void **state)
{
	int i;

	(void)state;
	start_fetch();
	for (i = 0; i < 100; i++)
		submit(0, true);
	turn(0);
	assert_int_equal(w.n_fetches, 1);
	fake_tell(CALLS);
	/* So few are left that none has to leave for those that came. */
	for (i = 60; i < 100; i++)
		if (w.resident[i] != NULL && w.resident[i]->parked)
			finish(w.resident[i]);
	stop();
}

static void
a_fetch_may_bring_what_has_had_the_key_since(void **state)
{
	uint64_t id, last = 0;

	(void)state;
	start_fetch();
	for (id = w.last_id; id > 0; id--)
		if (w.resident[id] == NULL && !w.ended[id])
			last = bring(id)->id;
	assert_int_equal(w.b.n_keyed_absent, 0);
	while (w.runs[0] < last) {
		w.spills = w.runs[0] + 1 == last ? 100 : 0;
		finish(w.resident[w.runs[0]]);
		turn(0); /* its end is kept */
		turn(0); /* the next one has the key */
	}
	/* It holds the key, on the disk; the fetch has it as one that waits. */
	assert_null(w.resident[last]);
	w.spills = 0;
	turn(CALLS);
	assert_null(w.resident[last]);
	assert_int_equal(w.runs[0], last);
	stop();
}

static void
a_key_is_free_for_whoever_comes_first(void **state)
{
	(void)state;
	start(1, 0, 0);
	submit(0, false);
	submit(0, false);
	submit(1, true);
	assert_int_equal(w.runs[0], 1);
	assert_int_equal(w.runs[1], 3);
	finish(w.resident[1]);
	turn(0);
	assert_int_equal(w.runs[0], 2);
	assert_int_equal(w.n_finds + w.n_fetches, 0);
	stop();
}

static void
a_durable_end_is_kept_before_the_next_begins(void **state)
{
	struct task *t;

	(void)state;
	start(1, 0, 0);
	submit(0, true);
	submit(0, false);
	turn(0);
	t = task_ref(w.resident[1]);
	finish(t);
	mailbox_tidy(&w.b);
	assert_true(w.resident[2]->parked);
	fake_flush();
	mailbox_tidy(&w.b);
	assert_true(w.resident[2]->holds);
	/* A second word changes nothing. */
	mailbox_kept(&w.b, t);
	mailbox_tidy(&w.b);
	assert_true(w.resident[2]->holds);
	task_unref(t);
	stop();
}

static void
what_has_no_key_is_let_through(void **state)
{
	struct task *t = task_new(1);

	(void)state;
	start(1, 0, 0);
	assert_int_equal(mailbox_enter(&w.b, t), 0);
	assert_true(mailbox_admit(&w.b, t));
	assert_false(t->holds);
	mailbox_spill(&w.b, t);
	assert_int_equal(mailbox_adopt(&w.b, t), 0);
	mailbox_leave(&w.b, t);
	assert_int_equal(w.b.n_keyed_absent, 0);
	task_unref(t);
	stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_key_is_free_for_whoever_comes_first),
	    cmocka_unit_test(a_durable_end_is_kept_before_the_next_begins),
	    cmocka_unit_test(what_has_no_key_is_let_through),
	    cmocka_unit_test(a_key_without_a_mailbox_is_looked_up),
	    cmocka_unit_test(what_is_parked_far_behind_leaves_memory),
	    cmocka_unit_test(volatile_ones_stay_and_keep_their_place),
	    cmocka_unit_test(what_a_lost_holder_kept_back_goes_on),
	    cmocka_unit_test(what_is_spilled_while_a_fetch_is_open_comes_back),
	    cmocka_unit_test(a_fetch_may_bring_what_has_had_the_key_since),
	    cmocka_unit_test(keys_are_held_in_the_order_of_seq),
	};

	(void)log_open("/dev/null");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
