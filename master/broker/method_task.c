/* SPDX-License-Identifier: ISC */
/*
 * method_task.c - task.get, task.wait, task.list and task.cancel
 *
 * What the broker holds is answered at once, the rest is asked of the store.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/clock.h"
#include "ipc/json.h"
#include "master/broker/life.h"
#include "master/broker/method.h"
#include "master/broker/result.h"
#include "master/broker/submit.h"
#include "master/broker/task_json.h"

#define LIST_LIMIT     100
#define LIST_LIMIT_MAX 1000

#define N(array) (sizeof(array) / sizeof((array)[0]))

static const struct param_def get_params[] = {
    {"id", PARAM_INT, true, 1, INT64_MAX},
};

static const struct param_def wait_params[] = {
    {"ids", PARAM_IDS, true, 0, 0},
    {"mode", PARAM_STR, false, 0, 0},
    {"timeout_ms", PARAM_INT, false, 0, METHOD_WAIT_MAX_MS},
};

static const struct param_def list_params[] = {
    {"state", PARAM_STR, false, 0, 0},
    {"queue", PARAM_STR, false, 0, 0},
    {"name", PARAM_STR, false, 0, 0},
    {"limit", PARAM_INT, false, 1, LIST_LIMIT_MAX},
    {"cursor", PARAM_STR, false, 0, 0},
};

static const struct param_def cancel_params[] = {
    {"ids", PARAM_IDS, false, 0, 0},
    {"id", PARAM_INT, false, 1, INT64_MAX},
    {"force", PARAM_BOOL, false, 0, 0},
};

/* A task.get that is with the store. */
struct look_up {
	struct call *call;
	uint64_t id;
};

static void
tell_task(struct call *call, const struct task *t)
{
	task_add_json(t, call_open_result(call));
	call_close_result(call);
}

static void
on_got(void *arg, int err, struct task *t)
{
	struct look_up *l = arg;
	struct fault f;

	if (err == 0) {
		tell_task(l->call, t);
	} else {
		fault_set(&f, err == -ENOENT ? RPC_NO_SUCH_TASK : RPC_STORAGE,
		    err == -ENOENT ? "no task %llu" : "task %llu can't be read",
		    (unsigned long long)l->id);
		f.retryable = err != -ENOENT;
		f.id = l->id;
		call_error(l->call, &f);
	}
	free(l);
}

static void
task_get(struct broker *b, struct call *call, const struct param *v)
{
	uint64_t id = (uint64_t)v[0].number;
	struct task *t = life_find(b, id);
	struct look_up *l;

	if (t != NULL) {
		tell_task(call, t);
		return;
	}
	l = malloc(sizeof(*l));
	if (l == NULL) {
		method_no_memory(call);
		return;
	}
	l->call = call;
	l->id = id;
	if (store_get(b->store, id, on_got, l) < 0) {
		free(l);
		method_no_memory(call);
	}
}

static void
task_wait(struct broker *b, struct call *call, const struct param *v)
{
	uint64_t *ids;
	size_t i, n;
	bool any;

	any = v[1].given && strcmp(v[1].text, "any") == 0;
	if (v[1].given && !any && strcmp(v[1].text, "all") != 0) {
		struct fault f;

		fault_set(&f, RPC_INVALID_PARAMS,
		    "\"mode\" is neither \"all\" nor \"any\"");
		f.param = "mode";
		call_error(call, &f);
		return;
	}
	n = json_array_size(v[0].json);
	if (method_refuse_waiter(b, call, n))
		return;
	ids = calloc(n, sizeof(*ids));
	if (ids == NULL) {
		method_no_memory(call);
		return;
	}
	for (i = 0; i < n; i++)
		ids[i] =
		    (uint64_t)json_integer_value(json_array_get(v[0].json, i));
	result_wait(b, call, ids, n, any, v[2].given ? v[2].number : -1);
	free(ids);
}

static void
on_listed(
    void *arg, int err, struct task *const *tasks, size_t n, uint64_t cursor)
{
	struct call *call = arg;
	struct buf *out;
	size_t i;

	if (err < 0) {
		call_error_code(call, RPC_STORAGE, true);
		return;
	}
	out = call_open_result(call);
	buf_adds(out, "{\"tasks\":[");
	for (i = 0; i < n; i++) {
		if (i > 0)
			buf_addc(out, ',');
		task_add_json(tasks[i], out);
	}
	buf_adds(out, "],\"cursor\":");
	if (cursor == 0)
		buf_adds(out, "null}");
	else
		buf_printf(out, "\"%llu\"}", (unsigned long long)cursor);
	call_close_result(call);
}

/* Fill in the filter from the parameters.  -EINVAL, and *f says why. */
static int
read_filter(const struct broker *b, const struct param *v,
    struct store_filter *out, struct fault *f)
{
	char *end;

	memset(out, 0, sizeof(*out));
	out->state = v[0].given ? task_state_parse(v[0].text) : -1;
	if (v[0].given && out->state < 0) {
		fault_set(f, RPC_INVALID_PARAMS, "there is no state \"%s\"",
		    v[0].text);
		f->param = "state";
		return -EINVAL;
	}
	if (v[1].given) {
		out->queue = catalog_find_any_queue(&b->catalog, v[1].text);
		if (out->queue == NULL)
			return submit_no_queue(b, v[1].text, f);
	}
	if (v[2].given) {
		out->kind = catalog_find_kind(&b->catalog, v[2].text);
		if (out->kind == NULL)
			return submit_no_name(b, v[2].text, f);
	}
	out->limit = v[3].given ? (size_t)v[3].number : LIST_LIMIT;
	if (v[4].given) {
		errno = 0;
		out->below_id = strtoull(v[4].text, &end, 10);
		if (errno != 0 || *end != '\0' || out->below_id == 0) {
			fault_set(f, RPC_INVALID_PARAMS,
			    "\"cursor\" is none that task.list gave");
			f->param = "cursor";
			return -EINVAL;
		}
	}
	return 0;
}

static void
task_list(struct broker *b, struct call *call, const struct param *v)
{
	struct store_filter filter;
	struct fault f;

	if (read_filter(b, v, &filter, &f) < 0) {
		call_error(call, &f);
		fault_done(&f);
	} else if (store_list(b->store, &filter, on_listed, call) < 0) {
		method_no_memory(call);
	}
}

/*
 * A task.cancel.  All of its tasks are found before the first is cancelled: an
 * id that nobody knows cancels nothing.
 */
struct cancel {
	struct broker *broker;
	struct call *call;
	size_t n_lookups; /* asked of the store, and one while asking */
	uint64_t missing; /* an id that nobody knows; 0: none */
	size_t n;
	struct task *tasks[]; /* n references; NULL: not found */
};

static void
cancel_free(struct cancel *c)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		task_unref(c->tasks[i]);
	free(c);
}

/* Cancel what can be; returns how many, and the others in skipped. */
static unsigned
cancel_all(struct cancel *c, struct buf *skipped)
{
	unsigned n_cancelled;
	size_t i;

	n_cancelled = 0;
	buf_adds(skipped, "\"skipped\":[");
	for (i = 0; i < c->n; i++) {
		struct task *t = c->tasks[i];

		assert(t != NULL); /* or an id would be missing */
		if (life_cancel(c->broker, t) == 0) {
			n_cancelled++;
			continue;
		}
		if (buf_head(skipped)[buf_len(skipped) - 1] != '[')
			buf_addc(skipped, ',');
		buf_printf(skipped, "{\"id\":%llu,\"state\":\"%s\"}",
		    (unsigned long long)t->id, task_state_name(t->state));
	}
	buf_addc(skipped, ']');
	return n_cancelled;
}

/* Everything was looked up: cancel and answer. */
static void
cancel_finish(struct cancel *c)
{
	unsigned n_cancelled;
	struct buf skipped, *out;
	struct fault f;

	if (c->missing != 0) {
		fault_set(&f, RPC_NO_SUCH_TASK, "no task %llu",
		    (unsigned long long)c->missing);
		f.id = c->missing;
		call_error(c->call, &f);
		cancel_free(c);
		return;
	}
	buf_init(&skipped, SIZE_MAX);
	n_cancelled = cancel_all(c, &skipped);
	if (n_cancelled == 0) {
		fault_set(&f, RPC_WRONG_STATE,
		    "only a task that has not started can be cancelled");
		f.more = buf_steal(&skipped, NULL);
		call_error(c->call, &f);
		fault_done(&f);
	} else {
		out = call_open_result(c->call);
		buf_printf(out, "{\"count\":%u,", n_cancelled);
		buf_add(out, buf_head(&skipped), buf_len(&skipped));
		buf_addc(out, '}');
		call_close_result(c->call);
	}
	buf_done(&skipped);
	cancel_free(c);
}

/* One look-up of a cancel: which id it is for. */
struct cancel_lookup {
	struct cancel *cancel;
	uint64_t id;
	size_t at;
};

static void
on_cancel_found(void *arg, int err, struct task *t)
{
	struct cancel_lookup *l = arg;
	struct cancel *c = l->cancel;

	if (err == 0)
		c->tasks[l->at] = task_ref(t);
	else
		c->missing = l->id;
	free(l);
	if (--c->n_lookups == 0)
		cancel_finish(c);
}

static int
cancel_look_up(struct cancel *c, uint64_t id, size_t at)
{
	struct cancel_lookup *l;
	struct task *t;

	t = life_find(c->broker, id);
	if (t != NULL) {
		c->tasks[at] = task_ref(t);
		return 0;
	}
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return -ENOMEM;
	l->cancel = c;
	l->id = id;
	l->at = at;
	c->n_lookups++;
	if (store_get(c->broker->store, id, on_cancel_found, l) < 0) {
		c->n_lookups--;
		free(l);
		return -ENOMEM;
	}
	return 0;
}

static void
task_cancel(struct broker *b, struct call *call, const struct param *v)
{
	struct cancel *c;
	struct fault f;
	size_t i, n;

	if (v[0].given == v[1].given) {
		fault_set(&f, RPC_INVALID_PARAMS,
		    "one of \"ids\" and \"id\" is wanted");
		f.param = "ids";
		call_error(call, &f);
		return;
	}
	n = v[0].given ? json_array_size(v[0].json) : 1;
	c = calloc(1, sizeof(*c) + n * sizeof(struct task *));
	if (c == NULL) {
		method_no_memory(call);
		return;
	}
	c->broker = b;
	c->call = call;
	c->n = n;
	c->n_lookups = 1;
	for (i = 0; i < n; i++) {
		uint64_t id = v[1].given ? (uint64_t)v[1].number
					 : (uint64_t)json_integer_value(
					       json_array_get(v[0].json, i));

		if (cancel_look_up(c, id, i) < 0)
			c->missing = id;
	}
	if (--c->n_lookups == 0)
		cancel_finish(c);
}

const struct method method_task_table[] = {
    {"task.get", CLASS_OBSERVE, get_params, N(get_params), "the task",
	task_get},
    {"task.wait", CLASS_OBSERVE, wait_params, N(wait_params),
	"{done: [task], pending: [id]}", task_wait},
    {"task.list", CLASS_OBSERVE, list_params, N(list_params),
	"{tasks: [task], newest first, cursor}", task_list},
    {"task.cancel", CLASS_SUBMIT, cancel_params, N(cancel_params),
	"{count, skipped: [{id, state}]}", task_cancel},
    {NULL, 0, NULL, 0, NULL, NULL},
};
