/* SPDX-License-Identifier: ISC */
/*
 * filter.c - which tasks a client means, when it does not name them by id
 */
#include "master/broker/filter.h"

#include <stdio.h>
#include <string.h>

#include "master/broker/submit.h"

static const struct param_def members[FILTER_N_PARAMS] = {FILTER_PARAMS};

static int
set_state(const char *word, struct store_filter *out, struct fault *f)
{
	out->state = task_state_parse(word);
	if (out->state >= 0)
		return 0;
	fault_set(f, RPC_INVALID_PARAMS, "there is no state \"%s\"", word);
	f->param = "state";
	return -1;
}

int
filter_set(const struct broker *b, const struct param *v,
    struct store_filter *out, struct fault *f)
{
	memset(out, 0, sizeof(*out));
	out->state = -1;
	if (v[FILTER_STATE].given &&
	    set_state(v[FILTER_STATE].text, out, f) < 0)
		return -1;
	if (v[FILTER_QUEUE].given) {
		out->queue =
		    catalog_find_any_queue(&b->catalog, v[FILTER_QUEUE].text);
		if (out->queue == NULL)
			return submit_no_queue(b, v[FILTER_QUEUE].text, f);
	}
	if (v[FILTER_NAME].given) {
		out->kind = catalog_find_kind(&b->catalog, v[FILTER_NAME].text);
		if (out->kind == NULL)
			return submit_no_name(b, v[FILTER_NAME].text, f);
	}
	out->since_ms = v[FILTER_SINCE].number;
	out->until_ms = v[FILTER_UNTIL].number;
	/* There 0 is any time: this is before all tasks as well. */
	if (v[FILTER_UNTIL].given && out->until_ms == 0)
		out->until_ms = -1;
	return 0;
}

int
filter_read(const struct broker *b, json_t *object, struct store_filter *out,
    struct fault *f)
{
	struct param v[FILTER_N_PARAMS];
	char message[FAULT_MESSAGE_MAX];

	if (params_read(object, members, FILTER_N_PARAMS, v, f) == 0 &&
	    filter_set(b, v, out, f) == 0)
		return 0;
	memcpy(message, f->message, sizeof(message));
	snprintf(f->message, sizeof(f->message), "\"filter\": %.*s",
	    (int)sizeof(message) - 16, message);
	return -1;
}

bool
filter_fits(const struct store_filter *f, const struct task *t)
{
	enum task_state state = task_told_state(t);

	if (f->state >= 0 && state != (enum task_state)f->state)
		return false;
	if (f->waiting && state != TASK_READY && state != TASK_SCHEDULED)
		return false;
	if (f->ended && !task_state_is_final(state))
		return false;
	return (f->queue == NULL || t->queue == f->queue) &&
	       (f->kind == NULL || t->kind == f->kind) &&
	       (f->since_ms == 0 || t->submitted_at >= f->since_ms) &&
	       (f->until_ms == 0 || t->submitted_at < f->until_ms);
}
