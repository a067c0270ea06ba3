/* SPDX-License-Identifier: ISC */
/*
 * config_check.c - what must hold between keys, and between them and the host
 *
 * A value that was refused has its default by now, so that it causes no second
 * complaint here.
 */
#include "master/supervisor/config_check.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "master/supervisor/config_default.h"
#include "master/supervisor/config_key.h"
#include "master/supervisor/config_parse.h"

static unsigned
clamp(unsigned v, unsigned min, unsigned max)
{
	return v < min ? min : v > max ? max : v;
}

/* Tell of a key of the section, which has it. */
static void
complain_bound(struct cfg_t *section, const char *key, unsigned value,
    unsigned max, struct config_mistakes *m)
{
	config_mistakes_add(m, &config_word_get(section, key, 0)->at,
	    "%s: %u is over max_processes, which is %u", key, value, max);
}

/* min_processes without max_processes, unless the latter was refused. */
static void
check_alone(
    struct config_pool *p, struct cfg_t *section, struct config_mistakes *m)
{
	const struct config_word *max;

	max = config_word_get(section, "max_processes", 0);
	if (max == NULL || strcmp(max->text, "0") == 0)
		config_mistakes_add(m,
		    &config_word_get(section, "min_processes", 0)->at,
		    "min_processes: needs max_processes as well");
	p->min_processes = 0;
}

/* The bounds of a pool whose max_processes is set. */
static void
settle_bounds(struct config_pool *p, struct cfg_t *section, bool given,
    struct config_mistakes *m)
{
	unsigned min, max;

	min = p->min_processes;
	max = p->max_processes;
	if (p->processes_auto)
		p->processes = clamp(p->processes, min == 0 ? 1 : min, max);
	if (min > max) {
		complain_bound(section, "min_processes", min, max, m);
	} else if (given && p->processes > max) {
		complain_bound(section, "processes", p->processes, max, m);
	} else if (given && p->processes < min) {
		config_mistakes_add(m,
		    &config_word_get(section, "processes", 0)->at,
		    "processes: %u is under min_processes, which is %u",
		    p->processes, min);
	}
	if (min == 0)
		p->min_processes = given ? p->processes : 1;
	if (!given)
		p->processes = p->min_processes;
}

static void
settle_processes(
    struct config_pool *p, struct cfg_t *section, struct config_mistakes *m)
{
	bool given;

	given = config_word_get(section, "processes", 0) != NULL;
	if (p->max_processes == 0 && p->min_processes > 0)
		check_alone(p, section, m);
	p->processes_auto =
	    p->processes == 0 && (given || p->max_processes == 0);
	if (p->processes == 0)
		p->processes = config_default_processes();
	if (p->max_processes > 0)
		settle_bounds(p, section, given, m);
}

static void
check_cpus(const struct config_pool *p, struct cfg_t *section,
    struct config_mistakes *m)
{
	const struct config_word *w;
	cpu_set_t there;
	unsigned i;

	if (p->cpus.n == 0 || config_default_cpus(&there) < 0)
		return;
	for (i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &p->cpus.set) && !CPU_ISSET(i, &there))
			break;
	if (i == CPU_SETSIZE)
		return;
	w = config_word_get(section, "cpus", 0);
	config_mistakes_add(m, &w->at,
	    "cpus: \"%s\": there is no processor %u to run on", w->text, i);
}

/* Only root can raise a hard limit. */
static void
check_rlimits(const struct config_pool *p, struct cfg_t *section,
    struct config_mistakes *m)
{
	const struct config_rlimit *limit;
	const struct config_key *k;
	const struct config_word *w;
	rlim_t hard;

	if (geteuid() == 0)
		return;
	for (k = config_keys_pool; k->name != NULL; k++) {
		if (!config_key_is_limit(k))
			continue;
		limit = (const void *)((const char *)p + k->offset);
		if (!limit->set ||
		    config_default_rlimit(limit - p->rlimits, &hard) < 0 ||
		    limit->value <= hard)
			continue;
		w = config_word_get(section, k->name, 0);
		config_mistakes_add(m, &w->at,
		    "%s: \"%s\" is over the hard limit, %" PRIu64
		    ", which only root raises",
		    k->name, w->text, (uint64_t)hard);
	}
}

void
config_check_timeouts(struct cfg_t *section, int64_t soft_ms, int64_t hard_ms,
    struct config_mistakes *m)
{
	const struct config_word *w;

	if (soft_ms == 0 || hard_ms == 0 || soft_ms <= hard_ms)
		return;
	w = config_word_get(section, "soft_timeout", 0);
	config_mistakes_add(m, &w->at,
	    "soft_timeout: \"%s\" is over timeout, which ends the task before",
	    w->text);
}

void
config_check_pool(
    struct config_pool *p, struct cfg_t *section, struct config_mistakes *m)
{
	settle_processes(p, section, m);
	config_check_timeouts(section, p->soft_timeout_ms, p->timeout_ms, m);
	check_cpus(p, section, m);
	check_rlimits(p, section, m);
}
