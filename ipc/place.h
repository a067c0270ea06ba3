/* SPDX-License-Identifier: ISC */
/*
 * place.h - where a daemon and its clients meet when nobody says where
 *
 * Strings are new; the caller owns them.  0, -ENOMEM or -ENOENT (there is no
 * home to put it in).
 */
#ifndef GANGER_IPC_PLACE_H
#define GANGER_IPC_PLACE_H

#include <stdbool.h>

/*
 * Root's state is under LOCALSTATEDIR, others' in $XDG_STATE_HOME/ganger, or
 * ~/.local/state/ganger.
 */
int place_state_dir(bool root, char **out);

/*
 * Root's socket is under RUNDIR, others' in $XDG_RUNTIME_DIR/ganger, or where
 * that is not set, in the usual state_dir.
 */
int place_socket(bool root, char **out);

#endif
