/* SPDX-License-Identifier: ISC */
/*
 * config_diff.h - what a new configuration changes, and what it can't change
 *
 * Pure.
 */
#ifndef GANGER_SUPERVISOR_CONFIG_DIFF_H
#define GANGER_SUPERVISOR_CONFIG_DIFF_H

#include <stddef.h>

#include "master/supervisor/config.h"

/* What becomes of a pool of the new configuration. */
enum config_fate {
	CONFIG_POOL_SAME,    /* nothing, or it only moved in the file */
	CONFIG_POOL_CHANGED, /* its processes need not know */
	CONFIG_POOL_REPLACE, /* only new processes have all of the change */
	CONFIG_POOL_ADDED,
};

struct config_diff {
	/* For people, UTF-8, without control characters: `pool "mail": added`,
	 * `log_level info → debug`.  Owned, as the list is. */
	char **changes;
	size_t n_changes;
	/* The names of top-level keys that differ but keep their values until
	 * the daemon is restarted; not among the changes.  The list is owned,
	 * the names are static. */
	const char **restart;
	size_t n_restart;
	enum config_fate *pools; /* owned; one for each pool of the new one */
};

/*
 * Compare two configurations, which are not needed afterwards.  Release *out
 * with config_diff_done.  -ENOMEM: *out is as released.
 */
int config_diff(const struct config *old, const struct config *new,
    struct config_diff *out);
void config_diff_done(struct config_diff *d);

/*
 * Put the values of old into new for all keys that need a restart, so that new
 * describes what runs once it is applied.  -ENOMEM: some may be.
 */
int config_keep(struct config *new, const struct config *old);

#endif
