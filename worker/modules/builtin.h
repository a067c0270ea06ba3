/* SPDX-License-Identifier: ISC */
/*
 * builtin.h - the task modules that are linked into gangerd
 */
#ifndef GANGER_WORKER_MODULES_BUILTIN_H
#define GANGER_WORKER_MODULES_BUILTIN_H

#include "worker/handler.h"

/* In every worker. */
extern const struct ganger_module builtin_module;

/* Only where the configuration asks for them: they do harm. */
extern const struct ganger_module builtin_debug_module;

#endif
