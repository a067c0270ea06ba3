/* SPDX-License-Identifier: ISC */
/*
 * task_json.h - a task as clients see it
 */
#ifndef GANGER_BROKER_TASK_JSON_H
#define GANGER_BROKER_TASK_JSON_H

#include "ipc/buf.h"
#include "master/broker/task.h"

/* Append t as a task object. */
void task_add_json(const struct task *t, struct buf *out);

#endif
