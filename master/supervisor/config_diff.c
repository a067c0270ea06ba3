/* SPDX-License-Identifier: ISC */
/*
 * config_diff.c - what a new configuration changes, and what it can't change
 *
 * Pure.  Values are compared as they are, not as they were written: "auto" that
 * counts as many processors as before is no change.
 */
#include "master/supervisor/config_diff.h"

#include <assert.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/json.h"
#include "master/supervisor/config_key.h"
#include "master/supervisor/config_print.h"
#include "master/supervisor/config_same.h"

#define ARROW " \xe2\x86\x92 "

struct differ {
	const struct config *old, *new;
	struct config_diff *d;
	int error; /* 0 or -ENOMEM; sticky */
};

/* The name of a section, and two of it. */
struct pair {
	const char *kind; /* NULL: the top */
	const char *name; /* NULL for a section without */
	const void *old, *new;
};

/* Add the text in b, which is used up, to the changes. */
static void
add_change(struct differ *f, struct buf *b)
{
	char **list, *text;

	text = buf_error(b) < 0 ? NULL : json_utf8(buf_head(b), buf_len(b));
	buf_done(b);
	list = reallocarray(f->d->changes, f->d->n_changes + 1, sizeof(*list));
	if (list != NULL)
		f->d->changes = list;
	if (list == NULL || text == NULL) {
		free(text);
		f->error = -ENOMEM;
		return;
	}
	list[f->d->n_changes++] = text;
}

static void
begin(const struct pair *p, struct buf *b)
{
	buf_init(b, SIZE_MAX);
	if (p->kind != NULL)
		buf_adds(b, p->kind);
	if (p->name != NULL)
		buf_printf(b, " \"%s\":", p->name);
	if (p->kind != NULL)
		buf_addc(b, ' ');
}

/* Tell of the section that something happened to it. */
static void
tell(struct differ *f, const struct pair *p, const char *what)
{
	struct buf b;

	begin(p, &b);
	buf_adds(&b, what);
	add_change(f, &b);
}

/* Append the value without the quotes, unless it is empty. */
static void
add_value(const struct config_key *k, const void *base, struct buf *out)
{
	struct buf value;
	const char *s;
	size_t n;

	buf_init(&value, SIZE_MAX);
	config_print_value(k, base, &value);
	s = buf_head(&value);
	n = buf_len(&value);
	if (n > 2 && s[0] == '"')
		buf_add(out, s + 1, n - 2);
	else if (n > 0)
		buf_add(out, s, n);
	out->error = out->error < 0 ? out->error : buf_error(&value);
	buf_done(&value);
}

/* Tell of a key that differs.  Lists are not shown: env may hold secrets. */
static void
tell_key(struct differ *f, const struct pair *p, const struct config_key *k)
{
	struct buf b;

	begin(p, &b);
	buf_adds(&b, k->name);
	if (k->type == KEY_WORDS || k->type == KEY_OTHER) {
		buf_adds(&b, " changed");
	} else {
		buf_addc(&b, ' ');
		add_value(k, p->old, &b);
		buf_adds(&b, ARROW);
		add_value(k, p->new, &b);
	}
	add_change(f, &b);
}

static void
add_restart(struct differ *f, const char *key)
{
	const char **list;

	list = reallocarray(f->d->restart, f->d->n_restart + 1, sizeof(*list));
	if (list == NULL) {
		f->error = -ENOMEM;
		return;
	}
	f->d->restart = list;
	list[f->d->n_restart++] = key;
}

/* Compare by the table.  Returns what it takes to have the change. */
static enum config_fate
diff_keys(struct differ *f, const struct pair *p, const struct config_key *k)
{
	enum config_fate fate;

	fate = CONFIG_POOL_SAME;
	for (; k->name != NULL; k++) {
		if (config_same_value(k, p->old, p->new))
			continue;
		if (k->needs_restart) {
			add_restart(f, k->name);
			continue;
		}
		tell_key(f, p, k);
		if (k->in_worker)
			fate = CONFIG_POOL_REPLACE;
		else if (fate == CONFIG_POOL_SAME)
			fate = CONFIG_POOL_CHANGED;
	}
	return fate;
}

/* Accounts of the same name that have other ids by now. */
static void
diff_ids(struct differ *f)
{
	const struct config *a = f->old, *b = f->new;

	if (config_same_text(a->socket_group, b->socket_group) &&
	    a->socket_gid != b->socket_gid)
		add_restart(f, "socket_group");
	if (config_same_text(a->account.user, b->account.user) &&
	    !config_same_account(&a->account, &b->account))
		add_restart(f, "user");
}

static enum config_fate
diff_top(struct differ *f)
{
	struct pair top = {.old = f->old, .new = f->new};
	struct pair access = {"access", NULL, f->old, f->new};
	const struct config_key *k;
	enum config_fate fate;

	fate = diff_keys(f, &top, config_keys_top);
	diff_ids(f);
	for (k = config_keys_access; k->name != NULL; k++)
		if (!config_same_access(
			(const void *)((const char *)f->old + k->offset),
			(const void *)((const char *)f->new + k->offset)))
			tell_key(f, &access, k);
	return fate == CONFIG_POOL_REPLACE ? fate : CONFIG_POOL_SAME;
}

static bool
same_take(const struct differ *f, const struct config_take *a,
    const struct config_take *b)
{
	return a->weight == b->weight &&
	       strcmp(f->old->queues[a->queue].name,
		   f->new->queues[b->queue].name) == 0;
}

static void
add_take(const struct config *c, const struct config_pool *pool, struct buf *b)
{
	const struct config_take *t;
	size_t i;

	for (i = 0; i < pool->n_take; i++) {
		t = &pool->take[i];
		buf_printf(
		    b, "%s%s", i == 0 ? "" : ", ", c->queues[t->queue].name);
		if (t->weight != 1)
			buf_printf(b, ":%u", t->weight);
	}
}

static enum config_fate
diff_take(struct differ *f, const struct pair *p)
{
	const struct config_pool *a = p->old, *b = p->new;
	size_t i, j, n_found, n_placed;
	struct buf text;

	n_found = n_placed = 0;
	for (i = 0; i < a->n_take; i++)
		for (j = 0; j < b->n_take; j++)
			if (same_take(f, &a->take[i], &b->take[j])) {
				n_found++;
				n_placed += i == j;
			}
	if (n_placed == a->n_take && n_placed == b->n_take)
		return CONFIG_POOL_SAME;
	if (n_found == a->n_take && n_found == b->n_take) {
		tell(f, p, "queues reordered");
		return CONFIG_POOL_CHANGED;
	}
	begin(p, &text);
	buf_adds(&text, "queues ");
	add_take(f->old, a, &text);
	buf_adds(&text, ARROW);
	add_take(f->new, b, &text);
	add_change(f, &text);
	return CONFIG_POOL_CHANGED;
}

static void
tell_command(struct differ *f, const struct pair *p,
    const struct config_command *command, const char *what)
{
	struct buf b;

	begin(p, &b);
	buf_printf(&b, "command \"%s\" %s", command->name, what);
	add_change(f, &b);
}

static const struct config_command *
find_command(const struct config_pool *pool, const char *name)
{
	size_t i;

	for (i = 0; i < pool->n_commands; i++)
		if (strcmp(pool->commands[i].name, name) == 0)
			return &pool->commands[i];
	return NULL;
}

static bool
same_command(const struct config_command *a, const struct config_command *b)
{
	const struct config_key *k;

	for (k = config_keys_command; k->name != NULL; k++)
		if (!config_same_value(k, a, b))
			return false;
	return true;
}

static enum config_fate
diff_commands(struct differ *f, const struct pair *p)
{
	const struct config_pool *a = p->old, *b = p->new;
	const struct config_command *other;
	size_t i, n;

	n = f->d->n_changes;
	for (i = 0; i < a->n_commands; i++)
		if (find_command(b, a->commands[i].name) == NULL)
			tell_command(f, p, &a->commands[i], "removed");
	for (i = 0; i < b->n_commands; i++) {
		other = find_command(a, b->commands[i].name);
		if (other == NULL)
			tell_command(f, p, &b->commands[i], "added");
		else if (!same_command(other, &b->commands[i]))
			tell_command(f, p, &b->commands[i], "changed");
	}
	return n == f->d->n_changes ? CONFIG_POOL_SAME : CONFIG_POOL_REPLACE;
}

static enum config_fate
diff_account(struct differ *f, const struct pair *p)
{
	const struct config_pool *a = p->old, *b = p->new;

	if (!config_same_text(a->account.user, b->account.user) ||
	    !config_same_text(a->account.group, b->account.group) ||
	    config_same_account(&a->account, &b->account))
		return CONFIG_POOL_SAME; /* or told already */
	tell(f, p, "its user or group has other ids");
	return CONFIG_POOL_REPLACE;
}

static enum config_fate
worse(enum config_fate a, enum config_fate b)
{
	return a > b ? a : b;
}

static enum config_fate
diff_pool(struct differ *f, const struct config_pool *new)
{
	struct pair p = {"pool", new->name, NULL, new};
	enum config_fate fate;

	p.old = config_find_pool(f->old, new->name);
	if (p.old == NULL) {
		tell(f, &p, "added");
		return CONFIG_POOL_ADDED;
	}
	fate = diff_keys(f, &p, config_keys_pool);
	fate = worse(fate, diff_take(f, &p));
	fate = worse(fate, diff_commands(f, &p));
	return worse(fate, diff_account(f, &p));
}

static void
diff_pools(struct differ *f, enum config_fate all)
{
	struct pair p = {.kind = "pool"};
	size_t i;

	for (i = 0; i < f->new->n_pools; i++)
		f->d->pools[i] = worse(all, diff_pool(f, &f->new->pools[i]));
	for (i = 0; i < f->old->n_pools; i++) {
		p.name = f->old->pools[i].name;
		if (config_find_pool(f->new, p.name) == NULL)
			tell(f, &p, "removed");
	}
}

static void
diff_queues(struct differ *f)
{
	struct pair p = {.kind = "queue"};
	size_t i;

	for (i = 0; i < f->new->n_queues; i++) {
		p.name = f->new->queues[i].name;
		p.new = &f->new->queues[i];
		p.old = config_find_queue(f->old, p.name);
		if (p.old == NULL)
			tell(f, &p, "added");
		else
			(void)diff_keys(f, &p, config_keys_queue);
	}
	for (i = 0; i < f->old->n_queues; i++) {
		p.name = f->old->queues[i].name;
		if (config_find_queue(f->new, p.name) == NULL)
			tell(f, &p, "removed");
	}
}

int
config_diff(
    const struct config *old, const struct config *new, struct config_diff *out)
{
	struct differ f = {.old = old, .new = new, .d = out};

	memset(out, 0, sizeof(*out));
	out->pools = calloc(new->n_pools + 1, sizeof(*out->pools));
	if (out->pools == NULL)
		return -ENOMEM;
	diff_pools(&f, diff_top(&f));
	diff_queues(&f);
	if (f.error < 0)
		config_diff_done(out);
	return f.error;
}

void
config_diff_done(struct config_diff *d)
{
	size_t i;

	for (i = 0; i < d->n_changes; i++)
		free(d->changes[i]);
	free(d->changes);
	free(d->restart);
	free(d->pools);
	memset(d, 0, sizeof(*d));
}

static int
keep_text(char **field, const char *old)
{
	char *copy;

	copy = old == NULL ? NULL : strdup(old);
	if (copy == NULL && old != NULL)
		return -ENOMEM;
	free(*field);
	*field = copy;
	return 0;
}

/* Take over the field of one key. */
static int
keep_value(
    const struct config_key *k, struct config *new, const struct config *old)
{
	void *to = (char *)new + k->offset;
	const void *from = (const char *)old + k->offset;

	if (k->type == KEY_TEXT)
		return keep_text(to, *(char *const *)from);
	if (k->type == KEY_MODE)
		memcpy(to, from, sizeof(mode_t));
	else if (k->type == KEY_SIZE)
		memcpy(to, from, sizeof(uint64_t));
	else
		assert(!"a type of keys that need a restart");
	return 0;
}

int
config_keep(struct config *new, const struct config *old)
{
	const struct config_key *k;
	int r;

	r = 0;
	for (k = config_keys_top; k->name != NULL && r == 0; k++)
		if (k->needs_restart)
			r = keep_value(k, new, old);
	new->account.uid = old->account.uid;
	new->account.gid = old->account.gid;
	new->socket_gid = old->socket_gid;
	return r;
}
