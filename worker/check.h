/* SPDX-License-Identifier: ISC */
/*
 * check.h - could a worker with these settings start?
 */
#ifndef GANGER_WORKER_CHECK_H
#define GANGER_WORKER_CHECK_H

#include "ipc/buf.h"
#include "worker/settings.h"

/*
 * Load the modules and gather the names as a worker would, without running a
 * hook.  Shared objects may do anything while they load and stay loaded, so
 * this is for a process that is about to exit.
 *
 * 0: the names, sorted, are appended to names_out as a JSON array.  -EINVAL:
 * every mistake is appended to mistakes_out, a line each.  -ENOMEM.
 */
int worker_check(const struct worker_settings *s, struct buf *names_out,
    struct buf *mistakes_out);

#endif
