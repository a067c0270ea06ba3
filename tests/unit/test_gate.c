/* SPDX-License-Identifier: ISC */
/* LINK: master/broker/gate.c master/broker/unique.c master/broker/task.c
 *	master/broker/delay.c ipc/clock.c ipc/log.c ipc/buf.c ipc/json.c */
/*
 * test_gate.c - nothing that is there enters twice, whenever what is told
 *
 * Against a simple model: who lives with which `unique`, and whose an
 * idempotency key is.  The store is played: what it reads is as it was at a
 * flush, and is told later, in order; commits may fail.
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
#include "master/broker/gate.h"
#include "master/broker/life.h"
#include "master/broker/submit.h"

#define IDS    4000
#define TEXTS  6
#define CALLS  4096
#define ASKING 8 /* submissions of one request at most */

struct row {
	bool kept, live;
};

/* A call of the store that is open. */
struct wish {
	bool barrier, read;
	void *fn, *arg;
	enum store_what what;
	unsigned text;
	uint64_t found;
	int err;
};

/* A request on its way in. */
struct request {
	struct submission list[ASKING];
	size_t n;
	size_t since; /* w.now when it came */
	bool told;
	int err;
};

static struct world {
	struct broker b;
	struct store store;
	struct queue queue;
	struct kind kind;
	struct row rows[IDS];
	struct task *tasks[IDS]; /* a reference each, until it has ended */
	bool resident[IDS], ending[IDS];
	struct task *dirty[CALLS]; /* a reference each */
	bool fresh[CALLS];
	size_t n_dirty;
	struct wish wishes[CALLS];
	size_t n_wishes;
	uint64_t unique[TEXTS], key[TEXTS]; /* the model; 0: none */
	uint64_t last_id;
	size_t now, ended_at[IDS];
	unsigned fails; /* out of 100 */
	size_t n_finds, n_entered, n_twins;
} w;

static unsigned
chance(unsigned of)
{
	return (unsigned)rand() % of;
}

/* 0 for no text. */
static unsigned
number(const char *text)
{
	return text == NULL ? 0 : (unsigned)(text[1] - '0');
}

/* The store. */

static struct wish *
wish_add(void *arg)
{
	struct wish *x = &w.wishes[w.n_wishes++];

	assert_true(w.n_wishes <= CALLS);
	memset(x, 0, sizeof(*x));
	x->arg = arg;
	return x;
}

static int
fake_find(struct store *s, enum store_what what, const struct queue *q,
    const struct kind *kind, const char *text, store_found_fn fn, void *arg)
{
	struct wish *x;

	(void)s;
	assert_ptr_equal(q, &w.queue);
	assert_ptr_equal(kind, &w.kind);
	if (chance(200) < w.fails)
		return -ENOMEM;
	x = wish_add(arg);
	x->fn = *(void **)&fn;
	x->what = what;
	x->text = number(text);
	w.n_finds++;
	return 0;
}

static int
fake_barrier(struct store *s, store_done_fn fn, void *arg)
{
	struct wish *x;

	(void)s;
	if (chance(100) < w.fails)
		return -ENOMEM;
	x = wish_add(arg);
	x->barrier = true;
	x->fn = *(void **)&fn;
	return 0;
}

static const struct store_ops fake_ops = {
    .find = fake_find, .barrier = fake_barrier};

static void
note_news(struct task *t, bool fresh)
{
	assert_true(w.n_dirty < CALLS);
	w.fresh[w.n_dirty] = fresh;
	w.dirty[w.n_dirty++] = task_ref(t);
}

static void
read_wish(struct wish *x)
{
	uint64_t id;

	x->read = true;
	if (x->barrier)
		return;
	if (chance(100) < w.fails) {
		x->err = -EIO;
		return;
	}
	if (x->what == STORE_BY_IDEMPOTENCY) {
		x->found = w.key[x->text];
		if (!w.rows[x->found].kept)
			x->found = 0;
		return;
	}
	assert_int_equal(x->what, STORE_BY_UNIQUE);
	id = w.unique[x->text];
	if (w.rows[id].kept && w.rows[id].live)
		x->found = id;
}

static void
tell_wish(const struct wish *x)
{
	store_done_fn done;
	store_found_fn found;

	*(void **)&done = x->fn;
	*(void **)&found = x->fn;
	if (x->barrier)
		done(x->arg, x->err);
	else
		found(x->arg, x->err, x->found, x->found != 0 ? 1 : 0);
}

static void
forget(uint64_t id)
{
	struct task *t = w.tasks[id];

	w.tasks[id] = NULL;
	w.resident[id] = false;
	w.ended_at[id] = w.now;
	if (w.unique[number(t->unique)] == id)
		w.unique[number(t->unique)] = 0;
	task_unref(t);
}

static void
fail_put(struct task *t)
{
	uint64_t id = t->id;

	if (w.key[number(t->idempotency_key)] == id)
		w.key[number(t->idempotency_key)] = 0;
	if (w.tasks[id] == NULL)
		return;
	t->lost = true;
	unique_remove(&w.b, t);
	forget(id);
}

static void
fake_flush(void)
{
	bool fails = chance(100) < w.fails;
	size_t i, n = w.n_wishes;
	struct task *t;

	for (i = 0; i < w.n_dirty; i++) {
		t = w.dirty[i];
		if (w.fresh[i] && fails)
			fail_put(t);
		else if (w.fresh[i])
			w.rows[t->id].kept = true;
		w.rows[t->id].live = w.tasks[t->id] != NULL;
		w.ending[t->id] = false;
		task_unref(t);
	}
	w.n_dirty = 0;
	for (i = 0; i < n; i++) {
		if (!w.wishes[i].read)
			read_wish(&w.wishes[i]);
		if (w.wishes[i].barrier && fails)
			w.wishes[i].err = -EIO;
	}
}

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

static void
turn(size_t told)
{
	unique_tidy(&w.b);
	fake_flush();
	fake_tell(told);
}

/* The life of tasks, as far as it matters here. */

struct task *
life_find_ending(const struct broker *b, uint64_t id)
{
	static struct task some;

	(void)b;
	return w.ending[id] ? &some : NULL;
}

static struct task *
make(unsigned unique, unsigned key)
{
	struct task *t = task_new(0);
	char text[16];

	snprintf(text, sizeof(text), "u%u", unique);
	if (unique != 0)
		t->unique = strdup(text);
	snprintf(text, sizeof(text), "i%u", key);
	if (key != 0)
		t->idempotency_key = strdup(text);
	t->durable = true;
	t->queue = &w.queue;
	t->kind = &w.kind;
	return t;
}

static void
enter(struct task *t)
{
	unsigned u = number(t->unique), k = number(t->idempotency_key);

	assert_true(++w.last_id < IDS);
	t->id = w.last_id;
	if (u != 0) {
		assert_int_equal(w.unique[u], 0);
		w.unique[u] = t->id;
	}
	if (k != 0) {
		assert_int_equal(w.key[k], 0);
		w.key[k] = t->id;
	}
	assert_int_equal(unique_add(&w.b, t), 0);
	assert_int_equal(unique_note_key(&w.b, t), 0);
	w.tasks[t->id] = task_ref(t);
	w.resident[t->id] = true;
	note_news(t, true);
	w.n_entered++;
}

static void
finish(uint64_t id)
{
	struct task *t = w.tasks[id];

	t->state = TASK_SUCCEEDED;
	unique_remove(&w.b, t);
	w.ending[id] = true;
	note_news(t, false);
	forget(id);
}

static void
spill(uint64_t id)
{
	unique_spill(&w.b, w.tasks[id]);
	w.tasks[id]->spilled = true;
	w.resident[id] = false;
}

/* It comes back from the disk, as another struct. */
static void
bring(uint64_t id)
{
	struct task *old = w.tasks[id], *t;

	if (!w.rows[id].kept)
		return;
	t = make(number(old->unique), number(old->idempotency_key));
	t->id = id;
	assert_int_equal(unique_adopt(&w.b, t), 0);
	w.tasks[id] = t;
	w.resident[id] = true;
	task_unref(old);
}

/* Requests. */

static void
check_twin(const struct request *r, size_t i)
{
	const struct submission *s = &r->list[i];
	unsigned u = number(s->task->unique);
	unsigned k = number(s->task->idempotency_key);

	w.n_twins++;
	if (k != 0 && w.key[k] == s->twin_id)
		return;
	assert_int_not_equal(u, 0);
	/* One that lives, or has done so since the request came. */
	if (w.unique[u] != s->twin_id)
		assert_true(w.ended_at[s->twin_id] >= r->since);
}

static void
let_in(struct request *r)
{
	size_t i;

	for (i = 0; i < r->n; i++) {
		if (r->err < 0)
			continue;
		if (gate_find_twin(&w.b, &r->list[i]))
			check_twin(r, i);
		else
			enter(r->list[i].task);
	}
	for (i = 0; i < r->n; i++) {
		task_unref(r->list[i].task);
		task_unref(r->list[i].twin);
	}
	free(r);
}

static void
on_looked(void *arg, int err)
{
	struct request *r = arg;

	assert_false(r->told);
	r->told = true;
	r->err = err;
	let_in(r);
}

static void
ask(size_t n, unsigned keys)
{
	struct request *r = calloc(1, sizeof(*r));
	unsigned u, k;
	size_t i;
	int err;

	r->n = n;
	r->since = w.now;
	for (i = 0; i < n; i++) {
		u = chance(TEXTS);
		k = keys == 0 ? 0 : chance(TEXTS);
		r->list[i].task = make(u, k);
	}
	err = gate_look(&w.b, r->list, n, on_looked, r);
	if (err == 1)
		return;
	assert_true(err == 0 || err == -ENOMEM);
	r->err = err;
	let_in(r);
}

/* An idempotency key's day is over. */
static void
end_day(unsigned key)
{
	char text[16];

	snprintf(text, sizeof(text), "i%u", key);
	if (w.n_wishes == 0 && unique_find_key(&w.b, text) == NULL)
		w.key[key] = 0;
}

static void
act(unsigned keys)
{
	unsigned what = chance(100);
	uint64_t id = w.unique[1 + chance(TEXTS - 1)];

	w.now++;
	if (what < 40) {
		ask(1 + chance(4) / 3 * chance(ASKING), keys);
	} else if (id == 0) {
		end_day(1 + chance(TEXTS - 1));
	} else if (w.resident[id]) {
		if (what < 65)
			finish(id);
		else
			spill(id);
	} else {
		bring(id);
	}
}

static void
start(unsigned seed, unsigned fails)
{
	srand(seed);
	memset(&w, 0, sizeof(w));
	w.fails = fails;
	w.store.ops = &fake_ops;
	w.b.store = &w.store;
}

static void
stop(void)
{
	uint64_t id;
	int i;

	w.fails = 0;
	for (i = 0; i < 10; i++)
		turn(CALLS);
	for (id = 1; id <= w.last_id; id++) {
		if (w.tasks[id] != NULL && !w.resident[id])
			bring(id);
		if (w.tasks[id] != NULL)
			finish(id);
	}
	for (i = 0; i < 10; i++)
		turn(CALLS);
	assert_int_equal(w.n_wishes, 0);
	assert_int_equal(w.b.n_unique_absent, 0);
	assert_null(RB_ROOT(&w.b.uniques.by_name));
	assert_null(RB_ROOT(&w.b.uniques.by_key));
	unique_done_all(&w.b);
}

static void
nothing_enters_twice(void **state)
{
	unsigned seed;
	int i;

	(void)state;
	for (seed = 1; seed <= 30; seed++) {
		start(seed, seed % 3 == 0 ? 10 : 0);
		for (i = 0; i < 1500; i++) {
			act(seed % 2);
			if (chance(3) == 0)
				turn(chance(4));
		}
		assert_true(w.n_twins > 50);
		assert_true(w.n_entered > (seed % 2 == 0 ? 100 : 2));
		stop();
	}
}

static struct submission
wanted(unsigned unique, unsigned key)
{
	struct submission s = {.task = make(unique, key)};

	return s;
}

static void
let_go(struct submission *s)
{
	task_unref(s->task);
	task_unref(s->twin);
}

static void
fail_if_told(void *arg, int err)
{
	(void)arg;
	(void)err;
	fail_msg("told");
}

static void
what_is_in_memory_needs_no_look_up(void **state)
{
	struct submission a = wanted(1, 0), b = wanted(1, 0), c = wanted(2, 0);

	(void)state;
	start(1, 0);
	a.task->queue = b.task->queue = c.task->queue = &w.queue;
	assert_int_equal(gate_look(&w.b, &a, 1, fail_if_told, NULL), 0);
	assert_false(gate_find_twin(&w.b, &a));
	enter(a.task);
	assert_int_equal(gate_look(&w.b, &b, 1, fail_if_told, NULL), 0);
	assert_true(gate_find_twin(&w.b, &b));
	assert_int_equal(b.twin_id, 1);
	assert_ptr_equal(b.twin, a.task);
	assert_int_equal(gate_look(&w.b, &c, 1, fail_if_told, NULL), 0);
	assert_false(gate_find_twin(&w.b, &c));
	let_go(&a);
	let_go(&b);
	let_go(&c);
	stop();
}

static void
a_place_is_kept_until_the_store_has_told(void **state)
{
	struct submission a = wanted(1, 1);

	(void)state;
	start(1, 0);
	enter(a.task);
	spill(1);
	unique_tidy(&w.b);
	fake_flush();
	assert_non_null(unique_find(&w.b, &w.queue, &w.kind, "u1"));
	assert_non_null(unique_find_key(&w.b, "i1"));
	fake_tell(CALLS);
	assert_null(unique_find(&w.b, &w.queue, &w.kind, "u1"));
	assert_null(unique_find_key(&w.b, "i1"));
	assert_int_equal(w.b.n_unique_absent, 1);
	let_go(&a);
	stop();
}

static void
what_comes_back_before_that_keeps_its_place(void **state)
{
	struct submission a = wanted(1, 0);

	(void)state;
	start(1, 0);
	enter(a.task);
	turn(CALLS);
	spill(1);
	turn(0);
	bring(1);
	turn(CALLS);
	assert_ptr_equal(
	    unique_find(&w.b, &w.queue, &w.kind, "u1"), w.tasks[1]);
	let_go(&a);
	stop();
}

static void
a_twin_that_has_ended_meanwhile_is_none(void **state)
{
	struct submission a = wanted(1, 0);
	struct request *r = calloc(1, sizeof(*r));

	(void)state;
	start(1, 0);
	enter(a.task);
	spill(1);
	turn(CALLS);
	r->n = 1;
	r->list[0] = wanted(1, 0);
	assert_int_equal(gate_look(&w.b, r->list, 1, on_looked, r), 1);
	turn(0);
	bring(1);
	finish(1);
	fake_tell(CALLS);
	assert_int_equal(w.n_entered, 2);
	let_go(&a);
	stop();
}

static uint64_t twin_told;

static void
on_twin(void *arg, int err, uint64_t id)
{
	(void)arg;
	assert_int_equal(err, 0);
	twin_told = id;
}

static void
a_revival_asks_for_a_live_twin(void **state)
{
	struct submission a = wanted(1, 0), old = wanted(1, 0);

	(void)state;
	start(1, 0);
	assert_int_equal(
	    gate_look_for_revival(&w.b, old.task, on_twin, NULL), 0);
	enter(a.task);
	spill(1);
	turn(CALLS);
	assert_int_equal(
	    gate_look_for_revival(&w.b, old.task, on_twin, NULL), 1);
	turn(CALLS);
	assert_int_equal(twin_told, 1);
	let_go(&a);
	let_go(&old);
	stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_in_memory_needs_no_look_up),
	    cmocka_unit_test(a_place_is_kept_until_the_store_has_told),
	    cmocka_unit_test(what_comes_back_before_that_keeps_its_place),
	    cmocka_unit_test(a_twin_that_has_ended_meanwhile_is_none),
	    cmocka_unit_test(a_revival_asks_for_a_live_twin),
	    cmocka_unit_test(nothing_enters_twice),
	};

	(void)log_open("/dev/null");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
