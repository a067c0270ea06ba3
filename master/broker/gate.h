/* SPDX-License-Identifier: ISC */
/*
 * gate.h - is a task that wants to enter the same as one that is there?
 *
 * By its idempotency_key, or as the one live task that is `unique`.  What the
 * broker does not hold is looked up in the store first.
 */
#ifndef GANGER_BROKER_GATE_H
#define GANGER_BROKER_GATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "master/broker/broker.h"

struct submission;

/* All look-ups are told; err is 0 or the first -errno. */
typedef void (*gate_fn)(void *arg, int err);

/* The live task that has the place of another one; id 0: there is none. */
typedef void (*gate_twin_fn)(void *arg, int err, uint64_t id);

/*
 * Look up what has to be known of n submissions before they enter.  1: fn is
 * called on the loop, later; until then they stay where they are.  0: nothing
 * has to be looked up, and fn is not called.  -ENOMEM: the same.
 */
int gate_look(
    struct broker *b, struct submission *list, size_t n, gate_fn fn, void *arg);

/*
 * True, and s->twin_id is set, when s is the same as one that has been looked
 * up, or has entered since.  After false s can enter now, at once.
 */
bool gate_find_twin(const struct broker *b, struct submission *s);

/*
 * Tell fn whether t, which has ended, has a live twin, which keeps it from
 * being revived; within fn, it can be revived at once.  1, 0 and -ENOMEM as
 * above: 0 means that only unique_find has to be asked.
 */
int gate_look_for_revival(
    struct broker *b, const struct task *t, gate_twin_fn fn, void *arg);

#endif
