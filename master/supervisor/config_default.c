/* SPDX-License-Identifier: ISC */
/*
 * config_default.c - defaults that depend on the machine
 */
#include "master/supervisor/config_default.h"

#include <sched.h>

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
