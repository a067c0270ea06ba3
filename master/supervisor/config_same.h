/* SPDX-License-Identifier: ISC */
/*
 * config_same.h - whether parts of two configurations are equal
 *
 * Pure.  Accounts are equal when their names and their ids are.
 */
#ifndef GANGER_SUPERVISOR_CONFIG_SAME_H
#define GANGER_SUPERVISOR_CONFIG_SAME_H

#include <stdbool.h>

#include "master/supervisor/config.h"
#include "master/supervisor/config_key.h"

/* Either may be NULL, which equals only NULL. */
bool config_same_text(const char *a, const char *b);

/*
 * True when the key has the same value in the structs at a and b.  Always true
 * for KEY_OTHER.
 */
bool config_same_value(
    const struct config_key *k, const void *a, const void *b);

bool config_same_account(
    const struct config_account *a, const struct config_account *b);
bool config_same_access(
    const struct config_access *a, const struct config_access *b);

#endif
