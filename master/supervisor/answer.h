/* SPDX-License-Identifier: ISC */
/*
 * answer.h - what clients asked of the master, through the broker
 */
#ifndef GANGER_SUPERVISOR_ANSWER_H
#define GANGER_SUPERVISOR_ANSWER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct pool;
struct supervisor;

/* Answer the ask of that id; 0: nobody asked.  result is taken. */
void answer_result(struct supervisor *sv, uint64_t id, json_t *result);

/* Refuse it.  mistakes, an array of texts or NULL, is borrowed. */
void answer_refused(struct supervisor *sv, uint64_t id, bool retryable,
    const char *message, json_t *mistakes);

/*
 * Answer when all pools have been rolled, or it shows that this will take long.
 * result is taken.
 */
void answer_when_rolled(struct supervisor *sv, uint64_t id, json_t *result);

/* A pool was rolled: answer who waits for that. */
void answer_take_rolled(struct supervisor *sv);

/*
 * A roll of the pool has a set-back: nobody waits for one that follows from a
 * reload any longer.  A restart that is given up, answer_take_unrolled ends.
 */
void answer_take_setback(
    struct supervisor *sv, const struct pool *p, const char *why);

/* A pool can't be rolled: tell who waits for that. */
void answer_take_unrolled(
    struct supervisor *sv, const char *pool, const char *why);

/* Take an order "ask". */
void answer_take(struct supervisor *sv, json_t *msg);

#endif
