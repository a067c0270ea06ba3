/* SPDX-License-Identifier: ISC */
/*
 * config_default.c - defaults that depend on who runs the daemon, and where
 */
#include "master/supervisor/config_default.h"

#include <errno.h>
#include <pwd.h>
#include <sched.h>
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
config_default_state_dir(bool root, char **out)
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
config_default_socket(bool root, char **out)
{
	const char *folder;
	char *state_dir;
	int r;

	if (root)
		return join(RUNDIR, "/ganger/ganger.sock", out);
	folder = get_folder("XDG_RUNTIME_DIR");
	if (folder != NULL)
		return join(folder, "/ganger/ganger.sock", out);
	r = config_default_state_dir(root, &state_dir);
	if (r < 0)
		return r;
	r = join(state_dir, "/ganger.sock", out);
	free(state_dir);
	return r;
}

unsigned
config_default_processes(void)
{
	cpu_set_t set;
	int n;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1; /* over CPU_SETSIZE processors: nobody's default */
	n = CPU_COUNT(&set);
	return n > 0 ? (unsigned)n : 1;
}
