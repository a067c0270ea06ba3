/* SPDX-License-Identifier: ISC */
/*
 * condemn.h - processes that have to be killed for one of their tasks
 *
 * A handler runs in a thread, which can't be ended but with its process.  The
 * other tasks in it are innocent: the process is fed no more, and they have a
 * grace to come to their ends.
 */
#ifndef GANGER_BROKER_CONDEMN_H
#define GANGER_BROKER_CONDEMN_H

#include <stdbool.h>

#include "master/broker/broker.h"
#include "master/broker/task.h"

/* t is over its time limit. */
void condemn_late(struct broker *b, struct task *t);

/* t, which is cancelled, is to end within the grace, or by force. */
void condemn_cancelled(struct broker *b, struct task *t);

/* t->kill_at has come. */
void condemn_carry_out(struct broker *b, struct task *t);

/* A run of c has ended: it may have nothing left to wait for, or be pardoned.
 */
void condemn_review(struct broker *b, struct chan *c);

/* For what c is or was killed, of the tasks that it has; NULL: for none. */
const char *condemn_reason(const struct chan *c);

#endif
