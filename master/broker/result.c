/* SPDX-License-Identifier: ISC */
/*
 * result.c - who waits for which task
 *
 * A waiter has a slot for each id.  While a slot's task has not ended the slot
 * is linked to it, or to an `absent` when it is on disk only; then it holds a
 * reference.  Ids that the broker does not have are looked up in the store,
 * whose answers come later: `n_lookups` counts those that are open, and the
 * waiter stays until they are told.
 *
 * A look-up may tell of a task what was so before the broker changed it: what
 * the broker has counts more.
 */
#include "master/broker/result.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/json.h"
#include "master/broker/flap.h"
#include "master/broker/life.h"
#include "master/broker/task_json.h"

/* One id of one waiter. */
struct wait_link {
	struct waiter *waiter;
	uint64_t id;
	struct task *task; /* linked to (borrowed), or ended (a reference) */
	struct absent *absent; /* linked to instead, borrowed */
	bool linked;
	LIST_ENTRY(wait_link) entry; /* of its waiters, while linked */
};

/* A task that is on disk only, and who waits for it. */
struct absent {
	uint64_t id;
	LIST_HEAD(, wait_link) waiters; /* never empty between calls */
	RB_ENTRY(absent) entry;
};

static int
absent_cmp(const struct absent *a, const struct absent *b)
{
	return (a->id > b->id) - (a->id < b->id);
}

RB_PROTOTYPE(absent_tree, absent, entry, absent_cmp)
RB_GENERATE(absent_tree, absent, entry, absent_cmp)

struct waiter {
	struct broker *broker;
	struct call *call; /* NULL once answered or dropped */
	bool is_call;      /* task.call, else task.wait */
	bool any;
	bool over; /* its time is, but for the look-ups that are open */
	struct ev_timer timer;
	size_t n;
	size_t n_ended;
	size_t n_lookups;
	struct wait_link links[];
};

static struct waiter *
waiter_new(struct broker *b, struct call *call, size_t n)
{
	struct waiter *w;

	w = calloc(1, sizeof(*w) + n * sizeof(w->links[0]));
	if (w == NULL)
		return NULL;
	w->broker = b;
	w->call = call;
	w->n = n;
	call->waiter = w;
	b->n_waiters++;
	b->n_links += n;
	call->conn->n_links += n;
	return w;
}

static struct absent *
find_absent(struct broker *b, uint64_t id)
{
	struct absent key = {.id = id};

	return RB_FIND(absent_tree, &b->absents, &key);
}

/* The one of that id, made when there is none.  NULL: out of memory. */
static struct absent *
need_absent(struct broker *b, uint64_t id)
{
	struct absent *a = find_absent(b, id);

	if (a != NULL)
		return a;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return NULL;
	a->id = id;
	LIST_INIT(&a->waiters);
	RB_INSERT(absent_tree, &b->absents, a);
	return a;
}

static void
drop_absent(struct broker *b, struct absent *a)
{
	if (!LIST_EMPTY(&a->waiters))
		return;
	RB_REMOVE(absent_tree, &b->absents, a);
	free(a);
}

static void
link_absent(struct wait_link *l, struct absent *a)
{
	l->task = NULL;
	l->absent = a;
	l->linked = true;
	LIST_INSERT_HEAD(&a->waiters, l, entry);
}

/* l, linked, waits no more. */
static void
unlink_link(struct wait_link *l)
{
	struct absent *a = l->absent;

	LIST_REMOVE(l, entry);
	l->linked = false;
	l->absent = NULL;
	if (a != NULL)
		drop_absent(l->waiter->broker, a);
}

/* Part the waiter from its call, which is returned. */
static struct call *
let_go(struct waiter *w)
{
	struct call *call = w->call;

	call->waiter = NULL;
	w->call = NULL;
	w->broker->n_waiters--;
	w->broker->n_links -= w->n;
	if (call->conn != NULL)
		call->conn->n_links -= w->n;
	return call;
}

/* Let go of the tasks; free it when no look-up will still come back to it. */
static void
release(struct waiter *w)
{
	size_t i;

	if (w->call != NULL)
		(void)let_go(w);
	ev_timer_stop(w->broker->loop, &w->timer);
	for (i = 0; i < w->n; i++) {
		struct wait_link *l = &w->links[i];

		if (l->linked)
			unlink_link(l);
		else
			task_unref(l->task);
		l->task = NULL;
	}
	if (w->n_lookups == 0)
		free(w);
}

void
result_drop(struct waiter *w)
{
	release(w);
}

/* The answer of a task.call whose task has ended. */
static void
answer_call(struct waiter *w, struct call *call)
{
	struct task *t = w->links[0].task;
	struct fault f;
	struct buf *out;

	if (t->state == TASK_SUCCEEDED) {
		out = call_open_result(call);
		task_add_json(t, out);
		call_close_result(call);
		return;
	}
	fault_set(&f, RPC_TASK_FAILED, "task %llu %s",
	    (unsigned long long)t->id, task_state_name(t->state));
	if (t->error != NULL) {
		json_t *error = json_loads(t->error, JSON_READ_FLAGS, NULL);
		const char *message =
		    json_string_value(json_object_get(error, "message"));

		if (message != NULL)
			fault_set(&f, RPC_TASK_FAILED, "%s", message);
		json_decref(error);
	}
	f.id = t->id;
	{
		struct buf more;

		buf_init(&more, SIZE_MAX);
		buf_adds(&more, "\"task\":");
		task_add_json(t, &more);
		f.more = buf_steal(&more, NULL);
		buf_done(&more);
	}
	call_error(call, &f);
	fault_done(&f);
}

static void
answer_wait(struct waiter *w, struct call *call)
{
	struct buf *out;
	bool first;
	size_t i;

	out = call_open_result(call);
	buf_adds(out, "{\"done\":[");
	for (i = 0, first = true; i < w->n; i++) {
		if (w->links[i].linked || w->links[i].task == NULL)
			continue;
		if (!first)
			buf_addc(out, ',');
		first = false;
		task_add_json(w->links[i].task, out);
	}
	buf_adds(out, "],\"pending\":[");
	for (i = 0, first = true; i < w->n; i++) {
		if (!w->links[i].linked)
			continue;
		if (!first)
			buf_addc(out, ',');
		first = false;
		buf_add_uint(out, w->links[i].id);
	}
	buf_adds(out, "]}");
	call_close_result(call);
}

/* Answer, and be done with it. */
static void
answer(struct waiter *w)
{
	struct call *call = let_go(w);

	if (w->is_call)
		answer_call(w, call);
	else
		answer_wait(w, call);
	release(w);
}

static void
refuse(struct waiter *w, const struct fault *f)
{
	struct call *call = w->call;

	release(w);
	call_error(call, f);
}

/* Its time is over. */
static void
run_out(struct waiter *w)
{
	char flap[FLAP_SIZE];
	struct fault f;
	bool flaps;

	if (!w->is_call) {
		answer(w);
		return;
	}
	flaps = w->links[0].task != NULL &&
		flap_describe(w->broker, w->links[0].task, flap);
	if (!flaps)
		flap[0] = '\0';
	fault_set(&f, RPC_TIMED_OUT, "task %llu has not ended in time%s%s",
	    (unsigned long long)w->links[0].id, flaps ? "; " : "", flap);
	f.retryable = true;
	f.id = w->links[0].id;
	refuse(w, &f);
}

/* Answer when what was waited for has come. */
static void
check(struct waiter *w)
{
	if (w->call == NULL) {
		if (w->n_lookups == 0)
			release(w);
		return;
	}
	if (w->n_lookups > 0)
		return;
	if (w->n_ended == w->n || (w->any && w->n_ended > 0))
		answer(w);
	else if (w->over)
		run_out(w);
}

static void
on_timeout(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
	struct waiter *w = timer->data;

	(void)loop;
	(void)revents;
	/* What has ended by now is told, also to who does not want to wait. */
	if (w->n_lookups > 0)
		w->over = true;
	else
		run_out(w);
}

static void
start_timer(struct waiter *w, int64_t timeout_ms)
{
	ev_timer_init(&w->timer, on_timeout,
	    timeout_ms < 0 ? 0. : (double)timeout_ms / 1000., 0.);
	w->timer.data = w;
	if (timeout_ms < 0)
		return;
	/* The loop's idea of now is that of the turn's begin. */
	ev_now_update(w->broker->loop);
	ev_timer_start(w->broker->loop, &w->timer);
}

static void
link_task(struct waiter *w, size_t i, struct task *t)
{
	w->links[i].task = t;
	w->links[i].linked = true;
	LIST_INSERT_HEAD(&t->waiters, &w->links[i], entry);
}

/* NULL, and call is answered: there is no memory. */
static struct waiter *
wait_as_call(
    struct broker *b, struct call *call, uint64_t id, int64_t timeout_ms)
{
	struct waiter *w = waiter_new(b, call, 1);

	if (w == NULL) {
		call_error_code(call, RPC_INTERNAL_ERROR, true);
		return NULL;
	}
	w->is_call = true;
	w->links[0].waiter = w;
	w->links[0].id = id;
	start_timer(w, timeout_ms);
	return w;
}

void
result_call(
    struct broker *b, struct call *call, struct task *t, int64_t timeout_ms)
{
	struct waiter *w = wait_as_call(b, call, t->id, timeout_ms);
	struct absent *absent;

	if (w == NULL)
		return;
	if (!t->spilled) {
		link_task(w, 0, t);
		return;
	}
	absent = need_absent(b, t->id);
	if (absent != NULL) {
		link_absent(&w->links[0], absent);
	} else {
		(void)let_go(w);
		release(w);
		call_error_code(call, RPC_INTERNAL_ERROR, true);
	}
}

/* The store has t, of link i.  -ENOMEM. */
static int
take_found(struct waiter *w, size_t i, struct task *t)
{
	struct task *here = life_find(w->broker, t->id);
	struct absent *a;

	if (here == NULL)
		here = life_find_ending(w->broker, t->id);
	if (here != NULL) {
		link_task(w, i, here);
	} else if (task_is_final(t) && !life_is_departing(w->broker, t->id)) {
		w->links[i].task = task_ref(t);
		w->n_ended++;
	} else {
		a = need_absent(w->broker, t->id);
		if (a == NULL)
			return -ENOMEM;
		link_absent(&w->links[i], a);
	}
	return 0;
}

static void
fault_set_unread(struct fault *f, uint64_t id, int err)
{
	fault_set(f, err == -ENOENT ? RPC_NO_SUCH_TASK : RPC_STORAGE,
	    err == -ENOENT ? "no task %llu" : "task %llu can't be read",
	    (unsigned long long)id);
	f->retryable = err != -ENOENT;
	f->id = id;
}

/* An id that the broker does not hold: the store has it, or nobody. */
static void
on_found(void *arg, int err, struct task *t)
{
	struct wait_link *l = arg;
	struct waiter *w = l->waiter;
	struct fault f;

	w->n_lookups--;
	if (w->call != NULL && err == 0)
		err = take_found(w, (size_t)(l - w->links), t);
	if (w->call == NULL || err == 0) {
		check(w);
		return;
	}
	fault_set_unread(&f, l->id, err);
	refuse(w, &f);
}

/* A look for a task that is waited for. */
struct look {
	struct broker *broker;
	uint64_t id;
};

static void
on_looked(void *arg, int err, struct task *t)
{
	struct look *look = arg;
	struct absent *a;
	struct fault f;

	(void)t;
	if (err == -ENOENT || err == -EUCLEAN) {
		fault_set_unread(&f, look->id, err);
		while ((a = find_absent(look->broker, look->id)) != NULL)
			refuse(LIST_FIRST(&a->waiters)->waiter, &f);
	}
	free(look);
}

void
result_review(struct broker *b)
{
	struct absent *a;
	struct look *look;

	RB_FOREACH(a, absent_tree, &b->absents)
	{
		look = malloc(sizeof(*look));
		if (look == NULL)
			return;
		*look = (struct look){b, a->id};
		if (store_get(b->store, a->id, on_looked, look) < 0)
			free(look);
	}
}

void
result_call_id(
    struct broker *b, struct call *call, uint64_t id, int64_t timeout_ms)
{
	struct task *t = life_find(b, id);
	struct waiter *w;

	if (t == NULL)
		t = life_find_ending(b, id);
	if (t != NULL) {
		result_call(b, call, t, timeout_ms);
		return;
	}
	w = wait_as_call(b, call, id, timeout_ms);
	if (w == NULL)
		return;
	if (store_get(b->store, id, on_found, &w->links[0]) == 0) {
		w->n_lookups++;
		return;
	}
	(void)let_go(w);
	release(w);
	call_error_code(call, RPC_INTERNAL_ERROR, true);
}

void
result_wait(struct broker *b, struct call *call, const uint64_t *ids, size_t n,
    bool any, int64_t timeout_ms)
{
	struct waiter *w;
	struct task *t;
	size_t i;

	w = waiter_new(b, call, n);
	if (w == NULL) {
		call_error_code(call, RPC_INTERNAL_ERROR, true);
		return;
	}
	w->any = any;
	start_timer(w, timeout_ms);
	for (i = 0; i < n; i++) {
		w->links[i].waiter = w;
		w->links[i].id = ids[i];
		t = life_find(b, ids[i]);
		if (t != NULL) {
			link_task(w, i, t);
		} else if (store_get(b->store, ids[i], on_found, &w->links[i]) <
			   0) {
			struct fault f;

			fault_set(&f, RPC_INTERNAL_ERROR, "out of memory");
			f.retryable = true;
			refuse(w, &f);
			return;
		} else {
			w->n_lookups++;
		}
	}
	check(w);
}

void
result_save(struct waiter *w, struct result_state *out)
{
	assert(w->n_lookups == 0);
	out->is_call = w->is_call;
	out->any = w->any;
	out->n = w->n;
	out->deadline.ns = 0;
	if (ev_is_active(&w->timer))
		out->deadline = mono_add_ms(mono_now(),
		    (int64_t)(ev_timer_remaining(w->broker->loop, &w->timer) *
			      1e3));
}

uint64_t
result_save_id(const struct waiter *w, size_t i, struct task **ended_out)
{
	*ended_out = w->links[i].linked ? NULL : w->links[i].task;
	return w->links[i].id;
}

int
result_restore(struct broker *b, struct call *call,
    const struct result_state *s, const uint64_t *ids,
    struct task *const *ended)
{
	int64_t wait_ms = mono_until_ms(mono_now(), s->deadline);
	struct waiter *w;
	struct task *t;
	size_t i;

	w = waiter_new(b, call, s->n);
	if (w == NULL)
		return -ENOMEM;
	w->is_call = s->is_call;
	w->any = s->any;
	if (s->deadline.ns == 0)
		wait_ms = -1;
	else if (wait_ms < 0)
		wait_ms = 0;
	start_timer(w, wait_ms);
	for (i = 0; i < s->n; i++) {
		w->links[i].waiter = w;
		w->links[i].id = ids[i];
		t = ended[i] == NULL ? life_find(b, ids[i]) : NULL;
		if (t != NULL) {
			link_task(w, i, t);
		} else if (ended[i] != NULL) {
			w->links[i].task = task_ref(ended[i]);
			w->n_ended++;
		} else {
			struct absent *a = need_absent(b, ids[i]);

			if (a == NULL) {
				release(w);
				return -ENOMEM;
			}
			link_absent(&w->links[i], a);
		}
	}
	return 0;
}

bool
result_spill(struct broker *b, struct task *t)
{
	struct wait_link *l;
	struct absent *a;

	if (LIST_EMPTY(&t->waiters))
		return true;
	a = need_absent(b, t->id);
	if (a == NULL)
		return false;
	while ((l = LIST_FIRST(&t->waiters)) != NULL) {
		LIST_REMOVE(l, entry);
		link_absent(l, a);
	}
	return true;
}

void
result_adopt(struct broker *b, struct task *t)
{
	struct absent *a = find_absent(b, t->id);
	struct wait_link *l;

	if (a == NULL)
		return;
	while ((l = LIST_FIRST(&a->waiters)) != NULL) {
		LIST_REMOVE(l, entry);
		l->absent = NULL;
		link_task(l->waiter, (size_t)(l - l->waiter->links), t);
	}
	drop_absent(b, a);
}

void
result_ended(struct broker *b, struct task *t)
{
	struct wait_link *l;

	(void)b;
	while ((l = LIST_FIRST(&t->waiters)) != NULL) {
		unlink_link(l);
		l->task = task_ref(t);
		l->waiter->n_ended++;
		/* Nobody else knows of a call's task: its caller has it all. */
		if (l->waiter->is_call && t->state == TASK_SUCCEEDED &&
		    !t->durable && t->result_ttl_ms < 0)
			t->answered = true;
		check(l->waiter);
	}
}

static void
refuse_waiters(struct task *t, struct fault *f)
{
	struct wait_link *l;

	while ((l = LIST_FIRST(&t->waiters)) != NULL) {
		f->id = t->id;
		refuse(l->waiter, f);
		assert(LIST_FIRST(&t->waiters) != l); /* it was unlinked */
	}
}

void
result_refuse_task(struct broker *b, struct task *t, int err)
{
	struct fault f;

	fault_set(&f, RPC_STORAGE, "task %llu could not be kept: %s",
	    (unsigned long long)t->id, strerror(-err));
	f.retryable = true;
	if (t->spilled)
		result_adopt(b, t);
	refuse_waiters(t, &f);
}

void
result_refuse_all(struct broker *b)
{
	struct absent *a;
	struct fault f;
	struct task *t;

	fault_set(&f, RPC_DRAINING, "the daemon stops, the task has not ended");
	f.retryable = true;
	RB_FOREACH(t, task_tree, &b->tasks)
	refuse_waiters(t, &f);
	RB_FOREACH(t, task_tree, &b->ending)
	refuse_waiters(t, &f);
	while ((a = RB_ROOT(&b->absents)) != NULL) {
		f.id = a->id;
		refuse(LIST_FIRST(&a->waiters)->waiter, &f);
	}
}
