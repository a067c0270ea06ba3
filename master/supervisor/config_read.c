/* SPDX-License-Identifier: ISC */
/*
 * config_read.c - the meaning of a parsed tree
 *
 * Reading goes on after a mistake, so that all of them are told at once: a
 * wrong value is replaced by something that causes no further complaint.
 */
#include "master/supervisor/config_read.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "ipc/place.h"
#include "master/supervisor/config_account.h"
#include "master/supervisor/config_field.h"
#include "master/supervisor/config_pool.h"

/* A listener is bound under a name of that many bytes before its rename. */
#define BIND_NAME_MAX 10

struct reader {
	struct config *c;
	const struct config_tree *t; /* borrowed */
	struct cfg_t *root;          /* borrowed from t */
	struct config_mistakes *m;   /* borrowed */
};

/* Where the top-level key is set, or the file as a whole. */
static struct config_place
place_of_key(const struct reader *rd, const char *key)
{
	const struct config_word *w;
	struct config_place at;

	w = config_word_get(rd->root, key, 0);
	if (w != NULL)
		return w->at;
	config_tree_place(rd->t, &at);
	return at;
}

static void
check_socket(const struct reader *rd)
{
	const char *path;
	struct config_place at;
	size_t folder, len, max;

	path = rd->c->socket;
	len = strlen(path);
	folder = (size_t)(strrchr(path, '/') + 1 - path);
	max = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1;
	at = place_of_key(rd, "socket");
	if (path[len - 1] == '/')
		config_mistakes_add(
		    rd->m, &at, "socket: \"%s\" is a folder", path);
	else if (len > max || folder + BIND_NAME_MAX > max)
		config_mistakes_add(rd->m, &at,
		    "socket: \"%s\" is too long for a socket, which takes %zu "
		    "bytes",
		    path, max);
}

/* Set the path of key from make unless the file has set it. */
static int
set_default_path(const struct reader *rd, const char *key,
    int (*make)(bool root, char **out), char **path)
{
	struct config_place at;
	int r;

	if (*path != NULL)
		return 0;
	r = make(geteuid() == 0, path);
	if (r != -ENOENT)
		return r;
	at = place_of_key(rd, key);
	config_mistakes_add(
	    rd->m, &at, "%s: there is no home folder for its default", key);
	*path = strdup("/");
	return *path == NULL ? -ENOMEM : 0;
}

static int
read_paths(const struct reader *rd)
{
	struct config *c;
	size_t n;
	int r;

	c = rd->c;
	n = rd->m->n;
	r = set_default_path(rd, "state_dir", place_state_dir, &c->state_dir);
	if (r == 0)
		r = set_default_path(rd, "socket", place_socket, &c->socket);
	if (r < 0)
		return r;
	if (rd->m->n == n)
		check_socket(rd);
	if (c->pidfile != NULL)
		return 0;
	n = strlen(c->state_dir) + sizeof("/gangerd.pid");
	c->pidfile = malloc(n);
	if (c->pidfile == NULL)
		return -ENOMEM;
	snprintf(c->pidfile, n, "%s/gangerd.pid", c->state_dir);
	return 0;
}

static int
read_access(const struct reader *rd)
{
	const struct config_key *k;
	struct cfg_t *section;
	int r;

	if (config_section_count(rd->root, "access") > 1)
		config_mistakes_add(rd->m,
		    config_section_place(
			config_section_get(rd->root, "access", 1)),
		    "there is a section \"access\" already");
	section = config_section_get(rd->root, "access", 0);
	r = 0;
	for (k = config_keys_access; k->name != NULL && r == 0; k++)
		r = config_access_read(rd->c, k, section, rd->m);
	return r;
}

static int
read_top(const struct reader *rd)
{
	struct config *c;
	int r;

	c = rd->c;
	r = config_fields_read(config_keys_top, rd->root, c, rd->m);
	if (r == 0)
		r = read_paths(rd);
	if (r < 0)
		return r;
	config_account_resolve(c, &c->account, rd->root, rd->m);
	config_account_resolve_socket(c, rd->root, rd->m);
	return read_access(rd);
}

int
config_read(
    struct config *c, const struct config_tree *t, struct config_mistakes *m)
{
	struct reader rd = {.c = c, .t = t, .m = m};
	int r;

	rd.root = config_tree_root(t);
	r = read_top(&rd);
	if (r == 0)
		r = config_pools_read(c, rd.root, m);
	return r;
}
