/* SPDX-License-Identifier: ISC */
/*
 * handover_task.h - a task as a record
 */
#ifndef GANGER_BROKER_HANDOVER_TASK_H
#define GANGER_BROKER_HANDOVER_TASK_H

#include "master/broker/broker.h"
#include "master/broker/handover_in.h"
#include "master/broker/handover_out.h"
#include "master/broker/task.h"

/* Write t as a record of that type.  Who waits for it is not told. */
void handover_task_write(
    struct handover_out *o, const char *type, const struct task *t);

/*
 * Make a task of the record, with its kind, queue, lane and pool looked up, and
 * one reference; `until` says how long one that has ended is kept.  -EINVAL: it
 * makes no sense.  -ENOMEM.
 */
int handover_task_read(const struct handover_in *in, struct broker *b,
    struct task **out, struct mono *until_out);

/*
 * The same, and put it where it was: with the worker that runs it, or to wait,
 * or into the store.  The workers are there already.
 */
int handover_task_restore(const struct handover_in *in, struct broker *b);

#endif
