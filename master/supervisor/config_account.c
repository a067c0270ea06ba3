/* SPDX-License-Identifier: ISC */
/*
 * config_account.c - the users and groups that a configuration names
 */
#include "master/supervisor/config_account.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "master/supervisor/config_parse.h"
#include "master/supervisor/config_value.h"

/* (uid_t)-1 means "none" to the kernel. */
#define UID_LAST (INT64_C(0xffffffff) - 1)

static void
complain(struct cfg_t *section, const char *key, const char *what,
    struct config_mistakes *m)
{
	const struct config_word *w;

	w = config_word_get(section, key, 0);
	config_mistakes_add(
	    m, &w->at, "%s: no such %s \"%s\"", key, what, w->text);
}

void
config_account_resolve(const struct config *c, struct config_account *a,
    struct cfg_t *section, struct config_mistakes *m)
{
	const struct passwd *pw;
	const struct group *gr;

	a->uid = CONFIG_NO_UID;
	a->gid = CONFIG_NO_GID;
	if (c->lookup && a->user != NULL) {
		pw = getpwnam(a->user);
		if (pw != NULL) {
			a->uid = pw->pw_uid;
			a->gid = pw->pw_gid;
		} else {
			complain(section, "user", "user", m);
		}
	}
	if (c->lookup && a->group != NULL) {
		gr = getgrnam(a->group);
		if (gr != NULL)
			a->gid = gr->gr_gid;
		else
			complain(section, "group", "group", m);
	}
}

void
config_account_resolve_socket(
    struct config *c, struct cfg_t *section, struct config_mistakes *m)
{
	const struct group *gr;

	c->socket_gid = CONFIG_NO_GID;
	if (c->socket_group == NULL || !c->lookup)
		return;
	gr = getgrnam(c->socket_group);
	if (gr != NULL)
		c->socket_gid = gr->gr_gid;
	else
		complain(section, "socket_group", "group", m);
}

static enum config_who_kind
kind_of(const char *text)
{
	if (strcmp(text, "*") == 0)
		return CONFIG_WHO_ALL;
	return *text == '@' ? CONFIG_WHO_GROUP : CONFIG_WHO_USER;
}

/* Fill in the id.  Returns what is missing, or NULL. */
static const char *
resolve_who(struct config_who *who)
{
	const struct passwd *pw;
	const struct group *gr;
	int64_t uid;

	if (who->kind == CONFIG_WHO_ALL)
		return NULL;
	if (who->kind == CONFIG_WHO_GROUP) {
		gr = getgrnam(who->text + 1);
		if (gr == NULL)
			return "group";
		who->gid = gr->gr_gid;
		return NULL;
	}
	pw = getpwnam(who->text);
	if (pw != NULL) {
		who->uid = pw->pw_uid;
		return NULL;
	}
	if (value_parse_number(who->text, 0, UID_LAST, &uid) < 0)
		return "user";
	who->uid = (uid_t)uid;
	return NULL;
}

static struct config_who *
add_who(struct config_access *a, const char *text)
{
	struct config_who *who;

	who = &a->list[a->n];
	who->text = strdup(text);
	if (who->text == NULL)
		return NULL;
	a->n++;
	who->kind = kind_of(text);
	who->uid = CONFIG_NO_UID;
	who->gid = CONFIG_NO_GID;
	return who;
}

int
config_access_read(struct config *c, const struct config_key *k,
    struct cfg_t *section, struct config_mistakes *m)
{
	const struct config_word *w;
	struct config_access *a;
	struct config_who *who;
	const char *missing;
	size_t i, n;
	bool given;

	a = (void *)((char *)c + k->offset);
	given = config_section_has(section, k->name);
	n = given ? config_word_count(section, k->name) : k->fallback != NULL;
	a->list = calloc(n + 1, sizeof(*a->list));
	if (a->list == NULL)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		w = config_word_get(section, k->name, i);
		who = add_who(a, w == NULL ? k->fallback : w->text);
		if (who == NULL)
			return -ENOMEM;
		missing = c->lookup ? resolve_who(who) : NULL;
		if (w != NULL && missing != NULL)
			config_mistakes_add(m, &w->at, "%s: no such %s \"%s\"",
			    k->name, missing, w->text);
	}
	return 0;
}

void
config_access_free(struct config_access *a)
{
	size_t i;

	for (i = 0; i < a->n; i++)
		free(a->list[i].text);
	free(a->list);
}
