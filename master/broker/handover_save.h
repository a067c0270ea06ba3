/* SPDX-License-Identifier: ISC */
/*
 * handover_save.h - the whole state of a broker as records
 *
 * In this order: "broker", the head; "held", settings that pools which leave
 * were in, oldest first; "settings"; "counts"; for each pool "pool", and for
 * each of its shifts "shift" with a "chan" for each worker; "queue"; "task",
 * those that are ready in their order, then all others; "ended", those that are
 * kept; for each client "conn" with its "batch"es and "call"s; "ask"; "end".
 * A call that waits for tasks which ended and which are kept no more has them
 * in front, as "loose".
 */
#ifndef GANGER_BROKER_HANDOVER_SAVE_H
#define GANGER_BROKER_HANDOVER_SAVE_H

#include "master/broker/broker.h"
#include "master/broker/handover_out.h"

/* Raised when an older gangerd could not read the state any more. */
#define HANDOVER_VERSION 1

/* True when every open call, order and answer can be handed over. */
bool handover_is_at_rest(const struct broker *b);

/*
 * Write it all; b is at rest and nothing of it changes, but for the numbers of
 * batches.  0, or -errno: memory is short.
 */
int handover_save(struct broker *b, struct handover_out *o);

#endif
