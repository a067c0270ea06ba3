/* SPDX-License-Identifier: ISC */
/*
 * store_tidy.h - let go of what is over: rows, space, the write-ahead log
 */
#ifndef GANGER_BROKER_STORE_TIDY_H
#define GANGER_BROKER_STORE_TIDY_H

#include "master/broker/store_batch.h"
#include "master/broker/store_db.h"

/*
 * Within a transaction that writes n rows: drop rows whose time is over, about
 * as many.
 */
int store_tidy_along(struct store_db *d, size_t n);

/*
 * A step of some ms in transactions of its own: drop rows whose time is over,
 * shrink the file when much of it is free.  1: there is more to do.
 */
int store_tidy_step(struct store_db *d);

/* True when so much of the file is free, as last measured, that it shrinks. */
bool store_tidy_is_roomy(const struct store_db *d);

/* Bring the write-ahead log into the database when it has grown long. */
void store_tidy_log(struct store_db *d);

#endif
