/* SPDX-License-Identifier: ISC */
/*
 * sleep.c - task sleep: hold a thread for a while
 */
#include "worker/modules/sleep.h"

#include <errno.h>

/* A length that any clock can be moved by: 10,000 years. */
#define SLEEP_MAX_MS 3.2e14

json_t *
sleep_run(struct ganger_task *task, json_t *args)
{
	const json_t *value;
	double ms;
	int64_t n;

	value = json_object_get(args, "ms");
	if (value != NULL) {
		ms = json_number_value(value);
	} else {
		value = json_is_object(args) ? json_object_get(args, "seconds")
					     : args;
		ms = json_number_value(value) * 1000.;
	}
	if (!json_is_number(value) || !(ms >= 0. && ms <= SLEEP_MAX_MS)) {
		ganger_fail(task, EINVAL, false,
		    "sleep wants {\"ms\": N}, {\"seconds\": N} or a number of "
		    "seconds");
		return NULL;
	}
	n = (int64_t)ms;
	if (!ganger_sleep(task, n)) {
		ganger_fail(task, 0, true, "cancelled while asleep");
		return NULL;
	}
	return json_pack("{s:I}", "slept_ms", (json_int_t)n);
}
