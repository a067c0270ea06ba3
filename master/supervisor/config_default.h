/* SPDX-License-Identifier: ISC */
/*
 * config_default.h - defaults that depend on who runs the daemon, and where
 *
 * Strings are new; the caller owns them.  0 or -errno.
 */
#ifndef GANGER_SUPERVISOR_CONFIG_DEFAULT_H
#define GANGER_SUPERVISOR_CONFIG_DEFAULT_H

#include <stdbool.h>

/*
 * Root's state is under LOCALSTATEDIR, others' in $XDG_STATE_HOME/ganger, or
 * ~/.local/state/ganger.  -ENOENT: there is no home.
 */
int config_default_state_dir(bool root, char **out);

/*
 * Root's socket is under RUNDIR, others' in $XDG_RUNTIME_DIR/ganger, or where
 * that is not set, in the default state_dir.  -ENOENT: there is no home.
 */
int config_default_socket(bool root, char **out);

/* The processors that this process may run on, at least 1. */
unsigned config_default_processes(void);

#endif
