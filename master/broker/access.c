/* SPDX-License-Identifier: ISC */
/*
 * access.c - which methods a client may call, by its uid and gid
 *
 * Looked up once for each connection, as the kernel told its peer when it
 * connected, and anew when a reload changes the lists.  A group entry is met
 * by the primary group or a supplementary one.
 */
#include "master/broker/access.h"

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

#define GROUPS_MAX 256

/* The groups of uid; returns how many are in groups. */
static int
find_groups(const struct sock_cred *cred, gid_t groups[GROUPS_MAX])
{
	struct passwd *pw;
	int n;

	groups[0] = cred->gid;
	n = GROUPS_MAX;
	pw = getpwuid(cred->uid);
	if (pw == NULL || getgrouplist(pw->pw_name, cred->gid, groups, &n) < 0)
		return 1;
	return n;
}

static bool
is_listed(const struct broker_access *list, size_t n_list,
    const struct sock_cred *cred)
{
	gid_t groups[GROUPS_MAX];
	int n_groups, g;
	size_t i;

	n_groups = 0;
	for (i = 0; i < n_list; i++) {
		if (list[i].anyone)
			return true;
		if (!list[i].is_group) {
			if (list[i].uid == cred->uid)
				return true;
			continue;
		}
		if (n_groups == 0)
			n_groups = find_groups(cred, groups);
		for (g = 0; g < n_groups; g++)
			if (groups[g] == list[i].gid)
				return true;
	}
	return false;
}

unsigned
access_classes(const struct broker_settings *s, const struct sock_cred *cred)
{
	unsigned classes;
	int c;

	if (cred->uid == 0 || cred->uid == geteuid())
		return (1u << BROKER_N_CLASSES) - 1;
	classes = 0;
	for (c = 0; c < BROKER_N_CLASSES; c++)
		if (is_listed(s->access[c], s->n_access[c], cred))
			classes |= 1u << c;
	return classes;
}

bool
access_is_equal(
    const struct broker_settings *a, const struct broker_settings *b)
{
	size_t i;
	int c;

	for (c = 0; c < BROKER_N_CLASSES; c++) {
		if (a->n_access[c] != b->n_access[c])
			return false;
		for (i = 0; i < a->n_access[c]; i++) {
			const struct broker_access *x = &a->access[c][i];
			const struct broker_access *y = &b->access[c][i];

			if (x->anyone != y->anyone ||
			    x->is_group != y->is_group || x->uid != y->uid ||
			    x->gid != y->gid)
				return false;
		}
	}
	return true;
}

const char *access_class_name(enum broker_class class)
{
	static const char *const names[] = {"submit", "observe", "admin"};

	return names[class];
}
