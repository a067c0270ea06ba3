/* SPDX-License-Identifier: ISC */
/*
 * check.c - could a worker with these settings start?
 */
#include "worker/check.h"

#include <errno.h>

#include "worker/module.h"
#include "worker/route.h"

int
worker_check(const struct worker_settings *s, struct buf *names_out,
    struct buf *mistakes_out)
{
	struct modules modules;
	struct routes routes;
	int r, r2;

	r = modules_load(&modules, s, mistakes_out);
	if (r == -ENOMEM)
		return r;
	/* Go on after a mistake, so that the names' mistakes are told too. */
	r2 = routes_build(&routes, &modules, s, mistakes_out);
	if (r == 0)
		r = r2;
	if (r == 0) {
		routes_write_names(&routes, names_out);
		r = buf_error(names_out);
	}
	routes_done(&routes);
	modules_done(&modules);
	return r;
}
