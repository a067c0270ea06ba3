/* SPDX-License-Identifier: ISC */
/*
 * access.h - which methods a client may call, by its uid and gid
 */
#ifndef GANGER_BROKER_ACCESS_H
#define GANGER_BROKER_ACCESS_H

#include "ipc/sock.h"
#include "master/broker/settings.h"

/*
 * The classes that a client may call, bit c for enum broker_class c.  Root and
 * the broker's own user may call all.
 */
unsigned access_classes(
    const struct broker_settings *s, const struct sock_cred *cred);

/* True when both let the same in. */
bool access_is_equal(
    const struct broker_settings *a, const struct broker_settings *b);

const char *access_class_name(enum broker_class class);

#endif
