/* SPDX-License-Identifier: ISC */
/*
 * config_account.h - the users and groups that a configuration names
 *
 * A name that does not exist is a mistake at its place.  Nothing is looked up
 * for a configuration that says so: ids are then left unset.  0 or -ENOMEM.
 */
#ifndef GANGER_SUPERVISOR_CONFIG_ACCOUNT_H
#define GANGER_SUPERVISOR_CONFIG_ACCOUNT_H

#include "master/supervisor/config.h"
#include "master/supervisor/config_key.h"
#include "master/supervisor/config_mistake.h"

struct cfg_t;

/* Resolve the names of an account of c, which are the section's. */
void config_account_resolve(const struct config *c, struct config_account *a,
    struct cfg_t *section, struct config_mistakes *m);

/* Resolve c->socket_group. */
void config_account_resolve_socket(
    struct config *c, struct cfg_t *section, struct config_mistakes *m);

/*
 * Read the list of a class of c, which is that of the key, from the section
 * "access", or take its default.
 */
int config_access_read(struct config *c, const struct config_key *k,
    struct cfg_t *section, struct config_mistakes *m);
void config_access_free(struct config_access *a);

#endif
