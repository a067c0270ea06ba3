/* SPDX-License-Identifier: ISC */
/*
 * submit.c - submits that can be sent again when their answer is lost
 *
 * What makes that safe is the idempotency key: the daemon answers a second
 * submit of one with the first one's task.  A task that is to be durable and
 * has none gets one made of chance.
 */
#include "ipc/client/lib/submit.h"

#include <errno.h>
#include <stdio.h>
#include <sys/random.h>

#include "ipc/client/lib/client.h"
#include "ipc/client/lib/reconnect.h"

#define KEY_BYTES 16

static bool
has_key(const json_t *task)
{
	return json_is_string(json_object_get(task, "idempotency_key"));
}

bool
submit_is_lasting(const json_t *task)
{
	return json_is_true(json_object_get(task, "durable")) || has_key(task);
}

/* A copy of task, with a key; NULL: out of memory. */
static json_t *
copy_with_key(json_t *task)
{
	unsigned char bytes[KEY_BYTES];
	char text[2 * KEY_BYTES + 1];
	json_t *copy;
	size_t i;

	/* So few bytes come at once, and without fail once it is seeded. */
	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return NULL;
	for (i = 0; i < sizeof(bytes); i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	copy = json_copy(task);
	if (json_object_set_new(copy, "idempotency_key", json_string(text)) <
	    0) {
		json_decref(copy);
		return NULL;
	}
	return copy;
}

/* Submit what has a key, as often as it takes. */
static int
submit_again(struct ganger_client *c, const json_t *task, json_t **answer_out,
    struct ganger_error *err_out)
{
	return reconnect_request(
	    c, "task.submit", task, NULL, answer_out, err_out);
}

/*
 * Submit with a key of our own.  That the second try finds what the first one
 * entered is no duplicate to the caller; only `unique` may have found another.
 */
static int
submit_with_key(struct ganger_client *c, json_t *task, json_t **answer_out,
    struct ganger_error *err_out)
{
	json_t *copy, *answer;
	unsigned n;
	int r;

	copy = copy_with_key(task);
	if (copy == NULL)
		return -ENOMEM;
	r = reconnect_request(c, "task.submit", copy, &n, &answer, err_out);
	json_decref(copy);
	if (r < 0)
		return r;
	if (n > 1 && json_object_get(task, "unique") == NULL)
		json_object_set_new(answer, "duplicate", json_false());
	*answer_out = answer;
	return 0;
}

int
ganger_client_submit_answer(struct ganger_client *c, json_t *task,
    json_t **answer_out, struct ganger_error *err_out)
{
	json_t *answer;
	int r;

	if (has_key(task))
		r = submit_again(c, task, &answer, err_out);
	else if (submit_is_lasting(task) && c->backoff.limit_ms != 0)
		r = submit_with_key(c, task, &answer, err_out);
	else
		r = ganger_client_request(
		    c, "task.submit", json_incref(task), &answer, err_out);
	json_decref(task);
	if (r < 0)
		return r;
	if (!json_is_integer(json_object_get(answer, "id"))) {
		json_decref(answer);
		return -EPROTO;
	}
	*answer_out = answer;
	return 0;
}

int
ganger_client_submit(struct ganger_client *c, json_t *task, uint64_t *id_out,
    struct ganger_error *err_out)
{
	json_t *answer;
	int r;

	r = ganger_client_submit_answer(c, task, &answer, err_out);
	if (r < 0)
		return r;
	if (id_out != NULL)
		*id_out =
		    (uint64_t)json_integer_value(json_object_get(answer, "id"));
	json_decref(answer);
	return 0;
}

static bool
have_keys(const json_t *tasks)
{
	const json_t *task;
	size_t i;

	json_array_foreach(tasks, i, task)
		if (!has_key(task))
			return false;
	return true;
}

int
ganger_client_submit_many(struct ganger_client *c, json_t *tasks,
    json_t **answers_out, struct ganger_error *err_out)
{
	bool again = have_keys(tasks);
	json_t *params;
	int r;

	params = json_pack("{s:o}", "tasks", tasks);
	if (!again)
		return ganger_client_request(
		    c, "task.submit_many", params, answers_out, err_out);
	r = reconnect_request(
	    c, "task.submit_many", params, NULL, answers_out, err_out);
	json_decref(params);
	return r;
}
