/* SPDX-License-Identifier: ISC */
/*
 * config_field.c - fill the fields of a struct from a section, by its table
 */
#include "master/supervisor/config_field.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "master/supervisor/config.h"
#include "master/supervisor/config_limit.h"
#include "master/supervisor/config_parse.h"
#include "master/supervisor/config_value.h"

/* Choices are stored through an unsigned. */
static_assert(sizeof(enum log_level) == sizeof(unsigned), "enum's size");

static void *
field_of(const struct config_key *k, void *base)
{
	return (char *)base + k->offset;
}

static size_t *
count_of(const struct config_key *k, void *base)
{
	return (void *)((char *)base + k->n_offset);
}

static int
parse_number(const struct config_key *k, const char *text, void *field)
{
	int64_t v;
	int r;

	if (k->type == KEY_COUNT && strcmp(text, "auto") == 0) {
		*(unsigned *)field = 0;
		return 0;
	}
	r = value_parse_number(text, k->min, k->max, &v);
	if (r < 0)
		return r;
	if (k->type == KEY_UINT64)
		*(uint64_t *)field = (uint64_t)v;
	else if (k->type == KEY_INT)
		*(int *)field = (int)v;
	else
		*(unsigned *)field = (unsigned)v;
	return 0;
}

static int
parse_rate(const struct config_key *k, const char *text, void *field)
{
	struct config_rate *rate = field;

	return value_parse_rate(text, k->max, &rate->count, &rate->per_ms);
}

static int
parse_text(const struct config_key *k, const char *text, void *field)
{
	char *copy;

	if (k->check != NULL && k->check(text) != NULL)
		return -EINVAL;
	if (*text == '\0')
		return 0;
	copy = strdup(text);
	if (copy == NULL)
		return -ENOMEM;
	*(char **)field = copy;
	return 0;
}

/* Store the value of text.  -EINVAL, -ERANGE: it is none.  -ENOMEM. */
static int
parse_field(const struct config_key *k, const char *text, void *field)
{
	switch (k->type) {
	case KEY_TEXT:
		return parse_text(k, text, field);
	case KEY_DURATION:
		return value_parse_duration(text, k->max, field);
	case KEY_SIZE:
		return value_parse_size(
		    text, (uint64_t)k->min, (uint64_t)k->max, field);
	case KEY_RATE:
		return parse_rate(k, text, field);
	case KEY_UINT64:
	case KEY_UNSIGNED:
	case KEY_INT:
	case KEY_COUNT:
		return parse_number(k, text, field);
	case KEY_BOOL:
		return value_parse_bool(text, field);
	case KEY_MODE:
		return value_parse_mode(text, field);
	case KEY_UMASK:
		return config_limit_parse_umask(text, field);
	case KEY_CPUS:
		return config_limit_parse_cpus(text, field);
	case KEY_LIMIT_SIZE:
	case KEY_LIMIT_COUNT:
	case KEY_LIMIT_TIME:
		return config_limit_parse(k, text, field);
	case KEY_CHOICE:
		return value_parse_choice(text, k->choices, field);
	case KEY_WORDS:
	case KEY_OTHER:
		break;
	}
	assert(!"a key of one value");
	return -EINVAL;
}

static void
complain_choice(const struct config_key *k, const struct config_word *w,
    struct config_mistakes *m)
{
	struct buf all;
	char *text;
	size_t i;

	buf_init(&all, SIZE_MAX);
	for (i = 0; k->choices[i] != NULL; i++)
		buf_printf(&all, "%s%s", i == 0 ? "" : ", ", k->choices[i]);
	text = buf_steal(&all, NULL);
	config_mistakes_add(m, &w->at, "%s: \"%s\" is none of %s", k->name,
	    w->text, text == NULL ? "them" : text);
	free(text);
	buf_done(&all);
}

/* Tell that the number at w is none from min to max. */
static void
complain_number(const struct config_key *k, const struct config_word *w,
    struct config_mistakes *m)
{
	config_mistakes_add(m, &w->at,
	    "%s: \"%s\" is %s number from %" PRId64 " to %" PRId64, k->name,
	    w->text, k->type == KEY_COUNT ? "neither \"auto\" nor a" : "not a",
	    k->min, k->max);
}

static void
complain_scaled(const struct config_key *k, const struct config_word *w, int r,
    struct config_mistakes *m)
{
	char min[VALUE_TEXT_SIZE], max[VALUE_TEXT_SIZE];
	const char *form;

	if (k->type == KEY_DURATION) {
		value_format_duration(k->min, min);
		value_format_duration(k->max, max);
		form = "duration like \"250ms\", \"30s\", \"5m\", \"1h\", "
		       "\"7d\"";
	} else {
		value_format_size((uint64_t)k->min, min);
		value_format_size((uint64_t)k->max, max);
		form = "size like \"4096\", \"64K\", \"1M\"";
	}
	if (r == -ERANGE)
		config_mistakes_add(m, &w->at,
		    "%s: \"%s\" is not from %s to %s", k->name, w->text, min,
		    max);
	else
		config_mistakes_add(m, &w->at, "%s: \"%s\" is not a %s",
		    k->name, w->text, form);
}

static void
complain_rate(const struct config_key *k, const struct config_word *w, int r,
    struct config_mistakes *m)
{
	if (r == -ERANGE)
		config_mistakes_add(m, &w->at,
		    "%s: \"%s\" is not from 0 to %" PRId64
		    " a second, minute or hour",
		    k->name, w->text, k->max);
	else
		config_mistakes_add(m, &w->at,
		    "%s: \"%s\" is not a rate like \"10/s\", \"5/m\", "
		    "\"100/h\"",
		    k->name, w->text);
}

/* Tell that w is no resource limit, as r says. */
static void
complain_limit(const struct config_key *k, const struct config_word *w, int r,
    struct config_mistakes *m)
{
	struct config_rlimit bound = {.set = true};
	char min[VALUE_TEXT_SIZE], max[VALUE_TEXT_SIZE];
	const char *form;

	if (r == -ERANGE) {
		bound.value = (rlim_t)k->min;
		config_limit_format(k, &bound, min);
		bound.value = (rlim_t)k->max;
		config_limit_format(k, &bound, max);
		config_mistakes_add(m, &w->at,
		    "%s: \"%s\" is not from %s to %s", k->name, w->text, min,
		    max);
		return;
	}
	form = k->type == KEY_LIMIT_SIZE   ? "a size like \"4096\", \"64K\""
	       : k->type == KEY_LIMIT_TIME ? "seconds like \"90\", \"5m\""
					   : "a number";
	config_mistakes_add(m, &w->at,
	    "%s: \"%s\" is neither \"unlimited\" "
	    "nor %s",
	    k->name, w->text, form);
}

/* Tell what is wrong with the word, on which parse_field failed with r. */
static void
complain(const struct config_key *k, const struct config_word *w, int r,
    struct config_mistakes *m)
{
	const char *what;

	switch (k->type) {
	case KEY_DURATION:
	case KEY_SIZE:
		complain_scaled(k, w, r, m);
		return;
	case KEY_RATE:
		complain_rate(k, w, r, m);
		return;
	case KEY_UINT64:
	case KEY_UNSIGNED:
	case KEY_INT:
	case KEY_COUNT:
		complain_number(k, w, m);
		return;
	case KEY_LIMIT_SIZE:
	case KEY_LIMIT_COUNT:
	case KEY_LIMIT_TIME:
		complain_limit(k, w, r, m);
		return;
	case KEY_CHOICE:
		complain_choice(k, w, m);
		return;
	case KEY_BOOL:
		what = "is neither yes nor no";
		break;
	case KEY_MODE:
		what = "is not a mode like \"0660\"";
		break;
	case KEY_UMASK:
		what = "is not a mode like \"0027\"";
		break;
	case KEY_CPUS:
		what = "is not a list of processors like \"0-3,6\"";
		break;
	default:
		what = k->check(w->text);
		break;
	}
	config_mistakes_add(m, &w->at, "%s: \"%s\" %s", k->name, w->text, what);
}

static int
read_value(const struct config_key *k, struct cfg_t *section, void *field,
    struct config_mistakes *m)
{
	const struct config_word *w;
	int r;

	w = config_word_get(section, k->name, 0);
	if (w != NULL) {
		r = parse_field(k, w->text, field);
		if (r == 0 || r == -ENOMEM)
			return r;
		complain(k, w, r, m);
	}
	return k->fallback == NULL ? 0 : parse_field(k, k->fallback, field);
}

static int
read_words(const struct config_key *k, struct cfg_t *section, char ***field,
    size_t *n_out, struct config_mistakes *m)
{
	const struct config_word *w;
	size_t i, n;
	char **words;

	n = config_word_count(section, k->name);
	words = calloc(n + 1, sizeof(*words));
	if (words == NULL)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		w = config_word_get(section, k->name, i);
		if (k->check != NULL && k->check(w->text) != NULL)
			complain(k, w, -EINVAL, m);
		words[i] = strdup(w->text);
		if (words[i] == NULL) {
			config_words_free(words, i);
			return -ENOMEM;
		}
	}
	*field = words;
	*n_out = n;
	return 0;
}

int
config_fields_read(const struct config_key *keys, struct cfg_t *section,
    void *base, struct config_mistakes *m)
{
	const struct config_key *k;
	int r;

	r = 0;
	for (k = keys; k->name != NULL && r == 0; k++) {
		if (k->type == KEY_WORDS)
			r = read_words(k, section, field_of(k, base),
			    count_of(k, base), m);
		else if (k->type != KEY_OTHER)
			r = read_value(k, section, field_of(k, base), m);
	}
	return r;
}

void
config_words_free(char **words, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(words[i]);
	free(words);
}

void
config_fields_free(const struct config_key *keys, void *base)
{
	const struct config_key *k;

	for (k = keys; k->name != NULL; k++) {
		if (k->type == KEY_TEXT)
			free(*(char **)field_of(k, base));
		else if (k->type == KEY_WORDS)
			config_words_free(
			    *(char ***)field_of(k, base), *count_of(k, base));
	}
}
