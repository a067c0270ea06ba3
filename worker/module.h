/* SPDX-License-Identifier: ISC */
/*
 * module.h - the task modules of a worker: loading, and their hooks
 *
 * The built-in modules come first and are always there.  Shared objects are
 * never unloaded: a process that refuses one is about to exit.
 */
#ifndef GANGER_WORKER_MODULE_H
#define GANGER_WORKER_MODULE_H

#include <stddef.h>

#include "ipc/buf.h"
#include "worker/handler.h"
#include "worker/settings.h"

struct module {
	const char *origin; /* borrowed: its path, or MODULE_BUILTIN */
	const struct ganger_module *def;
};

#define MODULE_BUILTIN "the built-in tasks"

struct modules {
	struct module *items; /* owned */
	size_t n;
};

/*
 * Load what s names.  A module that is no good is left out, and a line that
 * says why goes to mistakes.  0, -EINVAL (there were mistakes) or -ENOMEM; the
 * caller calls modules_done in each case.  s is borrowed until then.
 */
int modules_load(
    struct modules *ms, const struct worker_settings *s, struct buf *mistakes);
void modules_done(struct modules *ms);

/*
 * Run the init hooks, in order.  The first that fails ends it: its error, a
 * negative errno value, is returned and its module lent in *failed_out; the
 * done hooks of those before have then been run.
 */
int modules_start(const struct modules *ms, const struct module **failed_out);

/* Run the done hooks, in reverse order. */
void modules_stop(const struct modules *ms);

/* The same for the hooks of a thread, called in that thread. */
int modules_start_thread(
    const struct modules *ms, const struct module **failed_out);
void modules_stop_thread(const struct modules *ms);

#endif
