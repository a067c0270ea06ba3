/* SPDX-License-Identifier: ISC */
/*
 * builtin.c - the task modules that are linked into gangerd
 */
#include "worker/modules/builtin.h"

#include <stddef.h>

#include "worker/modules/crash.h"
#include "worker/modules/echo.h"
#include "worker/modules/fail.h"
#include "worker/modules/sha512.h"
#include "worker/modules/sleep.h"
#include "worker/modules/sort.h"

static const struct ganger_handler handlers[] = {
    {"echo", echo_run},
    {"fail", fail_run},
    {"sha512", sha512_run},
    {"sleep", sleep_run},
    {"sort", sort_run},
    {NULL, NULL},
};

static const struct ganger_handler debug_handlers[] = {
    {"crash", crash_run},
    {NULL, NULL},
};

const struct ganger_module builtin_module = {
    .abi = GANGER_MODULE_ABI,
    .name = "builtin",
    .handlers = handlers,
};

const struct ganger_module builtin_debug_module = {
    .abi = GANGER_MODULE_ABI,
    .name = "builtin debug",
    .handlers = debug_handlers,
};
