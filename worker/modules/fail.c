/* SPDX-License-Identifier: ISC */
/*
 * fail.c - task fail: a failure to order
 */
#include "worker/modules/fail.h"

#include <limits.h>

json_t *
fail_run(struct ganger_task *task, json_t *args)
{
	const json_t *message, *code;
	json_int_t n;

	message = json_object_get(args, "message");
	code = json_object_get(args, "code");
	n = json_is_integer(code) ? json_integer_value(code) : 1;
	ganger_fail(task, n < INT_MIN || n > INT_MAX ? 1 : (int)n,
	    json_is_true(json_object_get(args, "retryable")), "%s",
	    json_is_string(message) ? json_string_value(message)
				    : "failed as asked");
	return NULL;
}
