/* SPDX-License-Identifier: ISC */
/*
 * config.c - the daemon's configuration, read and checked
 *
 * Text becomes a tree of words (config_parse), and that a struct config
 * (config_read); the tree is gone when loading is done.
 */
#include "master/supervisor/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "master/supervisor/config_account.h"
#include "master/supervisor/config_field.h"
#include "master/supervisor/config_ids.h"
#include "master/supervisor/config_key.h"
#include "master/supervisor/config_mistake.h"
#include "master/supervisor/config_parse.h"
#include "master/supervisor/config_pool.h"
#include "master/supervisor/config_read.h"

/* Where a configuration comes from. */
struct source {
	const char *path;               /* NULL: no file */
	const struct config_text *text; /* instead of the file's; or NULL */
	const char *const *overrides;
	size_t n_overrides;
};

/* Fill t from the source; all overrides are looked at. */
static int
parse(struct config_tree *t, const struct source *s)
{
	size_t i;
	int r;

	r = 0;
	if (s->text != NULL)
		r = config_tree_parse(t, s->path, s->text->text, s->text->len);
	else if (s->path != NULL)
		r = config_tree_read(t, s->path);
	for (i = 0; i < s->n_overrides && (r == 0 || r == -EINVAL); i++)
		if (config_tree_override(t, s->overrides[i]) == -ENOMEM)
			r = -ENOMEM;
	return r;
}

/* Fill c, which is zero. */
static int
fill(struct config *c, const struct source *s, struct config_mistakes *m,
    struct config_tree *t)
{
	int r;

	if (s->path != NULL) {
		c->path = strdup(s->path);
		if (c->path == NULL)
			return -ENOMEM;
	}
	c->lookup = s->text == NULL || s->text->ids == NULL;
	r = parse(t, s);
	if (r == 0)
		r = config_read(c, t, m);
	if (r == 0 && s->text != NULL && !c->lookup && m->n == 0)
		r = config_ids_take(c, s->text->ids);
	return r;
}

static int
load(const struct source *s, struct config **out, struct buf *mistakes_out)
{
	struct config_mistakes m;
	struct config_tree *t;
	struct config *c;
	int r;

	t = NULL;
	config_mistakes_init(&m);
	c = calloc(1, sizeof(*c));
	r = c == NULL ? -ENOMEM : config_tree_new(&m, &t);
	if (r == 0)
		r = fill(c, s, &m, t);
	if (r == 0)
		r = m.n > 0 ? -EINVAL : m.error;
	if (r != -ENOMEM)
		config_mistakes_tell(&m, mistakes_out);
	config_mistakes_done(&m);
	config_tree_free(&t);
	if (r < 0)
		config_free(&c);
	else
		*out = c;
	return r;
}

int
config_load(const char *path, const char *const *overrides, size_t n_overrides,
    struct config **out, struct buf *mistakes_out)
{
	const struct source s = {
	    .path = path,
	    .overrides = overrides,
	    .n_overrides = n_overrides,
	};

	return load(&s, out, mistakes_out);
}

int
config_load_text(const struct config_text *text, struct config **out,
    struct buf *mistakes_out)
{
	const struct source s = {.path = text->path, .text = text};

	return load(&s, out, mistakes_out);
}

void
config_free(struct config **cp)
{
	struct config *c;
	size_t i;

	c = *cp;
	*cp = NULL;
	if (c == NULL)
		return;
	config_pools_free(c);
	for (i = 0; i < CONFIG_N_CLASSES; i++)
		config_access_free(&c->access[i]);
	config_fields_free(config_keys_top, c);
	free(c->path);
	free(c);
}

const struct config_pool *
config_find_pool(const struct config *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->n_pools; i++)
		if (strcmp(c->pools[i].name, name) == 0)
			return &c->pools[i];
	return NULL;
}

const struct config_queue *
config_find_queue(const struct config *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->n_queues; i++)
		if (strcmp(c->queues[i].name, name) == 0)
			return &c->queues[i];
	return NULL;
}

bool
config_pool_scales(const struct config_pool *pool)
{
	return pool->min_processes < pool->max_processes;
}

struct config_account
config_account_of(const struct config *c, const struct config_pool *pool)
{
	struct config_account a;

	a = c->account;
	if (pool != NULL && pool->account.user != NULL)
		a = pool->account;
	if (pool != NULL && pool->account.group != NULL) {
		a.group = pool->account.group;
		a.gid = pool->account.gid;
	}
	return a;
}
