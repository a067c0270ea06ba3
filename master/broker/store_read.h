/* SPDX-License-Identifier: ISC */
/*
 * store_read.h - carry out what a batch asks for
 */
#ifndef GANGER_BROKER_STORE_READ_H
#define GANGER_BROKER_STORE_READ_H

#include "master/broker/store_batch.h"
#include "master/broker/store_db.h"

/* c->err and what belongs to its kind tell what has come of it. */
void store_read(struct store_db *d, struct store_call *c);

#endif
