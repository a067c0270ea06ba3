/* SPDX-License-Identifier: ISC */
/*
 * config_schema.c - what libConfuse is told of the keys and sections
 *
 * Made from the tables of config_key.h, so that a key is named in one place.
 */
#include "master/supervisor/config_schema.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "master/supervisor/config_key.h"

#define KEYS_MAX 48 /* of one section, with those that are added here */

/* One set of options for libConfuse, ended by its zero. */
struct options {
	cfg_opt_t list[KEYS_MAX];
	size_t n;
};

static void
add_option(struct options *o, cfg_opt_t option)
{
	assert(o->n + 1 < KEYS_MAX);
	o->list[o->n++] = option;
}

static void
add_keys(struct options *o, const struct config_key *keys,
    cfg_callback_t on_value, cfg_func_t on_include)
{
	const struct config_key *k;

	for (k = keys; k->name != NULL; k++) {
		if (k->type == KEY_WORDS || k->type == KEY_OTHER)
			add_option(o, (cfg_opt_t)CFG_PTR_LIST_CB(k->name, NULL,
					  CFGF_NONE, on_value, free));
		else
			add_option(o, (cfg_opt_t)CFG_PTR_CB(k->name, NULL,
					  CFGF_NONE, on_value, free));
	}
	add_option(o, (cfg_opt_t)CFG_FUNC("include", on_include));
}

static void
add_section(struct options *o, const char *name, cfg_flag_t flags,
    struct options *inner, cfg_callback_t on_value)
{
	static char opened[] = "opened";

	add_option(inner, (cfg_opt_t)CFG_PTR_CB(CONFIG_OPENED_KEY, opened,
			      CFGF_NONE, on_value, free));
	add_option(o, (cfg_opt_t)CFG_SEC(name, inner->list, flags));
}

cfg_t *
config_schema_new(cfg_callback_t on_value, cfg_func_t on_include)
{
	const cfg_flag_t titled = CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES;
	struct options top, access, pool, command, queue;

	memset(&top, 0, sizeof(top));
	memset(&access, 0, sizeof(access));
	memset(&pool, 0, sizeof(pool));
	memset(&command, 0, sizeof(command));
	memset(&queue, 0, sizeof(queue));
	add_keys(&top, config_keys_top, on_value, on_include);
	add_keys(&access, config_keys_access, on_value, on_include);
	add_keys(&pool, config_keys_pool, on_value, on_include);
	add_keys(&command, config_keys_command, on_value, on_include);
	add_keys(&queue, config_keys_queue, on_value, on_include);
	/* Of several, so that it is made where it stands, like the others. */
	add_section(&top, "access", CFGF_MULTI, &access, on_value);
	add_section(&pool, "command", titled, &command, on_value);
	add_section(&top, "pool", titled, &pool, on_value);
	add_section(&top, "queue", titled, &queue, on_value);
	return cfg_init(top.list, CFGF_NONE);
}
