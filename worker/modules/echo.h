/* SPDX-License-Identifier: ISC */
/*
 * echo.h - task echo: args → the same value
 */
#ifndef GANGER_WORKER_MODULES_ECHO_H
#define GANGER_WORKER_MODULES_ECHO_H

#include "worker/handler.h"

json_t *echo_run(struct ganger_task *task, json_t *args);

#endif
