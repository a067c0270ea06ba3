/* SPDX-License-Identifier: ISC */
/*
 * config_default.c - defaults that depend on the machine
 */
#include "master/supervisor/config_default.h"

#include <errno.h>

int
config_default_cpus(cpu_set_t *out)
{
	/* Fails with over CPU_SETSIZE processors. */
	return sched_getaffinity(0, sizeof(*out), out) < 0 ? -errno : 0;
}

unsigned
config_default_processes(void)
{
	cpu_set_t set;
	int n;

	if (config_default_cpus(&set) < 0)
		return 1;
	n = CPU_COUNT(&set);
	return n > 0 ? (unsigned)n : 1;
}

int
config_default_rlimit(enum config_rlimit_kind kind, rlim_t *hard_out)
{
	static const __rlimit_resource_t resources[CONFIG_N_RLIMITS] = {
	    [CONFIG_RLIMIT_AS] = RLIMIT_AS,
	    [CONFIG_RLIMIT_CORE] = RLIMIT_CORE,
	    [CONFIG_RLIMIT_CPU] = RLIMIT_CPU,
	    [CONFIG_RLIMIT_DATA] = RLIMIT_DATA,
	    [CONFIG_RLIMIT_FSIZE] = RLIMIT_FSIZE,
	    [CONFIG_RLIMIT_MEMLOCK] = RLIMIT_MEMLOCK,
	    [CONFIG_RLIMIT_NOFILE] = RLIMIT_NOFILE,
	    [CONFIG_RLIMIT_NPROC] = RLIMIT_NPROC,
	    [CONFIG_RLIMIT_STACK] = RLIMIT_STACK,
	};
	struct rlimit lim;

	if (getrlimit(resources[kind], &lim) < 0)
		return -errno;
	*hard_out = lim.rlim_max;
	return 0;
}
