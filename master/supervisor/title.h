/* SPDX-License-Identifier: ISC */
/*
 * title.h - what ps(1) shows of a process
 */
#ifndef GANGER_SUPERVISOR_TITLE_H
#define GANGER_SUPERVISOR_TITLE_H

/*
 * Make room for a title where main's arguments and the environment are, which
 * are moved.  Call it before there are threads, and before set.
 */
void title_init(int argc, char **argv, char **envp);

/* Show "gangerd: TITLE". */
void title_set(const char *title);

#endif
