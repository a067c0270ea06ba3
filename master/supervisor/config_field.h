/* SPDX-License-Identifier: ISC */
/*
 * config_field.h - fill the fields of a struct from a section, by its table
 */
#ifndef GANGER_SUPERVISOR_CONFIG_FIELD_H
#define GANGER_SUPERVISOR_CONFIG_FIELD_H

#include "master/supervisor/config_key.h"
#include "master/supervisor/config_mistake.h"

struct cfg_t;

/*
 * Read each key of the table from the section (NULL: an empty one) into the
 * struct at base, whose fields are zero, or take its default; KEY_OTHER is left
 * out.  Every mistake is added to m, its field then has the default.  -ENOMEM.
 */
int config_fields_read(const struct config_key *keys, struct cfg_t *section,
    void *base, struct config_mistakes *m);

/* Free what the fields of the struct at base own; KEY_OTHER is left out. */
void config_fields_free(const struct config_key *keys, void *base);

/* Free words, n of them. */
void config_words_free(char **words, size_t n);

#endif
