/* SPDX-License-Identifier: ISC */
/*
 * sleep.h - task sleep: {ms}, {seconds} or a number of seconds → {slept_ms}
 *
 * A cancel wakes it.
 */
#ifndef GANGER_WORKER_MODULES_SLEEP_H
#define GANGER_WORKER_MODULES_SLEEP_H

#include "worker/handler.h"

json_t *sleep_run(struct ganger_task *task, json_t *args);

#endif
