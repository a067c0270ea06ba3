/* SPDX-License-Identifier: ISC */
/*
 * rss.h - how much memory a process has resident
 */
#ifndef GANGER_SUPERVISOR_RSS_H
#define GANGER_SUPERVISOR_RSS_H

#include <stdint.h>
#include <sys/types.h>

/*
 * The resident bytes of a process, which is the caller's child and not reaped,
 * from /proc; 0 for one that has ended.  0, or -errno with *bytes_out
 * untouched.
 */
int rss_of(pid_t pid, uint64_t *bytes_out);

#endif
