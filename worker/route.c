/* SPDX-License-Identifier: ISC */
/*
 * route.c - from a task's name to what runs it
 *
 * Built once, before the worker has threads, and only read afterwards.
 */
#include "worker/route.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/json.h"
#include "ipc/proto.h"

#define ROUTE_COMMANDS "the commands"

#define NAME_CHARS \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-"

/* What is wrong with a task's name, or NULL. */
static const char *
name_fault(const char *name)
{
	if (name == NULL || name[0] == '\0')
		return "is empty";
	if (strlen(name) > PROTO_NAME_MAX)
		return "is longer than 128 bytes";
	if (name[strspn(name, NAME_CHARS)] != '\0')
		return "has characters other than A-Z a-z 0-9 _ . : -";
	return NULL;
}

static void
tell(struct buf *mistakes, const struct route *r, const char *fault)
{
	buf_printf(mistakes, "%s: task name ", r->origin);
	buf_add_json_cstr(mistakes, r->name);
	buf_printf(mistakes, " %s\n", fault);
}

/* Take r as the next item; true when it is well-formed. */
static bool
add(struct routes *rs, const struct route *r, struct buf *mistakes)
{
	const char *fault;

	fault = name_fault(r->name);
	if (fault == NULL && r->run == NULL && r->command == NULL)
		fault = "has no function";
	if (fault == NULL && r->command != NULL &&
	    (r->command->argv == NULL || r->command->argv[0] == NULL))
		fault = "has an empty argv";
	if (fault != NULL) {
		tell(mistakes, r, fault);
		return false;
	}
	rs->items[rs->n] = *r;
	rs->items[rs->n].order = rs->n;
	rs->n++;
	return true;
}

static bool
add_module(struct routes *rs, const struct module *m, struct buf *mistakes)
{
	const struct ganger_handler *h;
	bool good;

	good = true;
	for (h = m->def->handlers; h->name != NULL; h++) {
		const struct route r = {
		    .name = h->name, .origin = m->origin, .run = h->run};

		good &= add(rs, &r, mistakes);
	}
	return good;
}

static bool
add_commands(
    struct routes *rs, const struct worker_settings *s, struct buf *mistakes)
{
	size_t i;
	bool good;

	good = true;
	for (i = 0; i < s->n_commands; i++) {
		const struct route r = {.name = s->commands[i].name,
		    .origin = ROUTE_COMMANDS,
		    .command = &s->commands[i]};

		good &= add(rs, &r, mistakes);
	}
	return good;
}

static size_t
count_names(const struct modules *ms, const struct worker_settings *s)
{
	const struct ganger_handler *h;
	size_t i, n;

	n = s->n_commands;
	for (i = 0; i < ms->n; i++)
		for (h = ms->items[i].def->handlers; h->name != NULL; h++)
			n++;
	return n;
}

static int
compare(const void *a, const void *b)
{
	const struct route *ra = a, *rb = b;
	int r;

	r = strcmp(ra->name, rb->name);
	if (r != 0)
		return r;
	return ra->order < rb->order ? -1 : ra->order > rb->order;
}

/* Leave the first of each name; true when there were no others. */
static bool
drop_duplicates(struct routes *rs, struct buf *mistakes)
{
	size_t i, n;

	for (i = n = 0; i < rs->n; i++) {
		struct route *r = &rs->items[i];

		if (n == 0 || strcmp(rs->items[n - 1].name, r->name) != 0) {
			rs->items[n++] = *r;
			continue;
		}
		buf_printf(mistakes,
		    "%s: task name \"%s\" is already given by %s\n", r->origin,
		    r->name, rs->items[n - 1].origin);
	}
	i = rs->n;
	rs->n = n;
	return i == n;
}

int
routes_build(struct routes *rs, const struct modules *ms,
    const struct worker_settings *s, struct buf *mistakes)
{
	size_t i;
	bool good;

	memset(rs, 0, sizeof(*rs));
	rs->items = calloc(count_names(ms, s) + 1, sizeof(*rs->items));
	if (rs->items == NULL)
		return -ENOMEM;
	good = true;
	for (i = 0; i < ms->n; i++)
		good &= add_module(rs, &ms->items[i], mistakes);
	good &= add_commands(rs, s, mistakes);
	qsort(rs->items, rs->n, sizeof(*rs->items), compare);
	good &= drop_duplicates(rs, mistakes);
	return good ? 0 : -EINVAL;
}

void
routes_done(struct routes *rs)
{
	if (rs == NULL)
		return;
	free(rs->items);
	memset(rs, 0, sizeof(*rs));
}

static int
compare_name(const void *key, const void *item)
{
	const struct route *r = item;

	return strcmp(key, r->name);
}

const struct route *
routes_find(const struct routes *rs, const char *name)
{
	return bsearch(
	    name, rs->items, rs->n, sizeof(*rs->items), compare_name);
}

void
routes_write_names(const struct routes *rs, struct buf *out)
{
	size_t i;

	buf_addc(out, '[');
	for (i = 0; i < rs->n; i++) {
		if (i > 0)
			buf_addc(out, ',');
		buf_add_json_cstr(out, rs->items[i].name);
	}
	buf_addc(out, ']');
}
