/* SPDX-License-Identifier: ISC */
/*
 * config_print.c - the effective configuration as text
 *
 * What libConfuse would interpret inside of a string is escaped.
 */
#include "master/supervisor/config_print.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "ipc/json.h"
#include "master/supervisor/config_limit.h"
#include "master/supervisor/config_value.h"

struct printer {
	const struct config *c;
	struct buf *out;
	unsigned depth; /* of sections */
};

static void
print_indent(struct printer *p)
{
	unsigned i;

	for (i = 0; i < p->depth; i++)
		buf_addc(p->out, '\t');
}

/* Controls, and bytes that are not UTF-8, are written as numbers. */
static void
print_quoted(struct printer *p, const char *s)
{
	size_t n, left;

	buf_addc(p->out, '"');
	for (left = strlen(s); left > 0; s += n, left -= n) {
		n = json_utf8_char(s, left);
		if (*s == '"' || *s == '\\' || *s == '$')
			buf_addc(p->out, '\\');
		if (n > 0 && !iscntrl((unsigned char)*s)) {
			buf_add(p->out, s, n);
		} else {
			buf_printf(p->out, "\\x%02x", (unsigned char)*s);
			n = 1;
		}
	}
	buf_addc(p->out, '"');
}

static void
open_section(struct printer *p, const char *kind, const char *title)
{
	buf_addc(p->out, '\n');
	print_indent(p);
	buf_adds(p->out, kind);
	if (title != NULL) {
		buf_addc(p->out, ' ');
		print_quoted(p, title);
	}
	buf_adds(p->out, " {\n");
	p->depth++;
}

static void
close_section(struct printer *p)
{
	p->depth--;
	print_indent(p);
	buf_adds(p->out, "}\n");
}

static void
print_words(struct printer *p, char *const *words, size_t n)
{
	size_t i;

	buf_addc(p->out, '{');
	for (i = 0; i < n; i++) {
		if (i > 0)
			buf_adds(p->out, ", ");
		print_quoted(p, words[i]);
	}
	buf_addc(p->out, '}');
}

static void
print_access(struct printer *p, const struct config_access *a)
{
	size_t i;

	buf_addc(p->out, '{');
	for (i = 0; i < a->n; i++) {
		if (i > 0)
			buf_adds(p->out, ", ");
		print_quoted(p, a->list[i].text);
	}
	buf_addc(p->out, '}');
}

static void
print_take(struct printer *p, const struct config_pool *pool)
{
	const struct config_take *take;
	size_t i;

	buf_addc(p->out, '{');
	for (i = 0; i < pool->n_take; i++) {
		take = &pool->take[i];
		buf_printf(p->out, "%s\"%s:%u\"", i == 0 ? "" : ", ",
		    p->c->queues[take->queue].name, take->weight);
	}
	buf_addc(p->out, '}');
}

/* Start a line with the key; the value and the newline follow. */
static void
print_key(struct printer *p, const char *name)
{
	print_indent(p);
	buf_adds(p->out, name);
	buf_adds(p->out, " = ");
}

static void
print_number(struct printer *p, const struct config_key *k, const void *field)
{
	if (k->type == KEY_UINT64)
		buf_add_uint(p->out, *(const uint64_t *)field);
	else if (k->type == KEY_INT)
		buf_add_int(p->out, *(const int *)field);
	else if (k->type == KEY_COUNT && *(const unsigned *)field == 0)
		print_quoted(p, "auto");
	else
		buf_add_uint(p->out, *(const unsigned *)field);
}

static void
print_scaled(struct printer *p, const struct config_key *k, const void *field)
{
	char text[VALUE_TEXT_SIZE];

	if (k->type == KEY_SIZE)
		value_format_size(*(const uint64_t *)field, text);
	else
		value_format_duration(*(const int64_t *)field, text);
	print_quoted(p, text);
}

static void
print_rate(struct printer *p, const struct config_rate *rate)
{
	char text[VALUE_TEXT_SIZE];

	value_format_rate(rate->count, rate->per_ms, text);
	print_quoted(p, text);
}

static void
print_limit(struct printer *p, const struct config_key *k, const void *field)
{
	char text[VALUE_TEXT_SIZE];

	if (k->type == KEY_UMASK)
		config_limit_format_umask(*(const mode_t *)field, text);
	else
		config_limit_format(k, field, text);
	print_quoted(p, text);
}

static void
print_value(struct printer *p, const struct config_key *k, const void *base)
{
	const void *field;
	const char *text;

	field = (const char *)base + k->offset;
	switch (k->type) {
	case KEY_TEXT:
		text = *(char *const *)field;
		print_quoted(p, text == NULL ? "" : text);
		break;
	case KEY_DURATION:
	case KEY_SIZE:
		print_scaled(p, k, field);
		break;
	case KEY_RATE:
		print_rate(p, field);
		break;
	case KEY_UINT64:
	case KEY_UNSIGNED:
	case KEY_INT:
	case KEY_COUNT:
		print_number(p, k, field);
		break;
	case KEY_BOOL:
		buf_adds(p->out, *(const bool *)field ? "yes" : "no");
		break;
	case KEY_MODE:
		buf_printf(
		    p->out, "\"%04o\"", (unsigned)*(const mode_t *)field);
		break;
	case KEY_UMASK:
	case KEY_LIMIT_SIZE:
	case KEY_LIMIT_COUNT:
	case KEY_LIMIT_TIME:
		print_limit(p, k, field);
		break;
	case KEY_CPUS:
		buf_addc(p->out, '"');
		config_limit_format_cpus(field, p->out);
		buf_addc(p->out, '"');
		break;
	case KEY_CHOICE:
		print_quoted(p, k->choices[*(const unsigned *)field]);
		break;
	case KEY_WORDS:
		print_words(p, *(char **const *)field,
		    *(const size_t *)(const void *)((const char *)base +
						    k->n_offset));
		break;
	case KEY_OTHER:
		break;
	}
}

static void
print_keys(struct printer *p, const struct config_key *keys, const void *base)
{
	const struct config_key *k;

	for (k = keys; k->name != NULL; k++) {
		if (k->type == KEY_OTHER)
			continue;
		print_key(p, k->name);
		print_value(p, k, base);
		buf_addc(p->out, '\n');
	}
}

static void
print_classes(struct printer *p)
{
	const struct config_key *k;

	open_section(p, "access", NULL);
	for (k = config_keys_access; k->name != NULL; k++) {
		print_key(p, k->name);
		print_access(p, (const void *)((const char *)p->c + k->offset));
		buf_addc(p->out, '\n');
	}
	close_section(p);
}

static void
print_pool(struct printer *p, const struct config_pool *pool)
{
	struct config_pool shown;
	size_t i;

	shown = *pool;
	if (shown.processes_auto)
		shown.processes = 0;
	open_section(p, "pool", pool->name);
	print_key(p, "queues");
	print_take(p, pool);
	buf_addc(p->out, '\n');
	print_keys(p, config_keys_pool, &shown);
	for (i = 0; i < pool->n_commands; i++) {
		open_section(p, "command", pool->commands[i].name);
		print_keys(p, config_keys_command, &pool->commands[i]);
		close_section(p);
	}
	close_section(p);
}

void
config_print_value(
    const struct config_key *k, const void *base, struct buf *out)
{
	struct printer p = {.out = out};

	print_value(&p, k, base);
}

int
config_print(const struct config *c, struct buf *out)
{
	struct printer p = {.c = c, .out = out};
	size_t i;

	print_keys(&p, config_keys_top, c);
	print_classes(&p);
	for (i = 0; i < c->n_pools; i++)
		print_pool(&p, &c->pools[i]);
	for (i = 0; i < c->n_queues; i++) {
		open_section(&p, "queue", c->queues[i].name);
		print_keys(&p, config_keys_queue, &c->queues[i]);
		close_section(&p);
	}
	return buf_error(out);
}
