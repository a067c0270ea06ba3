/* SPDX-License-Identifier: ISC */
/*
 * config_pool.c - the pools, commands and queues of a parsed tree
 *
 * Queues with a section come first, in file order, and then those that are only
 * named by a pool.  A thing is counted in its array before it is filled, so
 * that config_pools_free finds all of it after a failure.
 */
#include "master/supervisor/config_pool.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/proto.h"
#include "master/supervisor/config_account.h"
#include "master/supervisor/config_check.h"
#include "master/supervisor/config_field.h"
#include "master/supervisor/config_parse.h"
#include "master/supervisor/config_value.h"

#define DEFAULT_POOL "default"

static void
check_name(struct cfg_t *section, const char *kind, bool colon,
    struct config_mistakes *m)
{
	const char *name;

	name = config_section_title(section);
	if (!value_is_name(name, strlen(name), colon))
		config_mistakes_add(m, config_section_place(section),
		    "%s \"%s\": a name is 1 to %d of A-Z a-z 0-9 _ . -%s", kind,
		    name, PROTO_NAME_MAX, colon ? " :" : "");
}

/* Add a queue with the keys of its section (NULL: all defaults). */
static int
add_queue(struct config *c, const char *name, size_t len, struct cfg_t *section,
    struct config_mistakes *m)
{
	struct config_queue *q;
	int r;

	q = reallocarray(c->queues, c->n_queues + 1, sizeof(*q));
	if (q == NULL)
		return -ENOMEM;
	c->queues = q;
	q += c->n_queues++;
	memset(q, 0, sizeof(*q));
	q->name = strndup(name, len);
	if (q->name == NULL)
		return -ENOMEM;
	r = config_fields_read(config_keys_queue, section, q, m);
	if (r == 0)
		config_check_timeouts(
		    section, q->soft_timeout_ms, q->timeout_ms, m);
	return r;
}

/* The index of the queue named by the first len bytes; n_queues: none. */
static size_t
find_queue(const struct config *c, const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < c->n_queues; i++)
		if (strncmp(c->queues[i].name, name, len) == 0 &&
		    c->queues[i].name[len] == '\0')
			break;
	return i;
}

static int
read_queues(struct config *c, struct cfg_t *root, struct config_mistakes *m)
{
	struct cfg_t *section;
	const char *name;
	size_t i, n;
	int r;

	n = config_section_count(root, "queue");
	r = 0;
	for (i = 0; i < n && r == 0; i++) {
		section = config_section_get(root, "queue", i);
		name = config_section_title(section);
		if (i == CONFIG_QUEUES_MAX) {
			config_mistakes_add(m, config_section_place(section),
			    "queue \"%s\": there are over %d queues", name,
			    CONFIG_QUEUES_MAX);
			break;
		}
		check_name(section, "queue", false, m);
		r = add_queue(c, name, strlen(name), section, m);
	}
	return r;
}

/* Find the queue that a word of "queues" names, or add it.  1: a mistake. */
static int
get_queue(struct config *c, const char *name, size_t len,
    const struct config_word *w, struct config_mistakes *m, size_t *index_out)
{
	size_t i;

	i = find_queue(c, name, len);
	if (i == CONFIG_QUEUES_MAX) {
		config_mistakes_add(m, &w->at,
		    "queues: \"%s\": there are over %d queues", name,
		    CONFIG_QUEUES_MAX);
		return 1;
	}
	*index_out = i;
	return i < c->n_queues ? 0 : add_queue(c, name, len, NULL, m);
}

static bool
pool_takes(const struct config_pool *p, size_t queue)
{
	size_t i;

	for (i = 0; i < p->n_take; i++)
		if (p->take[i].queue == queue)
			return true;
	return false;
}

/* Let p take what text, the word w or a default, names. */
static int
add_take(struct config *c, struct config_pool *p, const char *text,
    const struct config_word *w, struct config_mistakes *m)
{
	struct config_take *take;
	size_t len, queue;
	unsigned weight;
	int r;

	weight = 1;
	r = value_parse_take(text, &len, &weight);
	if (r == -EINVAL) {
		config_mistakes_add(m, &w->at,
		    "queues: \"%s\" is neither NAME nor NAME:WEIGHT", text);
		return 0;
	}
	if (r == -ERANGE) {
		config_mistakes_add(m, &w->at,
		    "queues: \"%s\": a weight is from 1 to %d", text,
		    VALUE_WEIGHT_MAX);
		len = strcspn(text, ":");
	}
	r = get_queue(c, text, len, w, m, &queue);
	if (r != 0)
		return r < 0 ? r : 0;
	if (pool_takes(p, queue)) {
		config_mistakes_add(m, &w->at, "queues: \"%s\" is there twice",
		    c->queues[queue].name);
		return 0;
	}
	take = &p->take[p->n_take++];
	take->queue = (unsigned)queue;
	take->weight = weight;
	return 0;
}

static int
read_take(struct config *c, struct config_pool *p, struct cfg_t *section,
    struct config_mistakes *m)
{
	const struct config_word *w;
	size_t i, n;
	int r;

	n = config_word_count(section, "queues");
	p->take = calloc(n + 1, sizeof(*p->take));
	if (p->take == NULL)
		return -ENOMEM;
	if (!config_section_has(section, "queues"))
		return add_take(c, p, "default", NULL, m);
	if (n == 0)
		config_mistakes_add(m, config_section_place(section),
		    "pool \"%s\": queues: needs at least one", p->name);
	r = 0;
	for (i = 0; i < n && r == 0; i++) {
		w = config_word_get(section, "queues", i);
		r = add_take(c, p, w->text, w, m);
	}
	return r;
}

/* True when s begins a place for arguments that no brace closes. */
static bool
is_open_place(const char *s)
{
	size_t n = strlen("{args");

	if (strncmp(s, "{args", n) != 0 || (s[n] != '.' && s[n] != '\0'))
		return false;
	n += strcspn(s + n, "{}");
	return s[n] != '}';
}

static void
check_places(const struct config_word *word, struct config_mistakes *m)
{
	const char *p;

	for (p = word->text; (p = strchr(p, '{')) != NULL; p++)
		if (is_open_place(p))
			config_mistakes_add(m, &word->at,
			    "argv: \"%s\": a \"}\" is missing", p);
}

static int
read_command(struct config_command *cmd, struct cfg_t *section,
    struct config_mistakes *m)
{
	size_t i;
	int r;

	check_name(section, "command", true, m);
	cmd->name = strdup(config_section_title(section));
	if (cmd->name == NULL)
		return -ENOMEM;
	r = config_fields_read(config_keys_command, section, cmd, m);
	if (r < 0)
		return r;
	if (cmd->n_argv == 0)
		config_mistakes_add(m, config_section_place(section),
		    "command \"%s\": argv: needs at least a program",
		    cmd->name);
	else if (cmd->argv[0][0] == '\0')
		config_mistakes_add(m, &config_word_get(section, "argv", 0)->at,
		    "argv: \"\" is not a program");
	for (i = 0; i < cmd->n_argv; i++)
		check_places(config_word_get(section, "argv", i), m);
	return 0;
}

static int
read_commands(
    struct config_pool *p, struct cfg_t *section, struct config_mistakes *m)
{
	size_t n;
	int r;

	n = config_section_count(section, "command");
	p->commands = calloc(n + 1, sizeof(*p->commands));
	if (p->commands == NULL)
		return -ENOMEM;
	for (r = 0; p->n_commands < n && r == 0; p->n_commands++)
		r = read_command(&p->commands[p->n_commands],
		    config_section_get(section, "command", p->n_commands), m);
	return r;
}

/* Fill the pool from its section; NULL: the default pool. */
static int
read_pool(struct config *c, struct config_pool *p, struct cfg_t *section,
    struct config_mistakes *m)
{
	int r;

	if (section != NULL)
		check_name(section, "pool", false, m);
	p->name = strdup(
	    section == NULL ? DEFAULT_POOL : config_section_title(section));
	if (p->name == NULL)
		return -ENOMEM;
	r = config_fields_read(config_keys_pool, section, p, m);
	if (r < 0)
		return r;
	config_check_pool(p, section, m);
	config_account_resolve(c, &p->account, section, m);
	r = read_take(c, p, section, m);
	return r < 0 ? r : read_commands(p, section, m);
}

static int
read_pools(struct config *c, struct cfg_t *root, struct config_mistakes *m)
{
	struct cfg_t *section;
	size_t i, n;
	int r;

	n = config_section_count(root, "pool");
	c->pools = calloc(n + 1, sizeof(*c->pools));
	if (c->pools == NULL)
		return -ENOMEM;
	if (n == 0)
		return read_pool(c, &c->pools[c->n_pools++], NULL, m);
	r = 0;
	for (i = 0; i < n && r == 0; i++) {
		section = config_section_get(root, "pool", i);
		if (i == CONFIG_POOLS_MAX) {
			config_mistakes_add(m, config_section_place(section),
			    "pool \"%s\": there are over %d pools",
			    config_section_title(section), CONFIG_POOLS_MAX);
			break;
		}
		r = read_pool(c, &c->pools[c->n_pools++], section, m);
	}
	return r;
}

/* Find the queues with a section that no pool takes. */
static void
check_queues(
    const struct config *c, struct cfg_t *root, struct config_mistakes *m)
{
	size_t i, j, n;

	n = config_section_count(root, "queue");
	for (i = 0; i < n && i < c->n_queues; i++) {
		for (j = 0; j < c->n_pools; j++)
			if (pool_takes(&c->pools[j], i))
				break;
		if (j == c->n_pools)
			config_mistakes_add(m,
			    config_section_place(
				config_section_get(root, "queue", i)),
			    "queue \"%s\": no pool takes it",
			    c->queues[i].name);
	}
}

int
config_pools_read(
    struct config *c, struct cfg_t *root, struct config_mistakes *m)
{
	int r;

	r = read_queues(c, root, m);
	if (r == 0)
		r = read_pools(c, root, m);
	if (r == 0)
		check_queues(c, root, m);
	return r;
}

static void
free_pool(struct config_pool *p)
{
	size_t i;

	for (i = 0; i < p->n_commands; i++) {
		free(p->commands[i].name);
		config_fields_free(config_keys_command, &p->commands[i]);
	}
	free(p->commands);
	free(p->take);
	free(p->name);
	config_fields_free(config_keys_pool, p);
}

void
config_pools_free(struct config *c)
{
	size_t i;

	for (i = 0; i < c->n_pools; i++)
		free_pool(&c->pools[i]);
	free(c->pools);
	for (i = 0; i < c->n_queues; i++) {
		free(c->queues[i].name);
		config_fields_free(config_keys_queue, &c->queues[i]);
	}
	free(c->queues);
}
