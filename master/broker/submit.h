/* SPDX-License-Identifier: ISC */
/*
 * submit.h - make a task of what a client asks for
 */
#ifndef GANGER_BROKER_SUBMIT_H
#define GANGER_BROKER_SUBMIT_H

#include <stdbool.h>

#include "master/broker/broker.h"
#include "master/broker/params.h"

/*
 * The parameters of a task, and behind them that of task.call alone.
 */
#define SUBMIT_N_PARAMS 15
extern const struct param_def submit_params[SUBMIT_N_PARAMS + 1];

/*
 * Make a task of values v, read by submit_params, and let it enter.  durable is
 * what holds when the client does not say.  *out is borrowed.  -1, and *f says
 * why (fault_done it): draining, full, no such name or queue, out of memory.
 */
int submit_task(struct broker *b, const struct param *v, bool durable,
    struct task **out, struct fault *f);

/* Append {"id", "state", "duplicate"}, and "warning" where it can't start. */
void submit_add_answer(
    const struct broker *b, const struct task *t, struct buf *out);

/* Say that there is no such queue or task name, and which there are.  -1. */
int submit_no_queue(const struct broker *b, const char *name, struct fault *f);
int submit_no_name(const struct broker *b, const char *name, struct fault *f);

#endif
