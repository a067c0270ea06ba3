/* SPDX-License-Identifier: ISC */
/*
 * answer.c - what clients asked of the master, through the broker
 *
 * The broker has checked who asks and what, and answers the client; here it is
 * done.  Names and numbers are checked again: they may be out of date.
 */
#include "master/supervisor/answer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/log.h"
#include "ipc/proto.h"
#include "master/supervisor/dump.h"
#include "master/supervisor/pool.h"
#include "master/supervisor/reload.h"
#include "master/supervisor/supervisor.h"
#include "master/supervisor/upgrade.h"

#define DRAINED "the workers are drained (SIGWINCH): a reload brings them back"

void
answer_result(struct supervisor *sv, uint64_t id, json_t *result)
{
	if (result == NULL)
		answer_refused(
		    sv, id, true, "out of memory for the answer", NULL);
	else if (id != 0 && ctl_send(&sv->ctl, -1, "answer", "{s:I,s:O}", "id",
				(json_int_t)id, "result", result) < 0)
		answer_refused(sv, id, false,
		    "it is done, but the answer is too long to be told", NULL);
	json_decref(result);
}

void
answer_refused(struct supervisor *sv, uint64_t id, bool retryable,
    const char *message, json_t *mistakes)
{
	json_t *data;

	if (id == 0)
		return;
	data = json_pack("{s:b}", "retryable", (int)retryable);
	if (data != NULL && mistakes != NULL)
		(void)json_object_set(data, "mistakes", mistakes);
	if (ctl_send(&sv->ctl, -1, "answer", "{s:I,s:{s:i,s:s,s:O}}", "id",
		(json_int_t)id, "error", "code", RPC_REFUSED, "message",
		message, "data", data) < 0 &&
	    mistakes != NULL)
		answer_refused(sv, id, retryable, message, NULL);
	json_decref(data);
}

static struct pool *
get_pool(struct supervisor *sv, uint64_t id, const char *name)
{
	struct pool *p = name == NULL ? NULL : pool_find(sv, name);

	if (p != NULL && p->config != NULL)
		return p;
	answer_refused(sv, id, false, "there is no such pool any more", NULL);
	return NULL;
}

static void
take_reload(struct supervisor *sv, uint64_t id, json_t *args)
{
	(void)args;
	reload_start(sv, "a client asked for it", id);
}

static void
take_upgrade(struct supervisor *sv, uint64_t id, json_t *args)
{
	(void)args;
	upgrade_start(sv, "a client asked for it", id);
}

static void
take_scale(struct supervisor *sv, uint64_t id, json_t *args)
{
	struct pool *p =
	    get_pool(sv, id, json_string_value(json_object_get(args, "pool")));
	json_int_t n = json_integer_value(json_object_get(args, "processes"));
	json_t *by = json_object_get(args, "by");

	if (p == NULL)
		return;
	if (by != NULL)
		n = (json_int_t)p->n_wanted + json_integer_value(by);
	pool_resize(p, (long)n, "a client asked for it");
	answer_result(sv, id,
	    json_pack("{s:s,s:i,s:s*}", "pool", p->name, "processes",
		(int)p->n_wanted, "warning", sv->resting ? DRAINED : NULL));
}

static void
roll(struct pool *p, json_t *names)
{
	log_info("pool \"%s\": its workers are replaced: a client asked for it",
	    p->name);
	(void)json_array_append_new(names, json_string(p->name));
	/* The roll of a reload is not given up for this one's sake. */
	p->asked = p->asked || !p->rolling;
	pool_roll(p);
}

static void
take_restart(struct supervisor *sv, uint64_t id, json_t *args)
{
	const char *name = json_string_value(json_object_get(args, "pool"));
	json_t *names;
	struct pool *p;

	if (sv->resting) {
		answer_refused(sv, id, false, DRAINED, NULL);
		return;
	}
	names = json_array();
	if (names == NULL)
		return;
	if (name != NULL) {
		p = get_pool(sv, id, name);
		if (p == NULL) {
			json_decref(names);
			return;
		}
		roll(p, names);
	} else {
		TAILQ_FOREACH(p, &sv->pools, entry) {
			if (p->config != NULL)
				roll(p, names);
		}
	}
	(void)json_array_append_new(
	    sv->rolls, json_pack("{s:I,s:O,s:{s:o}}", "id", (json_int_t)id,
			   "pools", names, "result", "pools", names));
	answer_take_rolled(sv);
}

static bool
is_rolling(struct supervisor *sv, json_t *names)
{
	const struct pool *p;
	json_t *name;
	size_t i;

	json_array_foreach(names, i, name) {
		p = pool_find(sv, json_string_value(name));
		if (p != NULL && p->config != NULL && p->rolling)
			return true;
	}
	return false;
}

void
answer_take_rolled(struct supervisor *sv)
{
	json_t *item, *result;
	size_t i = 0;

	while ((item = json_array_get(sv->rolls, i)) != NULL) {
		if (is_rolling(sv, json_object_get(item, "pools"))) {
			i++;
			continue;
		}
		result = json_incref(json_object_get(item, "result"));
		answer_result(sv,
		    (uint64_t)json_integer_value(json_object_get(item, "id")),
		    result);
		(void)json_array_remove(sv->rolls, i);
	}
}

static bool
has_text(json_t *texts, const char *text)
{
	json_t *item;
	size_t i;

	json_array_foreach(texts, i, item) {
		if (strcmp(json_string_value(item), text) == 0)
			return true;
	}
	return false;
}

void
answer_take_setback(
    struct supervisor *sv, const struct pool *p, const char *why)
{
	json_t *item, *result;
	size_t i = 0;
	uint64_t id;

	while ((item = json_array_get(sv->rolls, i)) != NULL) {
		result = json_object_get(item, "result");
		id = (uint64_t)json_integer_value(json_object_get(item, "id"));
		if (json_object_get(result, "pools") == NULL) {
			answer_result(sv, id, json_incref(result));
		} else if (!p->asked &&
			   has_text(json_object_get(item, "pools"), p->name)) {
			answer_refused(sv, id, true, why, NULL);
		} else {
			i++; /* a restart, which answer_take_unrolled ends */
			continue;
		}
		(void)json_array_remove(sv->rolls, i);
	}
}

void
answer_when_rolled(struct supervisor *sv, uint64_t id, json_t *result)
{
	json_t *names = json_array();
	const struct pool *p;

	TAILQ_FOREACH(p, &sv->pools, entry)
		(void)json_array_append_new(names, json_string(p->name));
	(void)json_array_append_new(
	    sv->rolls, json_pack("{s:I,s:o,s:o}", "id", (json_int_t)id, "pools",
			   names, "result", result));
	answer_take_rolled(sv);
}

void
answer_take_unrolled(struct supervisor *sv, const char *pool, const char *why)
{
	json_t *item;
	size_t i = 0;

	while ((item = json_array_get(sv->rolls, i)) != NULL) {
		if (!has_text(json_object_get(item, "pools"), pool)) {
			i++;
			continue;
		}
		answer_refused(sv,
		    (uint64_t)json_integer_value(json_object_get(item, "id")),
		    true, why, NULL);
		(void)json_array_remove(sv->rolls, i);
	}
}

static void
take_dump(struct supervisor *sv, uint64_t id, json_t *args)
{
	dump_start(sv, id, json_string_value(json_object_get(args, "worker")));
}

static const struct {
	const char *what;
	void (*take)(struct supervisor *sv, uint64_t id, json_t *args);
} asks[] = {
    {"reload", take_reload},
    {"upgrade", take_upgrade},
    {"scale", take_scale},
    {"restart", take_restart},
    {"dump", take_dump},
};

void
answer_take(struct supervisor *sv, json_t *msg)
{
	const char *what = json_string_value(json_object_get(msg, "what"));
	uint64_t id = (uint64_t)json_integer_value(json_object_get(msg, "id"));
	size_t i;

	for (i = 0; what != NULL && i < sizeof(asks) / sizeof(asks[0]); i++) {
		if (strcmp(asks[i].what, what) != 0)
			continue;
		if (sv->phase != SUPERVISOR_SERVING)
			answer_refused(sv, id, true,
			    "the daemon is starting or stopping", NULL);
		else
			asks[i].take(sv, id, json_object_get(msg, "args"));
		return;
	}
	answer_refused(sv, id, false, "the master does not know how", NULL);
}
