/* SPDX-License-Identifier: ISC */
/*
 * skills.c - the task names that a worker knows
 *
 * One block of memory: the list, and behind it the names.
 */
#include "master/broker/skills.h"

#include <stdlib.h>
#include <string.h>

static int
skill_cmp(const void *a, const void *b)
{
	const struct skill *x = a, *y = b;

	return strcmp(x->name, y->name);
}

/* Drop names that are there twice from the sorted list. */
static void
fold(struct skills *s)
{
	size_t i, n;

	for (i = n = 0; i < s->n; i++)
		if (n == 0 || strcmp(s->list[n - 1].name, s->list[i].name) != 0)
			s->list[n++] = s->list[i];
	s->n = n;
}

struct skills *
skills_new(const char *const *names, size_t n, const char *const *commands,
    size_t n_commands)
{
	struct skill key = {0}, *found;
	struct skills *s;
	size_t i, size;
	char *text;

	size = sizeof(*s) + n * sizeof(s->list[0]);
	for (i = 0; i < n; i++)
		size += strlen(names[i]) + 1;
	s = calloc(1, size);
	if (s == NULL)
		return NULL;
	s->refs = 1;
	s->n = n;
	text = (char *)&s->list[n];
	for (i = 0; i < n; i++) {
		s->list[i].name = text;
		text = stpcpy(text, names[i]) + 1;
	}
	qsort(s->list, s->n, sizeof(s->list[0]), skill_cmp);
	fold(s);
	for (i = 0; i < n_commands; i++) {
		key.name = commands[i];
		found =
		    bsearch(&key, s->list, s->n, sizeof(s->list[0]), skill_cmp);
		if (found != NULL)
			found->command = true;
	}
	return s;
}

struct skills *
skills_ref(struct skills *s)
{
	s->refs++;
	return s;
}

void
skills_unref(struct skills *s)
{
	if (s != NULL && --s->refs == 0)
		free(s);
}

bool
skills_match(const struct skills *a, const struct skills *b)
{
	size_t i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (strcmp(a->list[i].name, b->list[i].name) != 0)
			return false;
	return true;
}

bool
skills_equal(const struct skills *a, const struct skills *b)
{
	size_t i;

	if (!skills_match(a, b))
		return false;
	for (i = 0; i < a->n; i++)
		if (a->list[i].command != b->list[i].command)
			return false;
	return true;
}
