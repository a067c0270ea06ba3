/* SPDX-License-Identifier: ISC */
/*
 * bulk.h - change tasks that are named by their ids
 */
#ifndef GANGER_BROKER_BULK_H
#define GANGER_BROKER_BULK_H

#include <stddef.h>
#include <stdint.h>

#include "master/broker/change.h"
#include "master/broker/conn.h"

/*
 * Change n tasks and answer call, which is taken, once the store has kept that;
 * ids and c are borrowed.  All of them are found before the first is changed:
 * an id that nobody knows changes nothing.
 */
void bulk_start(struct broker *b, struct call *call, const struct change *c,
    const uint64_t *ids, size_t n);

#endif
