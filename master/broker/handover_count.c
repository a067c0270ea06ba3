/* SPDX-License-Identifier: ISC */
/*
 * handover_count.c - what the broker has counted, as records
 *
 * How many tasks wait or run is counted anew as they come.
 */
#include "master/broker/handover_count.h"

#include <errno.h>

#include "master/broker/handover_field.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

#define STAT(member)  HANDOVER_FIELD(broker_stats, member, HANDOVER_64)
#define COUNT(member) HANDOVER_FIELD(queue_counts, member, HANDOVER_64)
#define PARTING(member, type) \
	HANDOVER_FIELD(broker_queue_settings, member, type)

static const struct handover_field stats_fields[] = {
    STAT(connections),
    STAT(requests),
    STAT(submitted),
    STAT(succeeded),
    STAT(failed),
    STAT(cancelled),
    STAT(expired),
    STAT(quarantined),
    STAT(retried),
    STAT(requeued),
    STAT(recovered),
};

static const struct handover_field queue_fields[] = {
    COUNT(succeeded),
    COUNT(failed),
    COUNT(cancelled),
    COUNT(expired),
};

/* Of a queue that is gone from the settings. */
static const struct handover_field parting_fields[] = {
    PARTING(priority, HANDOVER_32),
    PARTING(retries, HANDOVER_32),
    PARTING(timeout_ms, HANDOVER_64),
    PARTING(soft_timeout_ms, HANDOVER_64),
    PARTING(max_queued, HANDOVER_64),
    PARTING(max_running, HANDOVER_64),
    PARTING(rate_count, HANDOVER_64),
    PARTING(rate_ms, HANDOVER_64),
};

static void
save_queue(const struct queue *q, struct handover_out *o)
{
	struct buf *out = handover_out_begin(o, "queue");

	handover_add_str(out, "name", q->name);
	handover_add_int(out, "n_stranded", (int64_t)q->n_stranded);
	handover_add_fields(out, queue_fields, N(queue_fields), &q->count);
	if (q->leaving)
		handover_add_fields(
		    out, parting_fields, N(parting_fields), &q->parting);
	handover_out_end(o);
}

void
handover_count_save(const struct broker *b, struct handover_out *o)
{
	struct buf *out = handover_out_begin(o, "counts");
	size_t i;

	handover_add_fields(out, stats_fields, N(stats_fields), &b->stats);
	handover_add_int(out, "seq", (int64_t)b->seq);
	handover_out_end(o);
	for (i = 0; i < b->catalog.n_all_queues; i++)
		save_queue(b->catalog.queues[i], o);
}

int
handover_count_load(struct broker *b, const struct handover_in *in)
{
	handover_in_fields(in, stats_fields, N(stats_fields), &b->stats);
	b->seq = (uint64_t)handover_in_int(in, "seq");
	return 0;
}

int
handover_count_load_queue(struct broker *b, const struct handover_in *in)
{
	const char *name = handover_in_str(in, "name");
	struct queue *q;
	int r;

	if (name == NULL)
		return -EINVAL;
	r = catalog_need_queue(&b->catalog, name, &q);
	if (r < 0)
		return r;
	q->n_stranded = (uint64_t)handover_in_int(in, "n_stranded");
	handover_in_fields(in, queue_fields, N(queue_fields), &q->count);
	if (q->leaving)
		handover_in_fields(
		    in, parting_fields, N(parting_fields), &q->parting);
	if (q->leaving)
		rate_set(&q->rate, q->parting.rate_count, q->parting.rate_ms,
		    mono_now());
	return 0;
}
