/* SPDX-License-Identifier: ISC */
/*
 * config_parse.h - files and overrides as a tree of sections and words
 *
 * The only part that knows how to call libConfuse, which keeps its state in
 * globals: one tree is parsed at a time, by one thread.  Every value is kept as
 * the text that was written, with its place; what it means is for others.
 */
#ifndef GANGER_SUPERVISOR_CONFIG_PARSE_H
#define GANGER_SUPERVISOR_CONFIG_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "master/supervisor/config_mistake.h"

#define CONFIG_INCLUDE_MAX 10            /* files inside one another */
#define CONFIG_FILE_MAX    (1024 * 1024) /* bytes of a file */

struct cfg_t; /* a section, lent by its tree */
struct config_tree;

/* A value as it was written. */
struct config_word {
	struct config_place at; /* its file's name is the tree's */
	char text[];
};

/*
 * Make an empty tree.  m is borrowed and gets the mistakes of syntax.  The
 * caller owns *out; release it with config_tree_free.  -ENOMEM.
 */
int config_tree_new(struct config_mistakes *m, struct config_tree **out);

/* Free *tp and set it to NULL.  *tp may be NULL. */
void config_tree_free(struct config_tree **tp);

/*
 * Read the file at path with its includes.  -EINVAL: a mistake of syntax was
 * added.  -ENOMEM.  Else the -errno of reading path, which was added too.
 */
int config_tree_read(struct config_tree *t, const char *path);

/*
 * Read text, len bytes, instead of a file; name, which may be NULL, stands for
 * the file's in mistakes.  -EINVAL: a mistake of syntax was added.  -ENOMEM.
 */
int config_tree_parse(
    struct config_tree *t, const char *name, const char *text, size_t len);

/*
 * Set a top-level key that takes one value to that of "KEY=VALUE".  -EINVAL: a
 * mistake was added.  -ENOMEM.
 */
int config_tree_override(struct config_tree *t, const char *assignment);

/* The outermost section; its place is the file that was read. */
struct cfg_t *config_tree_root(const struct config_tree *t);
void config_tree_place(
    const struct config_tree *t, struct config_place *at_out);

/* How many sections of that kind there are, and the i-th of them. */
size_t config_section_count(struct cfg_t *section, const char *kind);
struct cfg_t *config_section_get(
    struct cfg_t *section, const char *kind, size_t i);

/* The section's name; NULL for one that has none.  Borrowed. */
const char *config_section_title(struct cfg_t *section);

/* Where the section, which is not the root, is opened.  Borrowed. */
const struct config_place *config_section_place(struct cfg_t *section);

/* True when the key was set, be it to an empty list. */
bool config_section_has(struct cfg_t *section, const char *key);

/* How many values the key has, and the i-th of them, borrowed. */
size_t config_word_count(struct cfg_t *section, const char *key);
const struct config_word *config_word_get(
    struct cfg_t *section, const char *key, size_t i);

#endif
