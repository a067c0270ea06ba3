/* SPDX-License-Identifier: ISC */
/*
 * skills.h - the task names that a worker knows
 *
 * A set of names, immutable and counted by reference.  Pure.
 */
#ifndef GANGER_BROKER_SKILLS_H
#define GANGER_BROKER_SKILLS_H

#include <stdbool.h>
#include <stddef.h>

struct skill {
	const char *name; /* in the same memory */
	bool command;     /* is a command where it is known */
};

struct skills {
	unsigned refs;
	size_t n;
	struct skill list[]; /* sorted by name, each once */
};

/*
 * Make a set of n names, those in commands marked; everything is copied.  The
 * caller owns the reference.  NULL: out of memory.
 */
struct skills *skills_new(const char *const *names, size_t n,
    const char *const *commands, size_t n_commands);

struct skills *skills_ref(struct skills *s);

/* Drop a reference; NULL-safe. */
void skills_unref(struct skills *s);

/* True when both have the same names, which is all that a worker tells. */
bool skills_match(const struct skills *a, const struct skills *b);

/* True when the same names are commands as well. */
bool skills_equal(const struct skills *a, const struct skills *b);

#endif
