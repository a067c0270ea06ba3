/* SPDX-License-Identifier: ISC */
/*
 * config_read.h - the meaning of a parsed tree
 */
#ifndef GANGER_SUPERVISOR_CONFIG_READ_H
#define GANGER_SUPERVISOR_CONFIG_READ_H

#include "master/supervisor/config.h"
#include "master/supervisor/config_mistake.h"
#include "master/supervisor/config_parse.h"

/*
 * Fill c, which is zero, from the tree, and add every mistake in values to m.
 * -ENOMEM: c is filled in part.  Release it with config_free in any case.
 */
int config_read(
    struct config *c, const struct config_tree *t, struct config_mistakes *m);

#endif
