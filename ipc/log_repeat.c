/* SPDX-License-Identifier: ISC */
/*
 * log_repeat.c - what is said again and again is counted, not written
 */
#include "ipc/log_repeat.h"

#include <string.h>

void
log_repeat_init(struct log_repeat *r)
{
	r->any = false;
	r->count = 0;
}

static bool
is_last(const struct log_repeat *r, enum log_level level, const char *text,
    size_t len)
{
	return r->any && r->level == level && r->len == len &&
	       memcmp(r->text, text, len) == 0;
}

struct log_verdict
log_repeat_take(struct log_repeat *r, enum log_level level, const char *text,
    size_t len, struct mono now)
{
	struct log_verdict v = {.repeated = r->level};
	bool again = is_last(r, level, text, len);

	if (again &&
	    !mono_reached(now, mono_add_ms(r->since, LOG_REPEAT_AFTER_MS))) {
		r->count++;
		return v;
	}
	v.n_repeated = r->count;
	if (again && r->count > 0)
		v.n_repeated++; /* this one with them */
	else
		v.write = true;
	r->any = true;
	r->level = level;
	if (!again) {
		memcpy(r->text, text, len);
		r->len = len;
	}
	r->since = now;
	r->count = 0;
	return v;
}
