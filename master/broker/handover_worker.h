/* SPDX-License-Identifier: ISC */
/*
 * handover_worker.h - the pools and their workers as records
 */
#ifndef GANGER_BROKER_HANDOVER_WORKER_H
#define GANGER_BROKER_HANDOVER_WORKER_H

#include "master/broker/broker.h"
#include "master/broker/chan.h"
#include "master/broker/handover_in.h"
#include "master/broker/handover_out.h"

/* Write the "pool"s with their "shift"s, and these with their "chan"s. */
void handover_worker_save(const struct broker *b, struct handover_out *o);

/* Where the loading is. */
struct handover_workers {
	struct crew *crew;
	struct shift *shift;
};

/*
 * Take up such a record; the settings are in force already.  -EINVAL, -ENOMEM,
 * -E2BIG.
 */
int handover_worker_load_pool(struct broker *b, const struct handover_in *in,
    struct handover_workers *at);
int handover_worker_load_shift(struct broker *b, const struct handover_in *in,
    struct handover_workers *at);
int handover_worker_load_chan(struct broker *b, const struct handover_in *in,
    struct handover_workers *at);

#endif
