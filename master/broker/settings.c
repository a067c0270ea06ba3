/* SPDX-License-Identifier: ISC */
/*
 * settings.c - what the broker is told to be
 *
 * The text comes from the master, but it may be the master of another version:
 * members that are not there have their defaults, unknown ones are passed over,
 * and every value is checked.
 */
#include "master/broker/settings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/json.h"
#include "ipc/proto.h"
#include "master/broker/rate.h"
#include "master/broker/ready.h"

#define TIME_MAX    (INT64_C(1000) * 365 * 86400 * 1000)
#define COUNT_MAX   INT64_C(1000000)
#define QUEUES_MAX  100000 /* of settings, and of one pool */
#define WEIGHT_MAX  1000
#define RETRIES_MAX 1000000
#define MIN_FREE    (INT64_C(64) * 1024 * 1024)

enum field_type { FIELD_UNSIGNED, FIELD_INT64, FIELD_UINT64, FIELD_BOOL };

/* A member that is a number or a boolean. */
struct field {
	const char *key;
	enum field_type type;
	size_t offset;
	int64_t min, max, fallback;
};

struct reader {
	const char *where; /* what is being read, for `why` */
	char *why;         /* SETTINGS_WHY_SIZE */
	int r;             /* 0, or the first failure */
};

#define FIELD(s, type, key, member, ...) \
	{ \
		key, type, offsetof(struct s, member), __VA_ARGS__ \
	}

_Static_assert(sizeof(size_t) == sizeof(uint64_t), "max_message is read so");

static const struct field top_fields[] = {
    FIELD(broker_settings, FIELD_UINT64, "max_message", max_message, 1,
	INT64_C(1) << 40, PROTO_MESSAGE_MAX),
    FIELD(broker_settings, FIELD_UNSIGNED, "max_clients", max_clients, 1,
	COUNT_MAX, 10000),
    FIELD(broker_settings, FIELD_UINT64, "max_queued", max_queued, 0, INT64_MAX,
	10000000),
    FIELD(broker_settings, FIELD_UINT64, "max_bytes", max_bytes, 0, INT64_MAX,
	INT64_MAX),
    FIELD(broker_settings, FIELD_INT64, "result_ttl_ms", result_ttl_ms, 0,
	TIME_MAX, 3600000),
    FIELD(broker_settings, FIELD_INT64, "failed_ttl_ms", failed_ttl_ms, 0,
	TIME_MAX, 7 * 86400000),
    FIELD(broker_settings, FIELD_UINT64, "max_finished", max_finished, 0,
	INT64_MAX, INT64_MAX),
    FIELD(broker_settings, FIELD_BOOL, "full_sync", full_sync, 0, 1, 1),
    FIELD(broker_settings, FIELD_INT64, "priority_age_ms", priority_age_ms, 0,
	READY_AGE_MAX_MS, 0),
    FIELD(
	broker_settings, FIELD_UINT64, "max_store", max_store, 0, INT64_MAX, 0),
    FIELD(broker_settings, FIELD_UINT64, "min_free", min_free, 0, INT64_MAX,
	MIN_FREE),
    FIELD(
	broker_settings, FIELD_BOOL, "hold_when_full", hold_when_full, 0, 1, 0),
    FIELD(broker_settings, FIELD_INT64, "cancel_grace_ms", cancel_grace_ms, 0,
	TIME_MAX, 10000),
    FIELD(broker_settings, FIELD_BOOL, "drain_all", drain_all, 0, 1, 0),
    FIELD(broker_settings, FIELD_INT64, "started_at", started_at, 0, INT64_MAX,
	0),
};

static const struct field pool_fields[] = {
    FIELD(broker_pool_settings, FIELD_UNSIGNED, "processes", n_processes, 0,
	COUNT_MAX, 1),
    FIELD(broker_pool_settings, FIELD_UNSIGNED, "threads", threads, 1,
	BROKER_THREADS_MAX, 1),
    FIELD(broker_pool_settings, FIELD_BOOL, "strict", strict, 0, 1, 0),
    FIELD(broker_pool_settings, FIELD_BOOL, "scales", scales, 0, 1, 0),
    FIELD(broker_pool_settings, FIELD_INT64, "timeout_ms", timeout_ms, 0,
	TIME_MAX, 0),
    FIELD(broker_pool_settings, FIELD_INT64, "soft_timeout_ms", soft_timeout_ms,
	0, TIME_MAX, 0),
    FIELD(broker_pool_settings, FIELD_UINT64, "max_tasks", max_tasks, 0,
	INT64_MAX / 2, 0),
    FIELD(broker_pool_settings, FIELD_UINT64, "max_tasks_jitter",
	max_tasks_jitter, 0, UINT32_MAX - 1, 0),
};

static const struct field queue_fields[] = {
    FIELD(broker_queue_settings, FIELD_UNSIGNED, "priority", priority, 0,
	PROTO_PRIORITIES - 1, 5),
    FIELD(broker_queue_settings, FIELD_UNSIGNED, "retries", retries, 0,
	RETRIES_MAX, 3),
    FIELD(broker_queue_settings, FIELD_INT64, "timeout_ms", timeout_ms, 0,
	TIME_MAX, 0),
    FIELD(broker_queue_settings, FIELD_INT64, "soft_timeout_ms",
	soft_timeout_ms, 0, TIME_MAX, 0),
    FIELD(broker_queue_settings, FIELD_UINT64, "max_queued", max_queued, 0,
	INT64_MAX, 0),
    FIELD(broker_queue_settings, FIELD_BOOL, "durable", durable, 0, 1, 1),
    FIELD(broker_queue_settings, FIELD_UINT64, "max_running", max_running, 0,
	INT64_MAX, 0),
    FIELD(broker_queue_settings, FIELD_UINT64, "rate_count", rate_count, 0,
	RATE_COUNT_MAX, 0),
    FIELD(broker_queue_settings, FIELD_INT64, "rate_ms", rate_ms, 1,
	RATE_MS_MAX, 1000),
};

#define N(array) (sizeof(array) / sizeof((array)[0]))

/* Note the first thing that is wrong. */
static void __attribute__((format(printf, 2, 3)))
fail(struct reader *rd, const char *fmt, ...)
{
	va_list ap;

	if (rd->r < 0)
		return;
	rd->r = -EINVAL;
	va_start(ap, fmt);
	vsnprintf(rd->why, SETTINGS_WHY_SIZE, fmt, ap);
	va_end(ap);
}

/* An array of n items, zeroed; one more, so that none is none of memory. */
static void *
alloc(struct reader *rd, size_t n, size_t size)
{
	void *p = rd->r < 0 ? NULL : calloc(n + 1, size);

	if (p == NULL && rd->r == 0) {
		rd->r = -ENOMEM;
		snprintf(rd->why, SETTINGS_WHY_SIZE, "out of memory");
	}
	return p;
}

static void
store(const struct field *f, void *base, int64_t value)
{
	char *at = (char *)base + f->offset;

	switch (f->type) {
	case FIELD_UNSIGNED:
		*(unsigned *)(void *)at = (unsigned)value;
		break;
	case FIELD_INT64:
		*(int64_t *)(void *)at = value;
		break;
	case FIELD_UINT64:
		*(uint64_t *)(void *)at = (uint64_t)value;
		break;
	case FIELD_BOOL:
		*(bool *)(void *)at = value != 0;
		break;
	}
}

static void
read_field(struct reader *rd, json_t *obj, const struct field *f, void *base)
{
	json_t *v = json_object_get(obj, f->key);
	int64_t n;

	if (v == NULL) {
		store(f, base, f->fallback);
		return;
	}
	if (f->type == FIELD_BOOL) {
		if (!json_is_boolean(v))
			fail(rd, "%s: \"%s\" is no boolean", rd->where, f->key);
		store(f, base, json_is_true(v));
		return;
	}
	n = json_integer_value(v);
	if (!json_is_integer(v) || n < f->min || n > f->max) {
		fail(rd, "%s: \"%s\" is no integer from %lld to %lld",
		    rd->where, f->key, (long long)f->min, (long long)f->max);
		return;
	}
	store(f, base, n);
}

static void
read_fields(struct reader *rd, json_t *obj, const struct field *list, size_t n,
    void *base)
{
	size_t i;

	if (!json_is_object(obj))
		fail(rd, "%s is no object", rd->where);
	for (i = 0; i < n; i++)
		read_field(rd, obj, &list[i], base);
}

/* A member that is one of words; its index. */
static unsigned
read_word(struct reader *rd, json_t *obj, const char *key,
    const char *const *words, unsigned fallback)
{
	json_t *v = json_object_get(obj, key);
	const char *word = json_string_value(v);
	unsigned i;

	if (v == NULL)
		return fallback;
	for (i = 0; word != NULL && words[i] != NULL; i++)
		if (strcmp(word, words[i]) == 0)
			return i;
	fail(rd, "%s: \"%s\" is none of its words", rd->where, key);
	return fallback;
}

/* The array of that name; an empty one (NULL) when it is not there. */
static json_t *
read_array(struct reader *rd, json_t *obj, const char *key, size_t max)
{
	json_t *v = json_object_get(obj, key);

	if (v != NULL && (!json_is_array(v) || json_array_size(v) > max)) {
		fail(rd, "%s: \"%s\" is no array of at most %zu items",
		    rd->where, key, max);
		return NULL;
	}
	return v;
}

static const char *
read_name(struct reader *rd, json_t *obj)
{
	const char *name = json_string_value(json_object_get(obj, "name"));

	if (name == NULL || name[0] == '\0') {
		fail(rd, "%s has no \"name\"", rd->where);
		return "";
	}
	return name;
}

static size_t
read_strings(struct reader *rd, json_t *obj, const char *key, const char ***out)
{
	json_t *list = read_array(rd, obj, key, SIZE_MAX), *item;
	size_t i, n = json_array_size(list);

	*out = alloc(rd, n, sizeof(**out));
	if (*out == NULL)
		return 0;
	json_array_foreach(list, i, item) {
		(*out)[i] = json_string_value(item);
		if ((*out)[i] == NULL)
			fail(rd, "%s: \"%s\" has an item that is no string",
			    rd->where, key);
	}
	return rd->r < 0 ? 0 : n;
}

static unsigned
find_queue(const struct broker_settings *s, const char *name)
{
	unsigned i;

	for (i = 0; name != NULL && i < s->n_queues; i++)
		if (s->queues[i].name != NULL &&
		    strcmp(s->queues[i].name, name) == 0)
			return i;
	return (unsigned)s->n_queues;
}

static void
read_refs(struct reader *rd, json_t *obj, const struct broker_settings *s,
    struct broker_pool_settings *p)
{
	json_t *list = read_array(rd, obj, "queues", QUEUES_MAX), *item, *w;
	struct broker_queue_ref *ref;
	const char *name;
	size_t i;

	p->refs = alloc(rd, json_array_size(list), sizeof(*p->refs));
	if (p->refs == NULL)
		return;
	json_array_foreach(list, i, item) {
		ref = &p->refs[p->n_refs++];
		name = json_string_value(json_object_get(item, "queue"));
		ref->queue = find_queue(s, name);
		if (ref->queue == s->n_queues)
			fail(rd, "%s takes from a queue that is not there: %s",
			    rd->where, name == NULL ? "?" : name);
		w = json_object_get(item, "weight");
		ref->weight = w == NULL ? 1 : (unsigned)json_integer_value(w);
		if (ref->weight < 1 || ref->weight > WEIGHT_MAX)
			fail(rd, "%s: a queue's weight is not 1 to %d",
			    rd->where, WEIGHT_MAX);
	}
}

static void
read_queues(struct reader *rd, struct broker_settings *s)
{
	json_t *list = read_array(rd, s->root, "queues", QUEUES_MAX), *item;
	char where[64];
	size_t i;

	s->queues = alloc(rd, json_array_size(list), sizeof(*s->queues));
	if (s->queues == NULL)
		return;
	rd->where = where;
	json_array_foreach(list, i, item) {
		struct broker_queue_settings *q = &s->queues[i];

		snprintf(where, sizeof(where), "queues[%zu]", i);
		q->name = read_name(rd, item);
		if (find_queue(s, q->name) < s->n_queues)
			fail(rd, "%s: there are two of its name", where);
		read_fields(rd, item, queue_fields, N(queue_fields), q);
		s->n_queues++;
	}
	rd->where = "settings";
}

static void
read_pool(struct reader *rd, json_t *obj, const struct broker_settings *s,
    struct broker_pool_settings *p)
{
	size_t i;

	p->name = read_name(rd, obj);
	for (i = 0; i < s->n_pools; i++)
		if (s->pools[i].name != NULL &&
		    strcmp(s->pools[i].name, p->name) == 0)
			fail(rd, "%s: there are two of its name", rd->where);
	read_fields(rd, obj, pool_fields, N(pool_fields), p);
	read_refs(rd, obj, s, p);
	p->n_names = read_strings(rd, obj, "names", &p->names);
	p->n_commands = read_strings(rd, obj, "commands", &p->commands);
}

static void
read_pools(struct reader *rd, struct broker_settings *s)
{
	json_t *list = read_array(rd, s->root, "pools", BROKER_POOLS_MAX);
	char where[64];
	json_t *item;
	size_t i;

	s->pools = alloc(rd, json_array_size(list), sizeof(*s->pools));
	if (s->pools == NULL)
		return;
	rd->where = where;
	json_array_foreach(list, i, item) {
		snprintf(where, sizeof(where), "pools[%zu]", i);
		read_pool(rd, item, s, &s->pools[i]);
		s->n_pools++;
	}
	rd->where = "settings";
}

static void
read_who(struct reader *rd, json_t *obj, struct broker_access *out)
{
	json_t *uid = json_object_get(obj, "uid");
	json_t *gid = json_object_get(obj, "gid");
	json_t *id = uid != NULL ? uid : gid;
	int64_t n = json_integer_value(id);

	if (json_is_true(json_object_get(obj, "anyone"))) {
		out->anyone = true;
		return;
	}
	if (!json_is_integer(id) || n < 0 || n > UINT32_MAX)
		fail(rd, "access: an entry is neither \"anyone\" nor a \"uid\" "
			 "or \"gid\"");
	out->is_group = uid == NULL;
	out->uid = (uid_t)n;
	out->gid = (gid_t)n;
}

static void
read_access(struct reader *rd, struct broker_settings *s)
{
	static const char *const keys[BROKER_N_CLASSES] = {
	    [CLASS_SUBMIT] = "submit",
	    [CLASS_OBSERVE] = "observe",
	    [CLASS_ADMIN] = "admin",
	};
	json_t *access = json_object_get(s->root, "access"), *list, *item;
	size_t i;
	int c;

	for (c = 0; c < BROKER_N_CLASSES; c++) {
		list = read_array(rd, access, keys[c], SIZE_MAX);
		s->access[c] =
		    alloc(rd, json_array_size(list), sizeof(**s->access));
		if (s->access[c] == NULL)
			return;
		json_array_foreach(list, i, item) {
			read_who(rd, item, &s->access[c][i]);
			s->n_access[c]++;
		}
	}
}

static void
read_top(struct reader *rd, struct broker_settings *s)
{
	static const char *const levels[] = {
	    [LOG_ERROR] = "error",
	    [LOG_WARN] = "warn",
	    [LOG_INFO] = "info",
	    [LOG_DEBUG] = "debug",
	    NULL,
	};
	static const char *const formats[] = {
	    [LOG_TEXT] = "text", [LOG_JSON] = "json", NULL};

	read_fields(rd, s->root, top_fields, N(top_fields), s);
	s->socket = json_string_value(json_object_get(s->root, "socket"));
	if (s->socket == NULL)
		s->socket = "";
	s->store_path =
	    json_string_value(json_object_get(s->root, "store_path"));
	s->master_pid =
	    (pid_t)json_integer_value(json_object_get(s->root, "master_pid"));
	s->log_level = (enum log_level)read_word(
	    rd, s->root, "log_level", levels, LOG_INFO);
	s->log_format = (enum log_format)read_word(
	    rd, s->root, "log_format", formats, LOG_TEXT);
}

int
settings_load(const char *text, size_t len, struct broker_settings **out,
    char why[SETTINGS_WHY_SIZE])
{
	struct reader rd = {.where = "settings", .why = why};
	struct broker_settings *s;
	json_error_t err;

	s = alloc(&rd, 1, sizeof(*s));
	if (s == NULL)
		return rd.r;
	s->refs = 1;
	s->root = json_loadb(text, len, JSON_READ_FLAGS, &err);
	if (s->root == NULL)
		fail(&rd, "settings: %s", err.text);
	read_top(&rd, s);
	read_queues(&rd, s);
	read_pools(&rd, s);
	read_access(&rd, s);
	if (rd.r < 0) {
		settings_unref(s);
		return rd.r;
	}
	*out = s;
	return 0;
}

struct broker_settings *
settings_ref(struct broker_settings *s)
{
	s->refs++;
	return s;
}

void
settings_unref(struct broker_settings *s)
{
	size_t i;

	if (s == NULL || --s->refs > 0)
		return;
	for (i = 0; s->pools != NULL && i <= s->n_pools; i++) {
		free(s->pools[i].refs);
		free(s->pools[i].names);
		free(s->pools[i].commands);
	}
	free(s->pools);
	free(s->queues);
	for (i = 0; i < BROKER_N_CLASSES; i++)
		free(s->access[i]);
	json_decref(s->root);
	free(s);
}
