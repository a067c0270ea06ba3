/* SPDX-License-Identifier: ISC */
/*
 * state_dir.h - the folder that the broker keeps the task store in
 *
 * The master makes it, as root maybe; the broker writes in it as the user that
 * the configuration names.
 */
#ifndef GANGER_SUPERVISOR_STATE_DIR_H
#define GANGER_SUPERVISOR_STATE_DIR_H

#include "ipc/buf.h"
#include "master/supervisor/config.h"

/* The task store's file in it; its other files have names that begin so. */
#define STATE_DIR_STORE "tasks.db"

/*
 * See to it that the broker's user can write in the folder, which is there, and
 * the store's files in it: a folder of root's with nothing of anybody else in
 * it is given to that user.  -errno: it can't be, and why is appended to
 * reason.
 */
int state_dir_prepare(const struct config *c, struct buf *reason);

#endif
