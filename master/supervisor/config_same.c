/* SPDX-License-Identifier: ISC */
/*
 * config_same.c - whether parts of two configurations are equal
 *
 * Pure.
 */
#include "master/supervisor/config_same.h"

#include <string.h>

bool
config_same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool
same_words(const struct config_key *k, const void *a, const void *b)
{
	char *const *wa, *const *wb;
	size_t i, na, nb;

	memcpy(&na, (const char *)a + k->n_offset, sizeof(na));
	memcpy(&nb, (const char *)b + k->n_offset, sizeof(nb));
	memcpy(&wa, (const char *)a + k->offset, sizeof(wa));
	memcpy(&wb, (const char *)b + k->offset, sizeof(wb));
	if (na != nb)
		return false;
	for (i = 0; i < na; i++)
		if (strcmp(wa[i], wb[i]) != 0)
			return false;
	return true;
}

static bool
same_rate(const struct config_rate *a, const struct config_rate *b)
{
	return a->count == b->count && a->per_ms == b->per_ms;
}

static bool
same_limit(const struct config_rlimit *a, const struct config_rlimit *b)
{
	return a->set == b->set && (!a->set || a->value == b->value);
}

static bool
same_cpus(const struct config_cpus *a, const struct config_cpus *b)
{
	return a->n == b->n && CPU_EQUAL(&a->set, &b->set);
}

bool
config_same_value(const struct config_key *k, const void *a, const void *b)
{
	const void *fa, *fb;

	fa = (const char *)a + k->offset;
	fb = (const char *)b + k->offset;
	switch (k->type) {
	case KEY_TEXT:
		return config_same_text(*(char *const *)fa, *(char *const *)fb);
	case KEY_DURATION:
	case KEY_SIZE:
	case KEY_UINT64:
		return *(const uint64_t *)fa == *(const uint64_t *)fb;
	case KEY_RATE:
		return same_rate(fa, fb);
	case KEY_UNSIGNED:
	case KEY_INT:
	case KEY_COUNT:
	case KEY_CHOICE:
		return *(const unsigned *)fa == *(const unsigned *)fb;
	case KEY_BOOL:
		return *(const bool *)fa == *(const bool *)fb;
	case KEY_MODE:
	case KEY_UMASK:
		return *(const mode_t *)fa == *(const mode_t *)fb;
	case KEY_CPUS:
		return same_cpus(fa, fb);
	case KEY_LIMIT_SIZE:
	case KEY_LIMIT_COUNT:
	case KEY_LIMIT_TIME:
		return same_limit(fa, fb);
	case KEY_WORDS:
		return same_words(k, a, b);
	case KEY_OTHER:
		break;
	}
	return true;
}

bool
config_same_account(
    const struct config_account *a, const struct config_account *b)
{
	return config_same_text(a->user, b->user) &&
	       config_same_text(a->group, b->group) && a->uid == b->uid &&
	       a->gid == b->gid;
}

bool
config_same_access(const struct config_access *a, const struct config_access *b)
{
	size_t i;

	if (a->n != b->n)
		return false;
	for (i = 0; i < a->n; i++)
		if (strcmp(a->list[i].text, b->list[i].text) != 0 ||
		    a->list[i].uid != b->list[i].uid ||
		    a->list[i].gid != b->list[i].gid)
			return false;
	return true;
}
