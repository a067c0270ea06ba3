/* SPDX-License-Identifier: ISC */
/*
 * module_build.h - task modules compiled while a test runs
 *
 * The test runs in the root of the source tree.
 */
#ifndef GANGER_TESTS_LIB_MODULE_BUILD_H
#define GANGER_TESTS_LIB_MODULE_BUILD_H

/* A folder of the test's own, under $TMPDIR.  Borrowed; made on first use. */
const char *module_build_dir(void);

/* Remove the folder and what is in it. */
void module_build_clean(void);

/* Write text to the file name in the folder; its path is the caller's. */
char *module_build_file(const char *name, const char *text);

/*
 * Compile the C source into the shared object name.so there, with $CC, cc if
 * unset; its path is the caller's.  handler.h is included for it.
 */
char *module_build(const char *name, const char *source);

#endif
