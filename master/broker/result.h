/* SPDX-License-Identifier: ISC */
/*
 * result.h - who waits for which task
 *
 * A waiter is one task.wait or task.call that is open.  It goes with its
 * client, its answer or its time, whichever is first, and never touches the
 * tasks that it waits for.
 */
#ifndef GANGER_BROKER_RESULT_H
#define GANGER_BROKER_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/clock.h"
#include "master/broker/broker.h"
#include "master/broker/conn.h"

struct waiter;

/*
 * Answer call when t, new or running, has ended: with the task, or an error
 * when it failed or timeout_ms (-1: none) passes.  Takes the call.
 */
void result_call(
    struct broker *b, struct call *call, struct task *t, int64_t timeout_ms);

/* The same by its id, also of one that has ended. */
void result_call_id(
    struct broker *b, struct call *call, uint64_t id, int64_t timeout_ms);

/*
 * Answer call once all of the n tasks have ended, or one of them if `any`, or
 * timeout_ms (-1: none) has passed.  Takes the call; ids is borrowed.
 */
void result_wait(struct broker *b, struct call *call, const uint64_t *ids,
    size_t n, bool any, int64_t timeout_ms);

/* t has ended: answer who waited for it. */
void result_ended(struct broker *b, struct task *t);

/*
 * t leaves memory: who waits for it goes on waiting for its id.  False: there
 * is no memory to note that.
 */
bool result_spill(struct broker *b, struct task *t);

/* t has become resident: who waits for its id waits for it. */
void result_adopt(struct broker *b, struct task *t);

/*
 * Tasks that should be on the disk are not there: tell who waits for one of
 * them, as far as there is memory for that.
 */
void result_review(struct broker *b);

/* t, new, was not kept (-errno): tell whose call it was. */
void result_refuse_task(struct broker *b, struct task *t, int err);

/* The client of this waiter is gone: free it. */
void result_drop(struct waiter *w);

/* A waiter as it is handed over, without what it waits for. */
struct result_state {
	bool is_call, any;
	struct mono deadline; /* ns 0: none */
	size_t n;             /* ids */
};

/* Look at a waiter that no look-up will come back to. */
void result_save(struct waiter *w, struct result_state *out);

/*
 * Look at one of its ids, i < n.  *ended_out is the task once it has ended,
 * lent, which nobody else may still know; NULL: it has not.
 */
uint64_t result_save_id(
    const struct waiter *w, size_t i, struct task **ended_out);

/*
 * Let call wait for its n ids again; ended[i] is the task of ids[i] if it has
 * ended.  Both are borrowed.  -ENOMEM: the caller keeps the call then.
 */
int result_restore(struct broker *b, struct call *call,
    const struct result_state *s, const uint64_t *ids,
    struct task *const *ended);

/* The broker leaves: answer everybody who still waits with an error. */
void result_refuse_all(struct broker *b);

#endif
