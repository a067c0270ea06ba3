/* SPDX-License-Identifier: ISC */
/*
 * store_recover.h - what a new broker does first with the database of an old
 * one
 */
#ifndef GANGER_BROKER_STORE_RECOVER_H
#define GANGER_BROKER_STORE_RECOVER_H

#include "master/broker/store_db.h"
#include "master/broker/store_sqlite.h"

/*
 * Set d's clock and, unless `resume`, right what the death of a broker has left
 * behind; then count what is there.  All in one transaction.  The caller owns
 * *found, also on an error, to be released with store_found_done.
 */
int store_recover(struct store_db *d, bool resume,
    const struct store_sqlite_limits *limits, struct store_found *found);

#endif
