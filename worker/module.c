/* SPDX-License-Identifier: ISC */
/*
 * module.c - the task modules of a worker
 *
 * The ABI number is the first member of struct ganger_module in every version,
 * so it is looked at before anything else of a module is.
 */
#include "worker/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "worker/modules/builtin.h"

#define MODULE_SYMBOL "ganger_module"

/* Open the shared object at path.  NULL: a mistake was told. */
static const struct ganger_module *
load(const char *path, struct buf *mistakes)
{
	const struct ganger_module *def;
	void *handle;

	handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (handle == NULL) {
		buf_printf(mistakes, "%s: cannot load: %s\n", path, dlerror());
		return NULL;
	}
	def = dlsym(handle, MODULE_SYMBOL);
	if (def == NULL) {
		buf_printf(mistakes, "%s: exports no symbol %s\n", path,
		    MODULE_SYMBOL);
		return NULL;
	}
	if (def->abi != GANGER_MODULE_ABI) {
		buf_printf(mistakes,
		    "%s: has module ABI %d, this gangerd has %d\n", path,
		    def->abi, GANGER_MODULE_ABI);
		return NULL;
	}
	if (def->handlers == NULL) {
		buf_printf(mistakes, "%s: has no table of handlers\n", path);
		return NULL;
	}
	return def;
}

static void
add(struct modules *ms, const char *origin, const struct ganger_module *def)
{
	ms->items[ms->n].origin = origin;
	ms->items[ms->n].def = def;
	ms->n++;
}

int
modules_load(
    struct modules *ms, const struct worker_settings *s, struct buf *mistakes)
{
	const struct ganger_module *def;
	size_t i, n_bad;

	memset(ms, 0, sizeof(*ms));
	ms->items = calloc(s->n_modules + 2, sizeof(*ms->items));
	if (ms->items == NULL)
		return -ENOMEM;
	add(ms, MODULE_BUILTIN, &builtin_module);
	if (s->debug_handlers)
		add(ms, MODULE_BUILTIN, &builtin_debug_module);
	n_bad = 0;
	for (i = 0; i < s->n_modules; i++) {
		def = load(s->modules[i], mistakes);
		if (def != NULL)
			add(ms, s->modules[i], def);
		else
			n_bad++;
	}
	return n_bad > 0 ? -EINVAL : 0;
}

void
modules_done(struct modules *ms)
{
	if (ms == NULL)
		return;
	free(ms->items);
	memset(ms, 0, sizeof(*ms));
}

/* Run the done hooks of the first n modules, the last one first. */
static void
stop_first(const struct modules *ms, size_t n)
{
	while (n-- > 0)
		if (ms->items[n].def->done != NULL)
			ms->items[n].def->done();
}

static void
stop_thread_first(const struct modules *ms, size_t n)
{
	while (n-- > 0)
		if (ms->items[n].def->thread_done != NULL)
			ms->items[n].def->thread_done();
}

/* A hook's answer as a negative errno value, whatever it returned. */
static int
hook_error(int r)
{
	return r < 0 ? r : -EINVAL;
}

int
modules_start(const struct modules *ms, const struct module **failed_out)
{
	size_t i;
	int r;

	for (i = 0; i < ms->n; i++) {
		r = ms->items[i].def->init == NULL ? 0
						   : ms->items[i].def->init();
		if (r == 0)
			continue;
		stop_first(ms, i);
		*failed_out = &ms->items[i];
		return hook_error(r);
	}
	return 0;
}

void
modules_stop(const struct modules *ms)
{
	stop_first(ms, ms->n);
}

int
modules_start_thread(const struct modules *ms, const struct module **failed_out)
{
	const struct ganger_module *def;
	size_t i;
	int r;

	for (i = 0; i < ms->n; i++) {
		def = ms->items[i].def;
		r = def->thread_init == NULL ? 0 : def->thread_init();
		if (r == 0)
			continue;
		stop_thread_first(ms, i);
		*failed_out = &ms->items[i];
		return hook_error(r);
	}
	return 0;
}

void
modules_stop_thread(const struct modules *ms)
{
	stop_thread_first(ms, ms->n);
}
