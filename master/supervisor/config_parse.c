/* SPDX-License-Identifier: ISC */
/*
 * config_parse.c - files and overrides as a tree of sections and words
 *
 * What was tried out with libConfuse 3.3 and shapes this file:
 * - Its callbacks get no argument of ours, hence `parsing`.
 * - It refuses a key with an empty name without a word, and sets errno.
 * - Its own include leaves a file open and a level used up for each mistake
 *   inside an included file, which a daemon that rereads its configuration
 *   can't afford.  A nested cfg_parse_fp is sound.
 * - Its lexer ends the process when it gets no memory.  It asks for some 20 KiB
 *   a file; all other failed allocations end in -ENOMEM.
 */
#include "master/supervisor/config_parse.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipc/buf.h"
#include "master/supervisor/config_schema.h"
#include "master/supervisor/config_text.h"

/* A file that was read, or an override. */
struct source {
	struct source *next;
	unsigned rank; /* files first, in the order of reading */
	char name[];
};

struct config_tree {
	cfg_t *root;
	struct config_mistakes *m; /* borrowed */
	struct source *sources;    /* owned; the last one first */
	unsigned n_sources;
	const struct source *main;    /* NULL until a file was read */
	const struct source *current; /* what is being parsed */
	unsigned depth;               /* of files that are being parsed */
	bool no_memory; /* the tree is of no use, nor to be freed */
};

/* The tree that libConfuse is filling; NULL when it is not at work. */
static struct config_tree *parsing;

/* What libConfuse says, and how it is said to the operator. */
static const struct {
	const char *theirs;
	const char *ours; /* with the same conversions */
} wordings[] = {
    {"no such option '%s'", "unknown key \"%s\""},
    {"no sub-section title/index for '%s'", "unknown key \"%s\""},
    {"found duplicate title '%s'", "there is a section \"%s\" already"},
    {"premature end of file", "the file ends inside a setting"},
    {"unexpected token '%s'", "\"%s\" is out of place"},
    {"missing equal sign after option '%s'", "\"=\" is missing after \"%s\""},
    {"missing title for section '%s'", "section \"%s\" needs a name"},
    {"missing opening brace for section '%s'",
	"\"{\" is missing after section \"%s\""},
    {"missing parenthesis for function '%s'", "\"(\" is missing after \"%s\""},
    {"syntax error in call of function '%s'",
	"the parentheses after \"%s\" hold more than one file"},
    {"attempt to append to non-list option '%s'",
	"\"%s\" is no list and takes no \"+=\""},
};

static struct config_place
place_of(const struct source *s, int line)
{
	return (struct config_place){.file = s->name,
	    .rank = s->rank,
	    .line = line > 0 ? (unsigned)line : 0};
}

static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	struct config_place at;
	size_t i;

	for (i = 0; i < sizeof(wordings) / sizeof(wordings[0]); i++)
		if (strcmp(fmt, wordings[i].theirs) == 0)
			fmt = wordings[i].ours;
	at = place_of(parsing->current, cfg->line);
	config_mistakes_vadd(parsing->m, &at, fmt, ap);
}

/*
 * Keep a value as it was written.  Never fails: libConfuse aborts when the
 * value of a default does.  Without memory the value is NULL and the tree is
 * given up.
 */
static int
on_value(cfg_t *cfg, cfg_opt_t *opt, const char *text, void *result)
{
	struct config_word *w;
	size_t len;

	(void)opt;
	len = strlen(text);
	w = malloc(sizeof(*w) + len + 1);
	if (w == NULL) {
		parsing->no_memory = true;
	} else {
		w->at = place_of(parsing->current, cfg->line);
		memcpy(w->text, text, len + 1);
	}
	*(struct config_word **)result = w;
	return 0;
}

/* Read the whole file.  -errno, -EFBIG for one over CONFIG_FILE_MAX. */
static int
read_file(const char *path, struct buf *out)
{
	char chunk[4096];
	ssize_t n;
	int fd, r;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do {
		n = read(fd, chunk, sizeof(chunk));
		r = n < 0 ? -errno : 0;
		if (n > 0)
			buf_add(out, chunk, (size_t)n);
	} while ((n > 0 || r == -EINTR) && buf_error(out) == 0);
	close(fd);
	if (buf_error(out) == -ENOBUFS)
		return -EFBIG;
	return buf_error(out) < 0 ? buf_error(out) : r;
}

static int
add_source(struct config_tree *t, const char *prefix, const char *name,
    const struct source **out)
{
	struct source *s;
	size_t size;

	size = strlen(prefix) + strlen(name) + 1;
	s = malloc(sizeof(*s) + size);
	if (s == NULL)
		return -ENOMEM;
	snprintf(s->name, size, "%s%s", prefix, name);
	s->rank = t->n_sources++;
	s->next = t->sources;
	t->sources = s;
	*out = s;
	return 0;
}

/* Let libConfuse read text into cfg. */
static int
parse_text(struct config_tree *t, cfg_t *cfg, char *text, size_t len)
{
	struct config_flaw flaw;
	struct config_place at;
	size_t n;
	FILE *f;
	int r;

	if (len == 0)
		return 0;
	if (config_text_clean(text, len, &flaw) < 0) {
		at = place_of(t->current, (int)flaw.line);
		config_mistakes_add(t->m, &at, "%s", flaw.what);
		return -EINVAL;
	}
	f = fmemopen(text, len, "r");
	if (f == NULL)
		return -ENOMEM;
	n = t->m->n;
	errno = 0;
	r = cfg_parse_fp(cfg, f) == CFG_SUCCESS ? 0 : -EINVAL;
	if (r < 0 && t->m->n == n && errno == EINVAL) {
		at = place_of(t->current, 0);
		config_mistakes_add(t->m, &at, "a key has an empty name");
	}
	fclose(f);
	return r;
}

/*
 * Read and parse the file of s into cfg.  A mistake is added for every failure
 * but -ENOMEM; from is where an include asks for the file, or NULL.
 */
static int
parse_source(struct config_tree *t, cfg_t *cfg, const struct source *s,
    const struct config_place *from)
{
	const struct source *outer;
	struct config_place at;
	struct buf text;
	int line, r;

	buf_init(&text, CONFIG_FILE_MAX);
	r = read_file(s->name, &text);
	if (r == 0) {
		outer = t->current;
		line = cfg->line;
		t->current = s;
		t->depth++;
		r = parse_text(t, cfg, text.data, buf_len(&text));
		t->depth--;
		t->current = outer;
		cfg->line = line;
	} else if (r != -ENOMEM && from != NULL) {
		config_mistakes_add(
		    t->m, from, "include: \"%s\": %s", s->name, strerror(-r));
	} else if (r != -ENOMEM) {
		at = place_of(s, 0);
		config_mistakes_add(t->m, &at, "%s", strerror(-r));
	}
	buf_done(&text);
	return r;
}

/* Add the file that an include names: beside the file that includes it. */
static int
add_included(struct config_tree *t, const char *name, const struct source **out)
{
	const char *slash;
	char *folder;
	int r;

	slash = strrchr(t->current->name, '/');
	if (*name == '/' || slash == NULL)
		return add_source(t, "", name, out);
	folder =
	    strndup(t->current->name, (size_t)(slash + 1 - t->current->name));
	if (folder == NULL)
		return -ENOMEM;
	r = add_source(t, folder, name, out);
	free(folder);
	return r;
}

static int
on_include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
	const struct source *s;
	struct config_place at;
	int r;

	(void)opt;
	at = place_of(parsing->current, cfg->line);
	if (argc != 1) {
		config_mistakes_add(parsing->m, &at, "include: takes one file");
		return -1;
	}
	if (parsing->depth >= CONFIG_INCLUDE_MAX) {
		config_mistakes_add(parsing->m, &at,
		    "include: \"%s\": over %d files inside one another",
		    argv[0], CONFIG_INCLUDE_MAX);
		return -1;
	}
	r = add_included(parsing, argv[0], &s);
	if (r == 0)
		r = parse_source(parsing, cfg, s, &at);
	if (r == -ENOMEM)
		parsing->no_memory = true;
	return r < 0 ? -1 : 0;
}

int
config_tree_new(struct config_mistakes *m, struct config_tree **out)
{
	struct config_tree *t;

	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->m = m;
	t->root = config_schema_new(on_value, on_include);
	if (t->root == NULL) {
		free(t);
		return -ENOMEM;
	}
	cfg_set_error_function(t->root, on_error);
	*out = t;
	return 0;
}

void
config_tree_free(struct config_tree **tp)
{
	struct source *s, *next;
	struct config_tree *t;

	t = *tp;
	*tp = NULL;
	if (t == NULL)
		return;
	/* What it could not finish building libConfuse can't free either. */
	if (!t->no_memory)
		cfg_free(t->root);
	for (s = t->sources; s != NULL; s = next) {
		next = s->next;
		free(s);
	}
	free(t);
}

int
config_tree_read(struct config_tree *t, const char *path)
{
	size_t n;
	int r;

	r = add_source(t, "", path, &t->main);
	if (r < 0)
		return r;
	n = t->m->n;
	parsing = t;
	r = parse_source(t, t->root, t->main, NULL);
	parsing = NULL;
	/* A failure without a word is one of memory inside libConfuse. */
	if (r < 0 && t->m->n == n)
		t->no_memory = true;
	return t->no_memory ? -ENOMEM : r;
}

int
config_tree_parse(
    struct config_tree *t, const char *name, const char *text, size_t len)
{
	char *copy;
	size_t n;
	int r;

	r = add_source(t, "", name == NULL ? "" : name, &t->main);
	if (r < 0)
		return r;
	/* Comments are blanked in place. */
	copy = malloc(len + 1);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, text, len);
	n = t->m->n;
	parsing = t;
	t->current = t->main;
	t->depth++;
	r = parse_text(t, t->root, copy, len);
	t->depth--;
	t->current = NULL;
	parsing = NULL;
	free(copy);
	if (r < 0 && t->m->n == n)
		t->no_memory = true;
	return t->no_memory ? -ENOMEM : r;
}

static cfg_opt_t *
find_option(struct cfg_t *section, const char *name, size_t len)
{
	cfg_opt_t *o;

	if (section == NULL)
		return NULL;
	for (o = section->opts; o->name != NULL; o++)
		if (strncmp(o->name, name, len) == 0 && o->name[len] == '\0')
			return o;
	return NULL;
}

static int
set_option(struct config_tree *t, cfg_opt_t *o, const char *text)
{
	cfg_value_t *v;

	t->root->line = 0;
	parsing = t;
	v = cfg_setopt(t->root, o, text);
	parsing = NULL;
	if (v == NULL)
		t->no_memory = true;
	return t->no_memory ? -ENOMEM : 0;
}

int
config_tree_override(struct config_tree *t, const char *assignment)
{
	const struct source *s;
	struct config_place at;
	const char *equals;
	cfg_opt_t *o;
	int r;

	r = add_source(t, "-p ", assignment, &s);
	if (r < 0)
		return r;
	at = place_of(s, 0);
	equals = strchr(assignment, '=');
	if (equals == NULL) {
		config_mistakes_add(t->m, &at, "not of the form KEY=VALUE");
		return -EINVAL;
	}
	o = find_option(t->root, assignment, (size_t)(equals - assignment));
	if (o == NULL || o->type != CFGT_PTR) {
		config_mistakes_add(t->m, &at, "no top-level key \"%.*s\"",
		    (int)(equals - assignment), assignment);
		return -EINVAL;
	}
	t->current = s;
	r = set_option(t, o, equals + 1);
	t->current = NULL;
	return r;
}

struct cfg_t *
config_tree_root(const struct config_tree *t)
{
	return t->root;
}

void
config_tree_place(const struct config_tree *t, struct config_place *at_out)
{
	if (t->main != NULL)
		*at_out = place_of(t->main, 0);
	else
		memset(at_out, 0, sizeof(*at_out));
}

size_t
config_section_count(struct cfg_t *section, const char *kind)
{
	cfg_opt_t *o;

	o = find_option(section, kind, strlen(kind));
	return o == NULL ? 0 : cfg_opt_size(o);
}

struct cfg_t *
config_section_get(struct cfg_t *section, const char *kind, size_t i)
{
	return cfg_opt_getnsec(
	    find_option(section, kind, strlen(kind)), (unsigned)i);
}

const char *
config_section_title(struct cfg_t *section)
{
	return cfg_title(section);
}

const struct config_place *
config_section_place(struct cfg_t *section)
{
	return &config_word_get(section, CONFIG_OPENED_KEY, 0)->at;
}

bool
config_section_has(struct cfg_t *section, const char *key)
{
	cfg_opt_t *o;

	o = find_option(section, key, strlen(key));
	return o != NULL && (o->flags & CFGF_MODIFIED) != 0;
}

size_t
config_word_count(struct cfg_t *section, const char *key)
{
	return config_section_count(section, key);
}

const struct config_word *
config_word_get(struct cfg_t *section, const char *key, size_t i)
{
	cfg_opt_t *o;

	o = find_option(section, key, strlen(key));
	if (o == NULL || i >= cfg_opt_size(o))
		return NULL;
	return cfg_opt_getnptr(o, (unsigned)i);
}
