/* SPDX-License-Identifier: ISC */
/*
 * store_row.h - a task as a row of the database, and back
 */
#ifndef GANGER_BROKER_STORE_ROW_H
#define GANGER_BROKER_STORE_ROW_H

#include "master/broker/store_batch.h"
#include "master/broker/store_db.h"

/*
 * Write a row, whether there is one of its id or not, or take it away, as its
 * news want it.  Within a transaction.
 */
int store_row_write(struct store_db *d, const struct store_row *row);

/* Take a task away with all that belongs to it; `big` as its column says. */
int store_row_delete(struct store_db *d, int64_t id, bool big);

/*
 * Make a task of the row that st, one of the statements that yield all columns,
 * is at.  The caller owns item_out->t.
 */
int store_row_read(
    struct store_db *d, sqlite3_stmt *st, struct store_item *item_out);

/* The number of a queue's, kind's or pool's name, made when there is none. */
int store_row_name(struct store_db *d, struct store_names *names,
    const char *table, const char *name, int64_t *id_out);

#endif
