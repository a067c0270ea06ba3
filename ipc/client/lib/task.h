/* SPDX-License-Identifier: ISC */
/*
 * task.h - the methods that most clients need, as functions
 */
#ifndef GANGER_CLIENT_TASK_H
#define GANGER_CLIENT_TASK_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/client/client.h"
#include "ipc/clock.h"

/*
 * ganger_client_wait until `due`; mode is task.wait's, or NULL for its usual
 * one.
 */
int task_wait(struct ganger_client *c, const uint64_t *ids, size_t n,
    const char *mode, struct mono due, json_t **result_out,
    struct ganger_error *err_out);

#endif
