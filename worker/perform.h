/* SPDX-License-Identifier: ISC */
/*
 * perform.h - run a job and answer for it
 */
#ifndef GANGER_WORKER_PERFORM_H
#define GANGER_WORKER_PERFORM_H

#include "ipc/buf.h"
#include "worker/job.h"

/*
 * Run t in the calling task thread and post what ends its run, after its last
 * progress.  scratch is empty, and holds anything afterwards.
 */
void perform_job(struct ganger_task *t, struct buf *scratch);

#endif
