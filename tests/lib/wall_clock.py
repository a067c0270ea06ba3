# SPDX-License-Identifier: ISC
"""A wall clock that is set at will, for one daemon and not for the machine."""

import subprocess

import pytest

from ganger import SANITIZED

HOUR = 3600

CLOCK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

/* The wall clock, moved by as many seconds as the file at $CLOCK says. */
static long
shift(void)
{
	static __thread int busy;
	const char *path = getenv("CLOCK");
	long s = 0;
	FILE *f;

	if (busy || path == NULL)
		return 0;
	busy = 1;
	f = fopen(path, "re");
	if (f != NULL) {
		if (fscanf(f, "%ld", &s) != 1)
			s = 0;
		fclose(f);
	}
	busy = 0;
	return s;
}

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	static int (*next)(clockid_t, struct timespec *);
	int r;

	if (next == NULL)
		next = (int (*)(clockid_t, struct timespec *))dlsym(
		    RTLD_NEXT, "clock_gettime");
	r = next(id, ts);
	if (r == 0 && id == CLOCK_REALTIME)
		ts->tv_sec += shift();
	return r;
}

int
gettimeofday(struct timeval *tv, void *zone)
{
	struct timespec ts;

	(void)zone;
	clock_gettime(CLOCK_REALTIME, &ts);
	tv->tv_sec = ts.tv_sec;
	tv->tv_usec = ts.tv_nsec / 1000;
	return 0;
}

time_t
time(time_t *out)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	if (out != NULL)
		*out = ts.tv_sec;
	return ts.tv_sec;
}
"""


class WallClock:
    """One that is set at will, for a daemon that is started with env."""

    def __init__(self, folder):
        if SANITIZED:
            pytest.skip("a sanitizer must be loaded first")
        self.file = folder / "clock"
        self.set(0)
        source = folder / "clock.c"
        source.write_text(CLOCK)
        library = folder / "clock.so"
        subprocess.run(
            ["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"],
            check=True,
        )
        self.env = {"LD_PRELOAD": str(library), "CLOCK": str(self.file)}

    def set(self, shift):
        new = self.file.with_suffix(".new")
        new.write_text(f"{shift}\n")
        new.rename(self.file)
