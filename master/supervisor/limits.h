/* SPDX-License-Identifier: ISC */
/*
 * limits.h - what a pool's processes may use, laid on a child after the fork
 *
 * Runs in the child, in this order: limits_apply while it still has the
 * master's user, who alone may raise hard limits and priority; then the user is
 * left; then limits_drop_privileges.
 */
#ifndef GANGER_SUPERVISOR_LIMITS_H
#define GANGER_SUPERVISOR_LIMITS_H

#include "master/supervisor/config.h"

/*
 * Take on the pool's resource limits, processors, niceness and umask.  0, or
 * -errno, and *step_out (static text) names the key that failed; what came
 * before it is in force.
 */
int limits_apply(const struct config_pool *pool, const char **step_out);

/*
 * No program that this process starts gains privileges, by set-user-ID bits or
 * otherwise, from now on.  For every broker, and for workers whose pool says
 * no_new_privs.  0 or -errno.
 */
int limits_drop_privileges(void);

#endif
