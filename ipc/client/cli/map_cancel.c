/* SPDX-License-Identifier: ISC */
/*
 * map_cancel.c - cancel those of a map's calls that have not started
 *
 * A call's id is told only with its answer, so each call of a map carries a
 * mark in its meta, and what waits is looked through for it, newest first.
 */
#include "ipc/client/cli/map_cancel.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "ipc/clock.h"

/* Whoever interrupts is not kept waiting: neither by a daemon that hangs... */
#define CANCEL_TIMEOUT_MS 2000
/* ... nor by one with millions of tasks of others in front of ours. */
#define CANCEL_PAGES_MAX 20
#define CANCEL_PAGE      1000

struct search {
	struct ganger_client *client;
	struct mono due;
	const char *name, *mark;
	json_t *ids; /* owned; what was found */
	size_t most;
};

/* A request that ends in time; takes params. */
static int
request(
    struct search *s, const char *method, json_t *params, json_t **result_out)
{
	struct ganger_reply reply;
	int64_t left;
	uint64_t id;
	int r;

	r = ganger_client_send(s->client, method, params, &id);
	json_decref(params);
	if (r < 0)
		return r;
	left = mono_until_ms(mono_now(), s->due);
	r = ganger_client_take(s->client, id, left < 0 ? 0 : left, &reply);
	if (r < 0)
		return r;
	if (reply.result == NULL) {
		ganger_reply_done(&reply);
		return -EREMOTEIO;
	}
	*result_out = reply.result;
	return 0;
}

/* Note which of the tasks are ours. */
static int
pick(struct search *s, const json_t *tasks)
{
	const json_t *task;
	const char *mark;
	size_t i;

	json_array_foreach(tasks, i, task) {
		mark = json_string_value(
		    json_object_get(json_object_get(task, "meta"), "map"));
		if (mark != NULL && strcmp(mark, s->mark) == 0 &&
		    json_array_append(s->ids, json_object_get(task, "id")) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int
find_in(struct search *s, const char *state)
{
	json_t *params, *page, *cursor = NULL;
	int n, r;

	for (n = 0, r = 0; n < CANCEL_PAGES_MAX; n++) {
		params = json_pack("{s:s, s:s, s:i, s:o*}", "state", state,
		    "name", s->name, "limit", CANCEL_PAGE, "cursor", cursor);
		cursor = NULL;
		r = request(s, "task.list", params, &page);
		if (r < 0)
			break;
		r = pick(s, json_object_get(page, "tasks"));
		cursor = json_object_get(page, "cursor");
		cursor = json_is_string(cursor) ? json_incref(cursor) : NULL;
		json_decref(page);
		if (r < 0 || cursor == NULL ||
		    json_array_size(s->ids) >= s->most)
			break;
	}
	json_decref(cursor);
	return r;
}

int64_t
map_cancel(struct ganger_client *client, const char *name, const char *mark,
    size_t most)
{
	struct search s = {.client = client,
	    .name = name,
	    .mark = mark,
	    .most = most,
	    .due = mono_add_ms(mono_now(), CANCEL_TIMEOUT_MS)};
	json_t *result;
	int64_t count;
	int r;

	s.ids = json_array();
	r = find_in(&s, "ready");
	if (r == 0 && json_array_size(s.ids) < most)
		r = find_in(&s, "scheduled");
	if (r < 0 || json_array_size(s.ids) == 0) {
		json_decref(s.ids);
		return r;
	}
	r = request(
	    &s, "task.cancel", json_pack("{s:o}", "ids", s.ids), &result);
	/* An error: they have all started in the meantime. */
	if (r < 0)
		return r == -EREMOTEIO ? 0 : r;
	count = json_integer_value(json_object_get(result, "count"));
	json_decref(result);
	return count;
}
