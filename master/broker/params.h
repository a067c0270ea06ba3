/* SPDX-License-Identifier: ISC */
/*
 * params.h - a method's parameters, checked against their definition
 */
#ifndef GANGER_BROKER_PARAMS_H
#define GANGER_BROKER_PARAMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "master/broker/fault.h"

enum param_type {
	PARAM_INT, /* within [min, max] */
	PARAM_BOOL,
	PARAM_STR,  /* 1 to PROTO_NAME_MAX bytes */
	PARAM_KEY,  /* a string of 1 to PROTO_KEY_MAX bytes */
	PARAM_TIME, /* RFC 3339, or integer ms since 1970 */
	PARAM_ANY,
	PARAM_IDS,   /* an array of 1 to PROTO_MANY_MAX positive integers */
	PARAM_ARRAY, /* of 1 to PROTO_MANY_MAX values */
	PARAM_OBJECT,
};

struct param_def {
	const char *name;
	enum param_type type;
	bool required;
	int64_t min, max; /* of PARAM_INT */
};

/* A parameter's value; which member counts is the type's affair. */
struct param {
	bool given;
	bool flag;
	int64_t number; /* PARAM_INT; PARAM_TIME: wall ms */
	const char *text;
	json_t *json; /* borrowed from the params */
};

#define PARAMS_MAX 20

/*
 * Read params (NULL: none) by n definitions into out, in the same order.  A
 * null counts as not given, except for PARAM_ANY.  -EINVAL, and *f says why: an
 * array instead of an object, a member that is unknown, missing, of a wrong
 * type or out of range.
 */
int params_read(json_t *params, const struct param_def *defs, size_t n,
    struct param *out, struct fault *f);

/* "integer", …: the type as rpc.discover names it. */
const char *param_type_name(enum param_type type);

#endif
