/* SPDX-License-Identifier: ISC */
/*
 * limits.c - what a pool's processes may use, laid on a child after the fork
 */
#include "master/supervisor/limits.h"

#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/*
 * The limits on memory come last, so that they can't fail what is still to be
 * done; niceness comes first, for RLIMIT_NICE is not ours to set.
 */
static const struct {
	enum config_rlimit_kind kind;
	__rlimit_resource_t resource;
	const char *key;
} steps[] = {
    {CONFIG_RLIMIT_CORE, RLIMIT_CORE, "rlimit_core"},
    {CONFIG_RLIMIT_CPU, RLIMIT_CPU, "rlimit_cpu"},
    {CONFIG_RLIMIT_FSIZE, RLIMIT_FSIZE, "rlimit_fsize"},
    {CONFIG_RLIMIT_NOFILE, RLIMIT_NOFILE, "rlimit_nofile"},
    {CONFIG_RLIMIT_NPROC, RLIMIT_NPROC, "rlimit_nproc"},
    {CONFIG_RLIMIT_MEMLOCK, RLIMIT_MEMLOCK, "rlimit_memlock"},
    {CONFIG_RLIMIT_STACK, RLIMIT_STACK, "rlimit_stack"},
    {CONFIG_RLIMIT_DATA, RLIMIT_DATA, "rlimit_data"},
    {CONFIG_RLIMIT_AS, RLIMIT_AS, "rlimit_as"},
};

_Static_assert(sizeof(steps) / sizeof(steps[0]) == CONFIG_N_RLIMITS,
    "a step for each limit");

static int
set_limits(const struct config_pool *pool, const char **step_out)
{
	const struct config_rlimit *want;
	struct rlimit lim;
	size_t i;

	for (i = 0; i < CONFIG_N_RLIMITS; i++) {
		want = &pool->rlimits[steps[i].kind];
		if (!want->set)
			continue;
		lim.rlim_cur = want->value;
		lim.rlim_max = want->value;
		if (setrlimit(steps[i].resource, &lim) < 0) {
			*step_out = steps[i].key;
			return -errno;
		}
	}
	return 0;
}

int
limits_apply(const struct config_pool *pool, const char **step_out)
{
	errno = 0;
	if (pool->nice != 0 && nice(pool->nice) == -1 && errno != 0) {
		*step_out = "nice";
		return -errno;
	}
	if (pool->cpus.n > 0 &&
	    sched_setaffinity(0, sizeof(pool->cpus.set), &pool->cpus.set) < 0) {
		*step_out = "cpus";
		return -errno;
	}
	if (pool->umask != CONFIG_NO_UMASK)
		(void)umask(pool->umask);
	return set_limits(pool, step_out);
}

int
limits_drop_privileges(void)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}
