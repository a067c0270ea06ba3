/* SPDX-License-Identifier: ISC */
/*
 * fail.h - task fail: {message?, code?, retryable?} → a failure like that
 *
 * Without them: code 1, not retryable.
 */
#ifndef GANGER_WORKER_MODULES_FAIL_H
#define GANGER_WORKER_MODULES_FAIL_H

#include "worker/handler.h"

json_t *fail_run(struct ganger_task *task, json_t *args);

#endif
