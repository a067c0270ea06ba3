/* SPDX-License-Identifier: ISC */
/*
 * params.c - a method's parameters, checked against their definition
 */
#include "master/broker/params.h"

#include <errno.h>
#include <string.h>

#include "ipc/clock.h"
#include "ipc/proto.h"

const char *
param_type_name(enum param_type type)
{
	switch (type) {
	case PARAM_INT:
		return "integer";
	case PARAM_BOOL:
		return "boolean";
	case PARAM_STR:
	case PARAM_KEY:
		return "string";
	case PARAM_TIME:
		return "time";
	case PARAM_ANY:
		return "any";
	case PARAM_IDS:
		return "array of integers";
	case PARAM_OBJECT:
		return "object";
	case PARAM_ARRAY:
		break;
	}
	return "array";
}

static int
wrong_type(const struct param_def *d, struct fault *f)
{
	fault_set(f, RPC_INVALID_PARAMS, "\"%s\" is not of type %s", d->name,
	    param_type_name(d->type));
	f->param = d->name;
	return -EINVAL;
}

static int
read_int(
    json_t *v, const struct param_def *d, struct param *out, struct fault *f)
{
	if (!json_is_integer(v))
		return wrong_type(d, f);
	out->number = json_integer_value(v);
	if (out->number >= d->min && out->number <= d->max)
		return 0;
	fault_set(f, RPC_INVALID_PARAMS, "\"%s\" is not within %lld and %lld",
	    d->name, (long long)d->min, (long long)d->max);
	f->param = d->name;
	return -EINVAL;
}

static int
read_str(
    json_t *v, const struct param_def *d, struct param *out, struct fault *f)
{
	size_t len, most;

	if (!json_is_string(v))
		return wrong_type(d, f);
	out->text = json_string_value(v);
	len = json_string_length(v);
	most = d->type == PARAM_KEY ? PROTO_KEY_MAX : PROTO_NAME_MAX;
	if (len > 0 && len <= most)
		return 0;
	fault_set(f, RPC_INVALID_PARAMS, "\"%s\" is not of 1 to %zu bytes",
	    d->name, most);
	f->param = d->name;
	return -EINVAL;
}

static int
read_time(
    json_t *v, const struct param_def *d, struct param *out, struct fault *f)
{
	if (json_is_integer(v) && json_integer_value(v) >= 0) {
		out->number = json_integer_value(v);
		return 0;
	}
	if (json_is_string(v) &&
	    wall_parse(json_string_value(v), &out->number) == 0)
		return 0;
	fault_set(f, RPC_INVALID_PARAMS,
	    "\"%s\" is neither an RFC 3339 time nor ms since 1970", d->name);
	f->param = d->name;
	return -EINVAL;
}

static int
read_array(json_t *v, const struct param_def *d, struct fault *f)
{
	json_t *item;
	size_t i, n;

	if (!json_is_array(v))
		return wrong_type(d, f);
	n = json_array_size(v);
	if (n == 0 || n > PROTO_MANY_MAX) {
		fault_set(f, RPC_INVALID_PARAMS,
		    "\"%s\" has %zu items, not 1 to %d", d->name, n,
		    PROTO_MANY_MAX);
		f->param = d->name;
		return -EINVAL;
	}
	if (d->type == PARAM_ARRAY)
		return 0;
	json_array_foreach(v, i, item) {
		if (!json_is_integer(item) || json_integer_value(item) <= 0)
			return wrong_type(d, f);
	}
	return 0;
}

static int
read_value(
    json_t *v, const struct param_def *d, struct param *out, struct fault *f)
{
	if (json_is_null(v) && d->type != PARAM_ANY)
		return 0;
	out->given = true;
	out->json = v;
	switch (d->type) {
	case PARAM_INT:
		return read_int(v, d, out, f);
	case PARAM_BOOL:
		out->flag = json_is_true(v);
		return json_is_boolean(v) ? 0 : wrong_type(d, f);
	case PARAM_STR:
	case PARAM_KEY:
		return read_str(v, d, out, f);
	case PARAM_TIME:
		return read_time(v, d, out, f);
	case PARAM_IDS:
	case PARAM_ARRAY:
		return read_array(v, d, f);
	case PARAM_OBJECT:
		return json_is_object(v) ? 0 : wrong_type(d, f);
	case PARAM_ANY:
		break;
	}
	return 0;
}

static int
read_member(const char *key, json_t *v, const struct param_def *defs, size_t n,
    struct param *out, struct fault *f)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (strcmp(key, defs[i].name) == 0)
			return read_value(v, &defs[i], &out[i], f);
	fault_set(
	    f, RPC_INVALID_PARAMS, "there is no parameter \"%.64s\"", key);
	f->param = key;
	return -EINVAL;
}

int
params_read(json_t *params, const struct param_def *defs, size_t n,
    struct param *out, struct fault *f)
{
	const char *key;
	json_t *v;
	size_t i;

	memset(out, 0, n * sizeof(*out));
	if (json_is_array(params) && json_array_size(params) > 0) {
		fault_set(f, RPC_INVALID_PARAMS,
		    "parameters are named: \"params\" is an object");
		return -EINVAL;
	}
	json_object_foreach(params, key, v) {
		if (read_member(key, v, defs, n, out, f) < 0)
			return -EINVAL;
	}
	for (i = 0; i < n; i++) {
		if (!defs[i].required || out[i].given)
			continue;
		fault_set(
		    f, RPC_INVALID_PARAMS, "\"%s\" is missing", defs[i].name);
		f->param = defs[i].name;
		return -EINVAL;
	}
	return 0;
}
