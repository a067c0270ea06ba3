/* SPDX-License-Identifier: ISC */
/*
 * crash.h - task crash: {signal?} or {exit?} → the end of the worker process
 *
 * Without them: SIGSEGV.  Only where the configuration has debug_handlers.
 */
#ifndef GANGER_WORKER_MODULES_CRASH_H
#define GANGER_WORKER_MODULES_CRASH_H

#include "worker/handler.h"

json_t *crash_run(struct ganger_task *task, json_t *args);

#endif
