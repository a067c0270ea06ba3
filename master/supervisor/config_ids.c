/* SPDX-License-Identifier: ISC */
/*
 * config_ids.c - the ids of a configuration's accounts as text
 *
 * Pure.  Both directions walk the ids in the same order: one after another.
 */
#include "master/supervisor/config_ids.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

/* An id is a 32-bit number, all ones if it is not set. */
static_assert(sizeof(uid_t) == 4 && sizeof(gid_t) == 4, "sizes of ids");

struct walk {
	struct buf *out;  /* to be written to; NULL: read */
	const char *text; /* to be read, from here on */
	int error;
};

static void
visit(struct walk *w, uint32_t *id)
{
	unsigned long long v;
	char *end;

	if (w->out != NULL) {
		buf_add_uint(w->out, *id);
		buf_addc(w->out, ' ');
		return;
	}
	if (w->error < 0 || !isdigit((unsigned char)*w->text)) {
		w->error = -EINVAL;
		return;
	}
	v = strtoull(w->text, &end, 10);
	if (v > UINT32_MAX || *end != ' ') {
		w->error = -EINVAL;
		return;
	}
	*id = (uint32_t)v;
	w->text = end + 1;
}

static void
walk_config(struct walk *w, struct config *c)
{
	struct config_access *a;
	size_t i, k;

	visit(w, &c->socket_gid);
	visit(w, &c->account.uid);
	visit(w, &c->account.gid);
	for (k = 0; k < CONFIG_N_CLASSES; k++) {
		a = &c->access[k];
		for (i = 0; i < a->n; i++) {
			visit(w, &a->list[i].uid);
			visit(w, &a->list[i].gid);
		}
	}
	for (i = 0; i < c->n_pools; i++) {
		visit(w, &c->pools[i].account.uid);
		visit(w, &c->pools[i].account.gid);
	}
}

int
config_ids_print(const struct config *c, struct buf *out)
{
	struct walk w = {.out = out};
	union {
		const struct config *given;
		struct config *walked; /* and only read */
	} u = {.given = c};

	walk_config(&w, u.walked);
	return buf_error(out);
}

int
config_ids_take(struct config *c, const char *text)
{
	struct walk w = {.text = text};

	walk_config(&w, c);
	return *w.text != '\0' ? -EINVAL : w.error;
}
