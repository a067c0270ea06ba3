/* SPDX-License-Identifier: ISC */
/*
 * title.c - what ps(1) shows of a process
 *
 * libbsd leaves a dot behind a title that is shorter than the program's name
 * was, for kernels of old; ps shows it behind the blanks that are the rest.
 */
#include "master/supervisor/title.h"

#include <string.h>
#include <unistd.h>

#include <bsd/unistd.h>

static char *name_end; /* where the NUL of argv[0] was; NULL: not set up */

void
title_init(int argc, char **argv, char **envp)
{
	name_end = argv[0] == NULL ? NULL : argv[0] + strlen(argv[0]);
	setproctitle_init(argc, argv, envp);
}

void
title_set(const char *title)
{
	setproctitle("%s", title);
	if (name_end != NULL && *name_end == '.' && name_end[-1] == '\0')
		*name_end = '\0';
}
