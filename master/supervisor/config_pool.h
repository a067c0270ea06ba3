/* SPDX-License-Identifier: ISC */
/*
 * config_pool.h - the pools, commands and queues of a parsed tree
 */
#ifndef GANGER_SUPERVISOR_CONFIG_POOL_H
#define GANGER_SUPERVISOR_CONFIG_POOL_H

#include "master/supervisor/config.h"
#include "master/supervisor/config_mistake.h"

struct cfg_t;

/*
 * Read all pools and queues below root into c, or make the default pool when
 * there is none; add every mistake to m.  -ENOMEM: c is filled in part.
 */
int config_pools_read(
    struct config *c, struct cfg_t *root, struct config_mistakes *m);

/* Free the pools and queues of c. */
void config_pools_free(struct config *c);

#endif
