/* SPDX-License-Identifier: ISC */
/*
 * result.c - who waits for which task
 *
 * A waiter has a slot for each id.  While a slot's task has not ended the slot
 * is linked to it; then it holds a reference.  Ids that the broker no longer
 * has are looked up in the store, whose answers come later: `n_lookups` counts
 * those that are open, and the waiter stays until they are told.
 */
#include "master/broker/result.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "ipc/json.h"
#include "master/broker/flap.h"
#include "master/broker/life.h"
#include "master/broker/task_json.h"

/* One id of one waiter. */
struct wait_link {
	struct waiter *waiter;
	uint64_t id;
	struct task *task; /* linked to (borrowed), or ended (a reference) */
	bool linked;
	LIST_ENTRY(wait_link) entry; /* of task->waiters, while linked */
};

struct waiter {
	struct broker *broker;
	struct call *call; /* NULL once answered or dropped */
	bool is_call;      /* task.call, else task.wait */
	bool any;
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
			LIST_REMOVE(l, entry);
		else
			task_unref(l->task);
		l->linked = false;
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
}

static void
refuse(struct waiter *w, const struct fault *f)
{
	struct call *call = w->call;

	release(w);
	call_error(call, f);
}

static void
on_timeout(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
	struct waiter *w = timer->data;
	char flap[FLAP_SIZE];
	struct fault f;
	bool flaps;

	(void)loop;
	(void)revents;
	if (!w->is_call) {
		answer(w);
		return;
	}
	flaps = flap_describe(w->broker, w->links[0].task, flap);
	fault_set(&f, RPC_TIMED_OUT, "task %llu has not ended in time%s%s",
	    (unsigned long long)w->links[0].id, flaps ? "; " : "", flap);
	f.retryable = true;
	f.id = w->links[0].id;
	refuse(w, &f);
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

void
result_call(
    struct broker *b, struct call *call, struct task *t, int64_t timeout_ms)
{
	struct waiter *w;

	w = waiter_new(b, call, 1);
	if (w == NULL) {
		call_error_code(call, RPC_INTERNAL_ERROR, true);
		return;
	}
	w->is_call = true;
	w->links[0].waiter = w;
	w->links[0].id = t->id;
	start_timer(w, timeout_ms);
	link_task(w, 0, t);
}

/* An id that the broker does not hold: the store has it, or nobody. */
static void
on_found(void *arg, int err, struct task *t)
{
	struct wait_link *l = arg;
	struct waiter *w = l->waiter;
	struct fault f;

	w->n_lookups--;
	if (w->call == NULL || err == 0) {
		if (w->call != NULL) {
			l->task = task_ref(t);
			w->n_ended++;
		}
		check(w);
		return;
	}
	fault_set(&f, err == -ENOENT ? RPC_NO_SUCH_TASK : RPC_STORAGE,
	    err == -ENOENT ? "no task %llu" : "task %llu can't be read",
	    (unsigned long long)l->id);
	f.retryable = err != -ENOENT;
	f.id = l->id;
	refuse(w, &f);
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
			release(w);
			return -ENOENT;
		}
	}
	return 0;
}

void
result_ended(struct broker *b, struct task *t)
{
	struct wait_link *l;

	while ((l = LIST_FIRST(&t->waiters)) != NULL) {
		LIST_REMOVE(l, entry);
		l->linked = false;
		l->task = task_ref(t);
		l->waiter->n_ended++;
		/* Nobody else knows of a call's task: its caller has it all. */
		if (l->waiter->is_call && t->state == TASK_SUCCEEDED &&
		    !t->durable && t->result_ttl_ms < 0)
			t->answered = true;
		check(l->waiter);
	}
	(void)b;
}

void
result_refuse_all(struct broker *b)
{
	struct wait_link *l;
	struct fault f;
	struct task *t;

	fault_set(&f, RPC_DRAINING, "the daemon stops, the task has not ended");
	f.retryable = true;
	RB_FOREACH(t, task_tree, &b->tasks)
	while ((l = LIST_FIRST(&t->waiters)) != NULL) {
		f.id = t->id;
		refuse(l->waiter, &f);
		assert(LIST_FIRST(&t->waiters) != l); /* it was unlinked */
	}
}
