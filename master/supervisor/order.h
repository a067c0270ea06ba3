/* SPDX-License-Identifier: ISC */
/*
 * order.h - what the broker tells the master
 */
#ifndef GANGER_SUPERVISOR_ORDER_H
#define GANGER_SUPERVISOR_ORDER_H

#include "ipc/ctl.h"

extern const struct ctl_ops order_ctl_ops; /* arg: struct supervisor */

#endif
