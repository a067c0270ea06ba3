/* SPDX-License-Identifier: ISC */
/*
 * store_open.h - open a database that may be new, old, foreign or broken
 */
#ifndef GANGER_BROKER_STORE_OPEN_H
#define GANGER_BROKER_STORE_OPEN_H

#include "master/broker/store.h"
#include "master/broker/store_db.h"

/*
 * Open the database at path, made if there is none, ready for use by one
 * thread, with its tables as this version wants them.  d is all zeroes; the
 * caller owns it, also on an error: store_db_close, without a checkpoint then.
 * -errno and why as store_sqlite_open.
 */
int store_open(struct store_db *d, const char *path, bool full_sync,
    char why[STORE_WHY_SIZE]);

#endif
