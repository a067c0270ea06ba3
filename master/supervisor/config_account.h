/* SPDX-License-Identifier: ISC */
/*
 * config_account.h - the users and groups that a configuration names
 *
 * A name that does not exist is a mistake at its place.  0 or -ENOMEM.
 */
#ifndef GANGER_SUPERVISOR_CONFIG_ACCOUNT_H
#define GANGER_SUPERVISOR_CONFIG_ACCOUNT_H

#include "master/supervisor/config.h"
#include "master/supervisor/config_mistake.h"

struct cfg_t;

/* Resolve the account's names, which are the section's user and group. */
void config_account_resolve(
    struct config_account *a, struct cfg_t *section, struct config_mistakes *m);

/* Resolve c->socket_group. */
void config_account_resolve_socket(
    struct config *c, struct cfg_t *section, struct config_mistakes *m);

/* Read the list of a class from the section "access", or its default. */
int config_access_read(struct config_access *a, struct cfg_t *section,
    const char *key, const char *fallback, struct config_mistakes *m);
void config_access_free(struct config_access *a);

#endif
