/* SPDX-License-Identifier: ISC */
/*
 * store_found.h - count what is in a database
 */
#ifndef GANGER_BROKER_STORE_FOUND_H
#define GANGER_BROKER_STORE_FOUND_H

#include "master/broker/store_db.h"
#include "master/broker/store_sqlite.h"

/*
 * Fill in what waits, by bands, and d's counts of the open transaction.  found
 * is the caller's to release, also on an error.
 */
int store_found_fill(struct store_db *d, struct store_found *found);

#endif
