/* SPDX-License-Identifier: ISC */
/*
 * config_mistake.c - what is wrong in a configuration, in the order of its text
 */
#include "master/supervisor/config_mistake.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct config_mistake {
	struct config_place at;
	size_t number; /* in the order of finding */
	char *text;    /* owned */
};

void
config_mistakes_init(struct config_mistakes *m)
{
	memset(m, 0, sizeof(*m));
}

void
config_mistakes_done(struct config_mistakes *m)
{
	size_t i;

	for (i = 0; i < m->n; i++)
		free(m->list[i].text);
	free(m->list);
	config_mistakes_init(m);
}

static int
push(struct config_mistakes *m, const struct config_place *at, char *text)
{
	struct config_mistake *list;

	list = reallocarray(m->list, m->n + 1, sizeof(*list));
	if (list == NULL)
		return -ENOMEM;
	m->list = list;
	list += m->n;
	memset(list, 0, sizeof(*list));
	if (at != NULL)
		list->at = *at;
	list->number = m->n++;
	list->text = text;
	return 0;
}

void
config_mistakes_vadd(struct config_mistakes *m, const struct config_place *at,
    const char *fmt, va_list ap)
{
	struct buf b;
	char *text;

	buf_init(&b, SIZE_MAX);
	buf_vprintf(&b, fmt, ap);
	text = buf_steal(&b, NULL);
	buf_done(&b);
	if (text == NULL || push(m, at, text) < 0) {
		free(text);
		m->error = -ENOMEM;
	}
}

void
config_mistakes_add(struct config_mistakes *m, const struct config_place *at,
    const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	config_mistakes_vadd(m, at, fmt, ap);
	va_end(ap);
}

static int
compare(const void *pa, const void *pb)
{
	const struct config_mistake *a, *b;

	a = pa;
	b = pb;
	if (a->at.rank != b->at.rank)
		return a->at.rank < b->at.rank ? -1 : 1;
	if (a->at.line != b->at.line)
		return a->at.line < b->at.line ? -1 : 1;
	return a->number < b->number ? -1 : 1;
}

static void
add_shown(struct buf *out, const char *s)
{
	for (; *s != '\0'; s++)
		buf_addc(out, iscntrl((unsigned char)*s) ? '?' : *s);
}

void
config_mistakes_tell(struct config_mistakes *m, struct buf *out)
{
	const struct config_mistake *it;
	size_t i;

	if (m->n > 1)
		qsort(m->list, m->n, sizeof(m->list[0]), compare);
	for (i = 0; i < m->n; i++) {
		it = &m->list[i];
		if (it->at.file != NULL)
			add_shown(out, it->at.file);
		if (it->at.line > 0)
			buf_printf(out, ":%u", it->at.line);
		if (it->at.file != NULL)
			buf_adds(out, ": ");
		add_shown(out, it->text);
		buf_addc(out, '\n');
	}
}
