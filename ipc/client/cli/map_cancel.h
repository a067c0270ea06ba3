/* SPDX-License-Identifier: ISC */
/*
 * map_cancel.h - cancel those of a map's calls that have not started
 */
#ifndef GANGER_CLI_MAP_CANCEL_H
#define GANGER_CLI_MAP_CANCEL_H

#include <stddef.h>
#include <stdint.h>

#include "ipc/client/client.h"

/*
 * Cancel the tasks of this name that wait and whose meta is {"map": mark}; at
 * most `most` there are.  Takes some seconds at most.  Returns how many were
 * cancelled, or -errno.
 */
int64_t map_cancel(struct ganger_client *client, const char *name,
    const char *mark, size_t most);

#endif
