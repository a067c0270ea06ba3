/* SPDX-License-Identifier: ISC */
/*
 * route.h - from a task's name to what runs it
 */
#ifndef GANGER_WORKER_ROUTE_H
#define GANGER_WORKER_ROUTE_H

#include <stddef.h>

#include "ipc/buf.h"
#include "worker/handler.h"
#include "worker/module.h"
#include "worker/settings.h"

/* One name.  Exactly one of run and command is set. */
struct route {
	const char *name;   /* borrowed from the module or the settings */
	const char *origin; /* borrowed; who gives the name, for messages */
	size_t order;       /* of declaration */
	ganger_handler_fn run;
	const struct worker_command *command; /* borrowed */
};

struct routes {
	struct route *items; /* owned; sorted by name, each name once */
	size_t n;
};

/*
 * Gather the names that the modules and the commands give.  A name that is bad
 * or given twice is left out, and a line that says why goes to mistakes.  0,
 * -EINVAL (there were mistakes) or -ENOMEM; the caller calls routes_done in
 * each case.  ms and s are borrowed until then.
 */
int routes_build(struct routes *rs, const struct modules *ms,
    const struct worker_settings *s, struct buf *mistakes);
void routes_done(struct routes *rs);

/* NULL: no such name. */
const struct route *routes_find(const struct routes *rs, const char *name);

/* Append the names as a JSON array, sorted. */
void routes_write_names(const struct routes *rs, struct buf *out);

#endif
