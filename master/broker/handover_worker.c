/* SPDX-License-Identifier: ISC */
/*
 * handover_worker.c - the pools and their workers as records
 *
 * A pool, a shift and their workers follow one another; what a worker runs is
 * told by the tasks, which come later.
 */
#include "master/broker/handover_worker.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/json.h"
#include "master/broker/handover_field.h"
#include "master/broker/reconfigure.h"
#include "master/broker/relane.h"
#include "master/broker/roster.h"
#include "master/broker/skills.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

#define CREW(member, type) HANDOVER_FIELD(crew, member, type)
#define CHAN(member, type) HANDOVER_FIELD(chan, member, type)

static const struct handover_field crew_fields[] = {
    CREW(n_target, HANDOVER_32),
    CREW(pass, HANDOVER_64),
    CREW(n_restarts, HANDOVER_64),
};

static const struct handover_field chan_fields[] = {
    CHAN(number, HANDOVER_32),
    CHAN(pid, HANDOVER_32),
    CHAN(state, HANDOVER_32),
    CHAN(alone, HANDOVER_BOOL),
    CHAN(served, HANDOVER_BOOL),
    CHAN(worn, HANDOVER_BOOL),
    CHAN(threads, HANDOVER_32),
    CHAN(n_requests, HANDOVER_64),
    CHAN(n_done, HANDOVER_64),
    CHAN(retire_after, HANDOVER_64),
    CHAN(started_at, HANDOVER_64),
    CHAN(condemned, HANDOVER_BOOL),
};

static void
save_chan(const struct chan *c, struct handover_out *o)
{
	struct handover_raw raws[2] = {{NULL, 0}, {NULL, 0}};
	struct peer_state peer = {.reset = c->peer.reset};
	struct buf *out;

	if (peer_is_open(&c->peer)) {
		peer_save(&c->peer, &peer);
		raws[0] = (struct handover_raw){peer.in, peer.in_len};
		raws[1] = (struct handover_raw){peer.out, peer.out_len};
	}
	out = handover_out_begin(o, "chan");
	handover_add_int(out, "fd", c->peer.fd);
	handover_add_fields(out, chan_fields, N(chan_fields), c);
	handover_add_flag(out, "kept", c->shift->kept == c);
	handover_add_flag(out, "skipping", peer.skipping);
	handover_add_flag(out, "eof", peer.eof);
	handover_add_flag(out, "reset", peer.reset);
	handover_out_end_raws(o, raws, N(raws));
}

/* Names, or those of them that are commands, as a member. */
static void
add_names(
    struct buf *out, const char *key, const struct skills *s, bool commands)
{
	const char *comma = "";
	size_t i;

	buf_add_key(out, key);
	buf_addc(out, '[');
	for (i = 0; i < s->n; i++) {
		if (commands && !s->list[i].command)
			continue;
		buf_adds(out, comma);
		buf_add_json_cstr(out, s->list[i].name);
		comma = ",";
	}
	buf_addc(out, ']');
}

static void
save_shift(const struct crew *w, const struct shift *s, struct handover_out *o)
{
	struct buf *out = handover_out_begin(o, "shift");
	const struct chan *c;

	handover_add_flag(out, "main", s == w->main);
	add_names(out, "names", s->skills, false);
	add_names(out, "commands", s->skills, true);
	handover_out_end(o);
	TAILQ_FOREACH(c, &w->chans, entry) {
		if (c->shift == s)
			save_chan(c, o);
	}
}

static void
save_crew(const struct crew *w, struct handover_out *o)
{
	struct buf *out = handover_out_begin(o, "pool");
	const struct shift *s;
	size_t i;

	handover_add_str(out, "name", w->name);
	handover_add_str(out, "state", crew_state_name(w));
	handover_add_fields(out, crew_fields, N(crew_fields), w);
	buf_add_key(out, "sources");
	for (i = 0; i < w->n_sources; i++) {
		buf_adds(out, i == 0 ? "[{\"queue\":" : ",{\"queue\":");
		buf_add_json_cstr(out, w->sources[i].queue->name);
		handover_add_int(out, "weight", w->sources[i].weight);
		handover_add_int(out, "pass", (int64_t)w->sources[i].pass);
		handover_add_int(out, "run_us", (int64_t)w->sources[i].run_us);
		handover_add_flag(out, "past", w->sources[i].past);
		buf_addc(out, '}');
	}
	buf_adds(out, w->n_sources == 0 ? "[]" : "]");
	handover_out_end(o);
	TAILQ_FOREACH(s, &w->shifts, entry) {
		save_shift(w, s, o);
	}
}

void
handover_worker_save(const struct broker *b, struct handover_out *o)
{
	size_t i;

	for (i = 0; i < b->n_all_crews; i++)
		save_crew(b->crews[i], o);
}

static int
load_source(struct broker *b, struct crew *w, json_t *item)
{
	const char *name = json_string_value(json_object_get(item, "queue"));
	struct crew_source *source = NULL, *sources;
	struct queue *q;
	size_t i;
	int r;

	if (name == NULL)
		return -EINVAL;
	r = catalog_need_queue(&b->catalog, name, &q);
	if (r < 0)
		return r;
	for (i = 0; i < w->n_sources; i++)
		if (w->sources[i].queue == q)
			source = &w->sources[i];
	if (source == NULL) {
		/* The settings do not have it: it is there for what is left. */
		sources = reallocarray(
		    w->sources, w->n_sources + 1, sizeof(*sources));
		if (sources == NULL)
			return -ENOMEM;
		w->sources = sources;
		source = &sources[w->n_sources++];
		memset(source, 0, sizeof(*source));
		source->queue = q;
		source->past = json_is_true(json_object_get(item, "past"));
		source->weight = (unsigned)json_integer_value(
		    json_object_get(item, "weight"));
		if (source->weight == 0)
			source->weight = 1;
	}
	source->pass =
	    (uint64_t)json_integer_value(json_object_get(item, "pass"));
	source->run_us =
	    (uint64_t)json_integer_value(json_object_get(item, "run_us"));
	if (source->run_us == 0)
		source->run_us = CREW_RUN_US;
	return 0;
}

int
handover_worker_load_pool(
    struct broker *b, const struct handover_in *in, struct handover_workers *at)
{
	const char *name = handover_in_str(in, "name");
	const char *state = handover_in_str(in, "state");
	struct crew *w;
	json_t *item;
	size_t i;
	int r;

	if (name == NULL || state == NULL)
		return -EINVAL;
	r = reconfigure_need_crew(b, name, &w);
	if (r < 0)
		return r;
	at->crew = w;
	at->shift = NULL;
	handover_in_fields(in, crew_fields, N(crew_fields), w);
	if (w->state < CREW_LEAVING)
		crew_take_state(w, state);
	if (w->main == NULL)
		return 0;
	json_array_foreach(json_object_get(in->rec, "sources"), i, item) {
		r = load_source(b, w, item);
		if (r < 0)
			return r;
	}
	return relane_now(b);
}

static int
read_names(const struct handover_in *in, const char *key, const char ***out)
{
	json_t *list = json_object_get(in->rec, key), *item;
	const char **names;
	size_t i;

	names = calloc(json_array_size(list) + 1, sizeof(*names));
	if (names == NULL)
		return -ENOMEM;
	json_array_foreach(list, i, item) {
		names[i] = json_string_value(item);
		if (names[i] == NULL) {
			free(names);
			return -EINVAL;
		}
	}
	*out = names;
	return (int)i;
}

static int
load_skills(const struct handover_in *in, struct skills **out)
{
	const char **names = NULL, **commands = NULL;
	int n, n_commands;

	n = n_commands = read_names(in, "names", &names);
	if (n >= 0)
		n_commands = read_names(in, "commands", &commands);
	if (n_commands >= 0) {
		*out =
		    skills_new(names, (size_t)n, commands, (size_t)n_commands);
		n_commands = *out == NULL ? -ENOMEM : 0;
	}
	free(names);
	free(commands);
	return n_commands;
}

int
handover_worker_load_shift(
    struct broker *b, const struct handover_in *in, struct handover_workers *at)
{
	struct skills *skills;
	int r;

	if (at->crew == NULL || at->crew->main == NULL)
		return -EINVAL;
	at->shift = at->crew->main;
	if (handover_in_flag(in, "main"))
		return 0;
	r = load_skills(in, &skills);
	if (r < 0)
		return r;
	r = reconfigure_shift(b, at->crew, skills, &at->shift);
	skills_unref(skills);
	return r;
}

int
handover_worker_load_chan(
    struct broker *b, const struct handover_in *in, struct handover_workers *at)
{
	int fd = (int)handover_in_int(in, "fd");
	struct handover_raw input = handover_in_raw(in, 0);
	struct handover_raw output = handover_in_raw(in, 1);
	struct peer_state peer = {
	    .in = input.data,
	    .in_len = input.n,
	    .out = output.data,
	    .out_len = output.n,
	    .skipping = handover_in_flag(in, "skipping"),
	    .eof = handover_in_flag(in, "eof"),
	    .reset = handover_in_flag(in, "reset"),
	};
	struct chan like, *c;
	int r;

	(void)b;
	memset(&like, 0, sizeof(like));
	handover_in_fields(in, chan_fields, N(chan_fields), &like);
	like.shift = at->shift;
	if (at->shift == NULL || like.state > CHAN_LOST ||
	    like.threads > BROKER_THREADS_MAX)
		return -EINVAL;
	r = fd < 0 ? 0 : handover_in_fd(fd);
	if (r == 0)
		r = roster_restore(at->crew, fd, &like, &peer, &c);
	if (r == 0 && handover_in_flag(in, "kept"))
		at->shift->kept = c;
	return r;
}
