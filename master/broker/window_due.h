/* SPDX-License-Identifier: ISC */
/*
 * window_due.h - which of the scheduled tasks are in memory
 *
 * A part of the window: what window.c knows of scheduled tasks.
 */
#ifndef GANGER_BROKER_WINDOW_DUE_H
#define GANGER_BROKER_WINDOW_DUE_H

#include <stdbool.h>
#include <stddef.h>

#include "master/broker/store.h"
#include "master/broker/task.h"

struct broker;

/* window_admit for t, which is scheduled. */
bool window_due_admit(struct broker *b, struct task *t);

/* t, scheduled, is spilled now (+1), or is so no more (-1). */
void window_due_count(struct broker *b, const struct task *t, int by);

/* Fetch what will be wanted. */
void window_due_refill(struct broker *b);

/* What has failed, or was missed, is tried again. */
void window_due_again(struct broker *b);

/* Too many are resident: spill the last ones. */
void window_due_trim(struct broker *b);

/* Take up what was found on the disk.  -ENOMEM. */
int window_due_load(
    struct broker *b, const struct store_band *list, size_t n, bool wall);

#endif
