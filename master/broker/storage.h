/* SPDX-License-Identifier: ISC */
/*
 * storage.h - the broker and its stores
 */
#ifndef GANGER_BROKER_STORAGE_H
#define GANGER_BROKER_STORAGE_H

#include "master/broker/broker.h"
#include "master/broker/store.h"

/* Make the store of a broker: of volatile tasks alone, so far.  -ENOMEM. */
int storage_init(struct broker *b);

/* The broker ends: only its stores are left to be freed. */
void storage_stop(struct broker *b);

/*
 * Open the database that the settings name, if any, and take up what waits in
 * it.  `resume`: what runs goes on running, under this broker.  -errno, and why
 * says what is wrong.
 */
int storage_open(struct broker *b, bool resume, char why[STORE_WHY_SIZE]);

/*
 * Close the database, for an exec: all has been written, and no durable task is
 * resident but those that run.  Open it again as nothing has come of that;
 * without it the broker ends, for the next one to try.
 */
void storage_close(struct broker *b);
void storage_reopen(struct broker *b);

/*
 * Why durable tasks are refused whatever room there is: writing fails, or the
 * database is damaged.  In words, borrowed; NULL: they are not.
 */
const char *storage_trouble(const struct broker *b);

/* What keeps durable tasks out though they could be written. */
enum storage_room {
	STORAGE_HAS_ROOM,
	STORAGE_IS_FULL,    /* max_store */
	STORAGE_DISK_IS_LOW /* min_free */
};

/* Look whether there is room; else why, of STORE_WHY_SIZE, says what is full.
 * The log is told when that begins, and when it is over. */
enum storage_room storage_check_room(struct broker *b, char *why);

/* An id was given out, to whatever task: it is not to be given out again. */
void storage_note_ids(struct broker *b);

/* Limits are others now. */
void storage_set_limits(struct broker *b);

/* The part of it that is in memory, borrowed. */
struct store *storage_memory(const struct broker *b);

/* True when so much has not been written that no task should be started. */
bool storage_is_behind(const struct broker *b);

#endif
