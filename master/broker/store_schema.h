/* SPDX-License-Identifier: ISC */
/*
 * store_schema.h - the tables, their versions, and a new database
 */
#ifndef GANGER_BROKER_STORE_SCHEMA_H
#define GANGER_BROKER_STORE_SCHEMA_H

#include "master/broker/store_db.h"

#define STORE_APPLICATION_ID 0x47616e67 /* "Gang" */
#define STORE_VERSION        1

/* Brings the tables from the version of its place to the next one. */
typedef int (*store_migration_fn)(struct store_db *d);

/* All of them, the one from version 1 first, and a NULL. */
extern const store_migration_fn store_migrations[];

/*
 * Make a database at path, which is not there or empty; it is there whole or
 * not at all.  why, of STORE_DB_WHY_SIZE, says what is wrong.
 */
int store_schema_create(const char *path, char *why);

/*
 * Bring the tables to `version`, in one transaction; steps[0] leads from
 * version 1 to 2.  -EPROTO: they are of a newer one.
 */
int store_schema_migrate(
    struct store_db *d, const store_migration_fn *steps, int64_t version);

#endif
