/* SPDX-License-Identifier: ISC */
/*
 * config_check.h - what must hold between keys, and between them and the host
 *
 * Mistakes are told at the key that is least likely to be meant.
 */
#ifndef GANGER_SUPERVISOR_CONFIG_CHECK_H
#define GANGER_SUPERVISOR_CONFIG_CHECK_H

#include "master/supervisor/config.h"
#include "master/supervisor/config_mistake.h"

struct cfg_t;

/*
 * Fill in what the pool's section (NULL: the default pool) leaves open of its
 * number of processes, and add what is wrong with that and the limits to m.
 */
void config_check_pool(
    struct config_pool *p, struct cfg_t *section, struct config_mistakes *m);

/* Add it to m when the section's soft time limit is over the hard one. */
void config_check_timeouts(struct cfg_t *section, int64_t soft_ms,
    int64_t hard_ms, struct config_mistakes *m);

#endif
