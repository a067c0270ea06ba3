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
#include "master/supervisor/config_key.h"
#include "master/supervisor/config_mistake.h"
#include "master/supervisor/config_parse.h"
#include "master/supervisor/config_pool.h"
#include "master/supervisor/config_read.h"

/* Fill t from the file and the overrides, all of which are looked at. */
static int
parse(struct config_tree *t, const char *path, const char *const *overrides,
    size_t n_overrides)
{
	size_t i;
	int r;

	r = path == NULL ? 0 : config_tree_read(t, path);
	for (i = 0; i < n_overrides && (r == 0 || r == -EINVAL); i++)
		if (config_tree_override(t, overrides[i]) == -ENOMEM)
			r = -ENOMEM;
	return r;
}

/* Fill c, which is zero. */
static int
load(struct config *c, const char *path, const char *const *overrides,
    size_t n_overrides, struct config_mistakes *m, struct config_tree *t)
{
	int r;

	if (path != NULL) {
		c->path = strdup(path);
		if (c->path == NULL)
			return -ENOMEM;
	}
	r = parse(t, path, overrides, n_overrides);
	return r < 0 ? r : config_read(c, t, m);
}

int
config_load(const char *path, const char *const *overrides, size_t n_overrides,
    struct config **out, struct buf *mistakes_out)
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
		r = load(c, path, overrides, n_overrides, &m, t);
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
