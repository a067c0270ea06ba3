/* SPDX-License-Identifier: ISC */
/*
 * place.c - where a daemon and its clients meet when nobody says where
 *
 * The XDG Base Directory Specification, and the system's folders for root.
 */
#include "ipc/place.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* An XDG variable counts only when it is an absolute path, says the spec. */
static const char *
get_folder(const char *variable)
{
	const char *path;

	path = getenv(variable);
	return path != NULL && *path == '/' ? path : NULL;
}

static const char *
get_home(void)
{
	const struct passwd *pw;
	const char *home;

	home = get_folder("HOME");
	if (home != NULL)
		return home;
	pw = getpwuid(geteuid());
	return pw == NULL ? NULL : pw->pw_dir;
}

static int
join(const char *folder, const char *rest, char **out)
{
	char *path;

	if (asprintf(&path, "%s%s", folder, rest) < 0)
		return -ENOMEM;
	*out = path;
	return 0;
}

int
place_state_dir(bool root, char **out)
{
	const char *folder;

	if (root)
		return join(LOCALSTATEDIR, "/lib/ganger", out);
	folder = get_folder("XDG_STATE_HOME");
	if (folder != NULL)
		return join(folder, "/ganger", out);
	folder = get_home();
	if (folder == NULL)
		return -ENOENT;
	return join(folder, "/.local/state/ganger", out);
}

int
place_socket(bool root, char **out)
{
	const char *folder;
	char *state_dir;
	int r;

	if (root)
		return join(RUNDIR, "/ganger/ganger.sock", out);
	folder = get_folder("XDG_RUNTIME_DIR");
	if (folder != NULL)
		return join(folder, "/ganger/ganger.sock", out);
	r = place_state_dir(root, &state_dir);
	if (r < 0)
		return r;
	r = join(state_dir, "/ganger.sock", out);
	free(state_dir);
	return r;
}
