/* SPDX-License-Identifier: ISC */
/*
 * store_late.h - look-ups in a database that lags behind
 *
 * While it can't be written, what it tells of tasks with news is out of date.
 */
#ifndef GANGER_BROKER_STORE_LATE_H
#define GANGER_BROKER_STORE_LATE_H

#include "master/broker/store_batch.h"
#include "master/broker/store_news.h"

/*
 * Let what the calls have found be as it is with the news that are not written:
 * the very tasks that have them take the place of those that were read, and
 * what is erased is left out.  What may lack a task, for only the news say that
 * it is there, is told to be tried again (-EAGAIN).
 */
void store_late_mend(const struct store_news *n, struct store_call_list *calls);

#endif
