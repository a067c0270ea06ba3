/* SPDX-License-Identifier: ISC */
/*
 * config_schema.h - what libConfuse is told of the keys and sections
 */
#ifndef GANGER_SUPERVISOR_CONFIG_SCHEMA_H
#define GANGER_SUPERVISOR_CONFIG_SCHEMA_H

#include <confuse.h>

/*
 * A section's line moves on with its text.  Where it was opened is the line of
 * the one value of this key in it: its default, which libConfuse reads when it
 * makes the section.  No file can set it: libConfuse does not look up an empty
 * name.
 */
#define CONFIG_OPENED_KEY ""

/*
 * Make a root with every key and section.  on_value gives the value of a key, a
 * pointer that is released with free(); on_include serves "include" in every
 * section.  The caller owns the root, for cfg_free.  NULL: out of memory.
 */
cfg_t *config_schema_new(cfg_callback_t on_value, cfg_func_t on_include);

#endif
