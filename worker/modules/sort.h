/* SPDX-License-Identifier: ISC */
/*
 * sort.h - task sort: sort numbers
 *
 *	{count, seed?}    that many pseudo-random integers
 *	{numbers: [...]}  these
 *	{path}            a file's: a JSON array, or numbers between white space
 *	→ {count, min, max, checksum, sorted?}
 *
 * sorted is there for numbers that were given, unless they come from a file
 * of more than SORT_LIST_MAX.  checksum is of the sorted numbers, so two ways
 * to the same list have the same one.
 */
#ifndef GANGER_WORKER_MODULES_SORT_H
#define GANGER_WORKER_MODULES_SORT_H

#include "worker/handler.h"

#define SORT_COUNT_MAX 50000000
#define SORT_FILE_MAX  (INT64_C(1) << 30) /* bytes */
#define SORT_LIST_MAX  10000

json_t *sort_run(struct ganger_task *task, json_t *args);

#endif
