/* SPDX-License-Identifier: ISC */
/*
 * handover_count.h - what the broker has counted, as records
 */
#ifndef GANGER_BROKER_HANDOVER_COUNT_H
#define GANGER_BROKER_HANDOVER_COUNT_H

#include "master/broker/broker.h"
#include "master/broker/handover_in.h"
#include "master/broker/handover_out.h"

/* Write one "counts" for the broker and a "queue" for each queue. */
void handover_count_save(const struct broker *b, struct handover_out *o);

/* Take up such a record.  -EINVAL, -ENOMEM. */
int handover_count_load(struct broker *b, const struct handover_in *in);
int handover_count_load_queue(struct broker *b, const struct handover_in *in);

#endif
