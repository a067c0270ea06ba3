/* SPDX-License-Identifier: ISC */
/*
 * module_build.c - task modules compiled while a test runs
 */
#include "tests/lib/module_build.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[4096];

const char *
module_build_dir(void)
{
	const char *tmp;

	if (dir[0] == '\0') {
		tmp = getenv("TMPDIR");
		snprintf(dir, sizeof(dir), "%s/ganger-test-XXXXXX",
		    tmp == NULL ? "/tmp" : tmp);
		assert_non_null(mkdtemp(dir));
	}
	return dir;
}

void
module_build_clean(void)
{
	const struct dirent *e;
	DIR *d;

	if (dir[0] == '\0' || (d = opendir(dir)) == NULL)
		return;
	while ((e = readdir(d)) != NULL)
		(void)unlinkat(dirfd(d), e->d_name, 0);
	closedir(d);
	(void)rmdir(dir);
	dir[0] = '\0';
}

char *
module_build_file(const char *name, const char *text)
{
	char *path;
	FILE *f;

	assert_true(asprintf(&path, "%s/%s", module_build_dir(), name) > 0);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return path;
}

char *
module_build(const char *name, const char *source)
{
	char *text, *c_path, *so_path, *command;
	const char *cc;

	assert_true(
	    asprintf(&text, "#include \"worker/handler.h\"\n%s", source) > 0);
	assert_true(asprintf(&so_path, "%s.c", name) > 0);
	c_path = module_build_file(so_path, text);
	free(so_path);
	assert_true(
	    asprintf(&so_path, "%s/%s.so", module_build_dir(), name) > 0);
	cc = getenv("CC");
	assert_true(asprintf(&command, "%s -shared -fPIC -I. -o '%s' '%s'",
			cc == NULL ? "cc" : cc, so_path, c_path) > 0);
	assert_int_equal(system(command), 0);
	free(command);
	free(c_path);
	free(text);
	return so_path;
}
