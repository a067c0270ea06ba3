/* SPDX-License-Identifier: ISC */
/*
 * method_task.c - task.get, task.wait and task.list
 *
 * What the broker holds is answered at once, the rest is asked of the store.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "master/broker/filter.h"
#include "master/broker/life.h"
#include "master/broker/method.h"
#include "master/broker/result.h"
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

enum { P_LIMIT = FILTER_N_PARAMS, P_CURSOR };

static const struct param_def list_params[] = {
    FILTER_PARAMS,
    {"limit", PARAM_INT, false, 1, LIST_LIMIT_MAX},
    {"cursor", PARAM_STR, false, 0, 0},
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
		if (err == -ENOENT)
			fault_set(&f, RPC_NO_SUCH_TASK, "no task %llu",
			    (unsigned long long)l->id);
		else
			fault_set(&f, RPC_STORAGE,
			    "task %llu can't be read: %s",
			    (unsigned long long)l->id, store_strerror(err));
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

/* A task.list that is with the store. */
struct listing {
	struct broker *broker;
	struct call *call;
	struct store_filter filter;
};

static void
add_page(const struct listing *l, struct task *const *tasks, size_t n,
    struct buf *out)
{
	const char *comma = "";
	const struct task *t;
	size_t i;

	buf_addc(out, '[');
	for (i = 0; i < n; i++) {
		/* What is here is newer than what was read. */
		t = life_find(l->broker, tasks[i]->id);
		if (t == NULL)
			t = tasks[i];
		if (!filter_fits(&l->filter, t))
			continue;
		buf_adds(out, comma);
		task_add_json(t, out);
		comma = ",";
	}
	buf_addc(out, ']');
}

static void
on_listed(
    void *arg, int err, struct task *const *tasks, size_t n, uint64_t cursor)
{
	struct listing *l = arg;
	struct fault f;
	struct buf *out;

	if (err < 0) {
		fault_set(&f, RPC_STORAGE, "tasks can't be read: %s",
		    store_strerror(err));
		f.retryable = true;
		call_error(l->call, &f);
		free(l);
		return;
	}
	out = call_open_result(l->call);
	buf_adds(out, "{\"tasks\":");
	add_page(l, tasks, n, out);
	buf_adds(out, ",\"cursor\":");
	if (cursor == 0)
		buf_adds(out, "null}");
	else
		buf_printf(out, "\"%llu\"}", (unsigned long long)cursor);
	call_close_result(l->call);
	free(l);
}

/* Fill in the filter from the parameters.  -1, and *f says why. */
static int
read_list(const struct broker *b, const struct param *v,
    struct store_filter *out, struct fault *f)
{
	char *end;

	if (filter_set(b, v, out, f) < 0)
		return -1;
	out->limit = v[P_LIMIT].given ? (size_t)v[P_LIMIT].number : LIST_LIMIT;
	if (!v[P_CURSOR].given)
		return 0;
	errno = 0;
	out->below_id = strtoull(v[P_CURSOR].text, &end, 10);
	if (errno == 0 && *end == '\0' && out->below_id > 0)
		return 0;
	fault_set(
	    f, RPC_INVALID_PARAMS, "\"cursor\" is none that task.list gave");
	f->param = "cursor";
	return -1;
}

static void
task_list(struct broker *b, struct call *call, const struct param *v)
{
	struct listing *l;
	struct fault f;

	l = calloc(1, sizeof(*l));
	if (l == NULL) {
		method_no_memory(call);
		return;
	}
	l->broker = b;
	l->call = call;
	if (read_list(b, v, &l->filter, &f) < 0) {
		free(l);
		call_error(call, &f);
		fault_done(&f);
	} else if (store_list(b->store, &l->filter, on_listed, l) < 0) {
		free(l);
		method_no_memory(call);
	}
}

const struct method method_task_table[] = {
    {"task.get", CLASS_OBSERVE, get_params, N(get_params), "the task",
	task_get},
    {"task.wait", CLASS_OBSERVE, wait_params, N(wait_params),
	"{done: [task], pending: [id]}", task_wait},
    {"task.list", CLASS_OBSERVE, list_params, N(list_params),
	"{tasks: [task], newest first, cursor}", task_list},
    {NULL, 0, NULL, 0, NULL, NULL},
};
