/* SPDX-License-Identifier: ISC */
/*
 * config_key.h - the keys of each section, as tables
 *
 * A key's row says how its value is read, checked, printed, and where it is
 * kept.  The tables end with a row without a name.
 */
#ifndef GANGER_SUPERVISOR_CONFIG_KEY_H
#define GANGER_SUPERVISOR_CONFIG_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The type of the field follows the colon. */
enum config_key_type {
	KEY_TEXT,        /* char *, NULL for "" */
	KEY_DURATION,    /* int64_t, milliseconds; max counts */
	KEY_SIZE,        /* uint64_t, bytes */
	KEY_UINT64,      /* uint64_t */
	KEY_UNSIGNED,    /* unsigned */
	KEY_INT,         /* int */
	KEY_COUNT,       /* unsigned, 0 for "auto" */
	KEY_BOOL,        /* bool */
	KEY_MODE,        /* mode_t */
	KEY_UMASK,       /* mode_t, CONFIG_NO_UMASK for "" */
	KEY_CPUS,        /* struct config_cpus, empty for "" */
	KEY_LIMIT_SIZE,  /* struct config_rlimit, not set for "" */
	KEY_LIMIT_COUNT, /* the same */
	KEY_LIMIT_TIME,  /* the same; min and max are seconds */
	KEY_RATE,        /* struct config_rate; max counts */
	KEY_CHOICE,      /* an enum whose values count from 0, as choices do */
	KEY_WORDS,       /* char **, ended by NULL, and a size_t */
	KEY_OTHER        /* a list that takes more than this table */
};

struct config_key {
	const char *name;
	enum config_key_type type;
	size_t offset;        /* of the field in its struct */
	size_t n_offset;      /* KEY_WORDS: of the number of words */
	const char *fallback; /* the default as text; NULL: the field stays */
	int64_t min, max;     /* of numbers, sizes, durations */
	const char *const *choices; /* KEY_CHOICE; ended by NULL */
	/* KEY_TEXT, KEY_WORDS: what is wrong with a value, or NULL. */
	const char *(*check)(const char *text);
	bool needs_restart; /* a reload leaves it as it was, and says so */
	bool in_worker;     /* a worker has it from its start on */
};

/* True for the keys of struct config_pool's rlimits. */
bool config_key_is_limit(const struct config_key *k);

extern const struct config_key config_keys_top[];     /* struct config */
extern const struct config_key config_keys_access[];  /* struct config */
extern const struct config_key config_keys_pool[];    /* struct config_pool */
extern const struct config_key config_keys_command[]; /* config_command */
extern const struct config_key config_keys_queue[];   /* struct config_queue */

#endif
