/* SPDX-License-Identifier: ISC */
/*
 * mailbox_world.c - keys and the tasks that have them, a disk, and a model of
 * who may run
 */
#include "tests/lib/mailbox_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "master/broker/life.h"

struct mailbox_world w;

unsigned
mailbox_world_chance(unsigned of)
{
	return (unsigned)rand() % of;
}

/* A new task of a key. */
static struct task *
make_task(uint64_t id, unsigned key, bool durable)
{
	struct task *t = task_new(id);
	char text[16];

	snprintf(text, sizeof(text), "k%u", key);
	t->key = strdup(text);
	t->durable = durable;
	t->state = TASK_READY;
	return t;
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
	assert_true(w.n_dirty < MAILBOX_WORLD_CALLS);
	w.fresh[w.n_dirty] = fresh;
	w.dirty[w.n_dirty++] = task_ref(t);
}

static struct mailbox_wish *
wish_add(int kind, void *arg)
{
	struct mailbox_wish *x = &w.wishes[w.n_wishes++];

	assert_true(w.n_wishes <= MAILBOX_WORLD_CALLS);
	memset(x, 0, sizeof(*x));
	x->kind = kind;
	x->arg = arg;
	return x;
}

static int
fake_get(struct store *s, uint64_t id, store_task_fn fn, void *arg)
{
	struct mailbox_wish *x = wish_add(GET, arg);

	(void)s;
	x->fn = *(void **)&fn;
	x->id = id;
	return 0;
}

static int
fake_fetch(struct store *s, const struct store_range *range, store_list_fn fn,
    void *arg)
{
	struct mailbox_wish *x;

	(void)s;
	if (mailbox_world_chance(100) < w.fails)
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
	struct mailbox_wish *x = wish_add(FIND, arg);

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
	struct mailbox_row *r = &w.rows[id];
	struct task *t = make_task(id, r->key, true);

	t->seq = r->seq;
	t->holds = r->holds;
	t->parked = r->parked;
	if (!r->live)
		t->state = TASK_SUCCEEDED;
	return t;
}

static bool
row_is_of(uint64_t id, const char *key)
{
	const struct mailbox_row *r = &w.rows[id];

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
read_wish(struct mailbox_wish *x)
{
	uint64_t id;

	x->read = true;
	if (x->kind != GET && mailbox_world_chance(100) < w.fails) {
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
tell_wish(struct mailbox_wish *x)
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

void
mailbox_world_flush(void)
{
	bool fails = mailbox_world_chance(100) < w.fails;
	size_t i, n = w.n_wishes;
	struct task *t;
	struct mailbox_row *r;

	for (i = 0; i < w.n_dirty; i++) {
		t = w.dirty[i];
		if (w.fresh[i] && fails)
			fail_put(t);
		r = &w.rows[t->id];
		/* What failed when it was put has no row to be changed. */
		if (fails ? r->kept : w.fresh[i] || r->kept)
			*r = (struct mailbox_row){true, !w.ended[t->id],
			    t->holds, t->parked, w.key_of[t->id], t->seq};
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

void
mailbox_world_tell(size_t n)
{
	struct mailbox_wish *told = calloc(MAILBOX_WORLD_CALLS, sizeof(*told));
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
	if (w.ended[t->id] || mailbox_world_chance(100) < w.fails)
		return NULL;
	assert_int_equal(mailbox_adopt(b, t), 0);
	w.resident[t->id] = task_ref(t);
	return t;
}

/* It has the key, and may leave memory at once. */
static void
may_spill(struct task *t)
{
	if (t->durable && mailbox_world_chance(100) < w.spills)
		(void)life_spill(&w.b, t);
}

void
life_unparked(struct broker *b, struct task *t)
{
	assert_ptr_equal(b, &w.b);
	assert_true(t->holds && !t->parked && t->place == TASK_NOWHERE);
	model_took(t->id);
	note_news(t, false);
	may_spill(t);
}

/* What happens. */

void
mailbox_world_submit(unsigned key, bool durable)
{
	struct task *t = make_task(++w.last_id, key, durable);

	assert_true(w.last_id < MAILBOX_WORLD_IDS);
	assert_int_equal(mailbox_enter(&w.b, t), 0);
	w.key_of[t->id] = key;
	w.order[key][w.n_order[key]++] = t->id;
	w.resident[t->id] = t;
	t->seq = ++w.seq;
	note_news(t, true);
	if (mailbox_admit(t)) {
		assert_true(t->holds);
		model_took(t->id);
		may_spill(t);
	} else {
		assert_true(t->parked && !t->holds);
		assert_int_equal(t->place, TASK_IN_MAILBOX);
	}
}

void
mailbox_world_submit_many(unsigned n, unsigned key, bool durable)
{
	while (n-- > 0)
		mailbox_world_submit(key, durable);
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

struct task *
mailbox_world_bring(uint64_t id)
{
	struct task *t = w.resident[id];

	if (t != NULL || is_dirty(id) || !w.rows[id].kept)
		return t;
	t = task_of_row(id);
	(void)life_adopt(&w.b, t);
	task_unref(t);
	return w.resident[id];
}

void
mailbox_world_finish(struct task *t)
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

void
mailbox_world_finish_id(uint64_t id)
{
	struct task *t = mailbox_world_bring(id);

	if (t != NULL)
		mailbox_world_finish(t);
}

void
mailbox_world_retry(uint64_t id)
{
	struct task *t = mailbox_world_bring(id);

	if (t == NULL)
		return;
	t->seq = ++w.seq;
	note_news(t, false);
	if (t->durable)
		(void)life_spill(&w.b, t);
}

void
mailbox_world_turn(size_t told)
{
	mailbox_tidy(&w.b);
	mailbox_world_flush();
	mailbox_world_tell(told);
}

void
mailbox_world_run_later(void)
{
	if (ev_is_active(&w.b.mailboxes.timer)) {
		ev_timer_stop(w.b.loop, &w.b.mailboxes.timer);
		ev_invoke(w.b.loop, &w.b.mailboxes.timer, EV_TIMER);
	}
}

/* Whatever can happen by itself. */
static void
turn_all(void)
{
	mailbox_world_run_later();
	mailbox_world_turn(MAILBOX_WORLD_CALLS);
}

void
mailbox_world_hand_over(void)
{
	uint64_t id;
	size_t i;

	for (i = 0; i < 100 && (w.n_wishes > 0 || w.n_dirty > 0 ||
				   !mailbox_is_settled(&w.b));
	     i++)
		turn_all();
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

void
mailbox_world_start(unsigned seed, unsigned spills, unsigned fails)
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
		assert_true(i < 4 * MAILBOX_WORLD_IDS);
		turn_all();
		for (k = 0, left = 0; k < MAILBOX_WORLD_KEYS; k++) {
			if (w.runs[k] != 0)
				mailbox_world_finish_id(w.runs[k]);
			left += w.n_order[k];
		}
	}
	for (i = 0; i < 20; i++)
		turn_all();
}

void
mailbox_world_stop(void)
{
	drain();
	assert_int_equal(w.b.n_keyed_absent, 0);
	assert_int_equal(w.b.mailboxes.n, 0);
	assert_int_equal(w.b.mailboxes.n_durable, 0);
	assert_int_equal(w.n_wishes, 0);
	mailbox_done_all(&w.b);
	ev_loop_destroy(w.b.loop);
}
