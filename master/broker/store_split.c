/* SPDX-License-Identifier: ISC */
/*
 * store_split.c - two stores as one: durable tasks on a disk, volatile ones in
 * memory
 *
 * What is not known to be in one of them is looked for in memory first, which
 * costs nothing.  A list is merged from both.
 */
#include "master/broker/store_split.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "master/broker/store_memory.h"

struct split {
	struct store base; /* first: a struct store * is a struct split * */
	struct store *memory, *disk; /* owned; disk may be NULL */
	size_t n_merging;            /* lists that are open */
};

static struct split *
split_of(struct store *s)
{
	return (struct split *)s;
}

static struct store *
store_of(struct split *p, const struct task *t)
{
	return t->durable && p->disk != NULL ? p->disk : p->memory;
}

static int
split_put(struct store *s, struct task *t)
{
	return store_put(store_of(split_of(s), t), t);
}

static void
split_update(struct store *s, struct task *t)
{
	store_update(store_of(split_of(s), t), t);
}

static void
split_finish(struct store *s, struct task *t)
{
	store_finish(store_of(split_of(s), t), t);
}

static void
split_erase(struct store *s, struct task *t)
{
	store_erase(store_of(split_of(s), t), t);
}

static int
split_barrier(struct store *s, store_done_fn fn, void *arg)
{
	struct split *p = split_of(s);

	/* Nothing that is in memory takes longer than the disk. */
	return store_barrier(p->disk != NULL ? p->disk : p->memory, fn, arg);
}

static int
split_get(struct store *s, uint64_t id, store_task_fn fn, void *arg)
{
	struct split *p = split_of(s);

	if (p->disk == NULL || store_memory_find(p->memory, id) != NULL)
		return store_get(p->memory, id, fn, arg);
	return store_get(p->disk, id, fn, arg);
}

/* One page of a list: what one store has told of it waits for the other. */
struct merge {
	struct split *split;
	store_list_fn fn;
	void *arg;
	size_t limit;
	unsigned n_open;
	int err;
	uint64_t cursor[2];
	size_t n[2];
	struct task **tasks[2]; /* owned, a reference each */
};

static void
merge_free(struct merge *m)
{
	size_t i;
	int side;

	for (side = 0; side < 2; side++) {
		for (i = 0; i < m->n[side]; i++)
			task_unref(m->tasks[side][i]);
		free(m->tasks[side]);
	}
	free(m);
}

/*
 * Tell the newest ones of both.  Below the higher of the two cursors one side
 * may have tasks that it has not named, so the page ends there.
 */
static void
merge_tell(struct merge *m)
{
	uint64_t floor =
	    m->cursor[0] > m->cursor[1] ? m->cursor[0] : m->cursor[1];
	struct task **out = calloc(m->limit + 1, sizeof(struct task *));
	size_t at[2] = {0, 0}, n = 0;
	struct task *next[2], *t;
	bool rest = floor > 0;
	uint64_t last = 0;

	if (out == NULL) {
		m->fn(m->arg, -ENOMEM, NULL, 0, 0);
		return;
	}
	for (;;) {
		next[0] = at[0] < m->n[0] ? m->tasks[0][at[0]] : NULL;
		next[1] = at[1] < m->n[1] ? m->tasks[1][at[1]] : NULL;
		if (next[0] == NULL && next[1] == NULL)
			break;
		if (next[0] == NULL ||
		    (next[1] != NULL && next[1]->id > next[0]->id))
			t = next[1];
		else
			t = next[0];
		if (t->id < floor)
			break;
		if (n == m->limit) {
			floor = last;
			rest = true;
			break;
		}
		last = t->id;
		out[n++] = t;
		at[t == next[1]]++;
	}
	m->fn(m->arg, 0, out, n, rest ? floor : 0);
	free(out);
}

static void
merge_took(struct merge *m)
{
	struct split *p = m->split;

	if (--m->n_open > 0)
		return;
	p->n_merging--;
	if (m->err < 0)
		m->fn(m->arg, m->err, NULL, 0, 0);
	else
		merge_tell(m);
	merge_free(m);
}

static void
merge_take(struct merge *m, int side, int err, struct task *const *tasks,
    size_t n, uint64_t cursor)
{
	size_t i;

	if (err == 0 && n > 0) {
		m->tasks[side] = calloc(n, sizeof(struct task *));
		if (m->tasks[side] == NULL)
			err = -ENOMEM;
	}
	if (err < 0) {
		m->err = err;
	} else {
		for (i = 0; i < n; i++)
			m->tasks[side][i] = task_ref(tasks[i]);
		m->n[side] = n;
		m->cursor[side] = cursor;
	}
	merge_took(m);
}

static void
on_memory_listed(
    void *arg, int err, struct task *const *tasks, size_t n, uint64_t cursor)
{
	merge_take(arg, 0, err, tasks, n, cursor);
}

static void
on_disk_listed(
    void *arg, int err, struct task *const *tasks, size_t n, uint64_t cursor)
{
	merge_take(arg, 1, err, tasks, n, cursor);
}

static int
split_list(
    struct store *s, const struct store_filter *f, store_list_fn fn, void *arg)
{
	struct split *p = split_of(s);
	struct merge *m;

	if (p->disk == NULL)
		return store_list(p->memory, f, fn, arg);
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return -ENOMEM;
	m->split = p;
	m->fn = fn;
	m->arg = arg;
	m->limit = f->limit;
	m->n_open = 2;
	if (store_list(p->memory, f, on_memory_listed, m) < 0) {
		free(m);
		return -ENOMEM;
	}
	p->n_merging++;
	if (store_list(p->disk, f, on_disk_listed, m) < 0) {
		/* The other one comes later than this. */
		m->err = -ENOMEM;
		m->n_open--;
	}
	return 0;
}

static int
split_fetch(struct store *s, const struct store_range *range, store_list_fn fn,
    void *arg)
{
	struct split *p = split_of(s);

	return store_fetch(
	    p->disk != NULL ? p->disk : p->memory, range, fn, arg);
}

static int
split_find(struct store *s, enum store_what what, const struct queue *q,
    const struct kind *kind, const char *text, store_found_fn fn, void *arg)
{
	struct split *p = split_of(s);

	return store_find(p->disk != NULL ? p->disk : p->memory, what, q, kind,
	    text, fn, arg);
}

static int
split_pause(struct store *s, const struct queue *q, bool paused)
{
	struct split *p = split_of(s);

	return store_pause(p->disk != NULL ? p->disk : p->memory, q, paused);
}

static void
split_count(struct store *s, struct store_counts *out)
{
	struct split *p = split_of(s);
	struct store_counts memory;

	store_count(p->memory, &memory);
	if (p->disk == NULL) {
		*out = memory;
		return;
	}
	store_count(p->disk, out);
	out->n_tasks += memory.n_tasks;
	out->n_ended += memory.n_ended;
	out->ended_bytes += memory.ended_bytes;
}

static void
split_flush(struct store *s)
{
	struct split *p = split_of(s);

	store_flush(p->memory);
	if (p->disk != NULL)
		store_flush(p->disk);
}

static bool
split_has_news(const struct store *s, const struct task *t)
{
	const struct split *p = (const struct split *)s;

	return t->durable && p->disk != NULL && store_has_news(p->disk, t);
}

static bool
split_is_idle(const struct store *s)
{
	const struct split *p = (const struct split *)s;

	return store_is_idle(p->memory) && p->n_merging == 0 &&
	       (p->disk == NULL || store_is_idle(p->disk));
}

static void
split_free(struct store *s)
{
	struct split *p = split_of(s);

	store_free(p->disk);
	p->disk = NULL;
	store_free(p->memory);
	free(p);
}

static const struct store_ops split_ops = {
    .name = "sqlite",
    .put = split_put,
    .update = split_update,
    .finish = split_finish,
    .erase = split_erase,
    .barrier = split_barrier,
    .get = split_get,
    .list = split_list,
    .fetch = split_fetch,
    .find = split_find,
    .pause = split_pause,
    .count = split_count,
    .flush = split_flush,
    .has_news = split_has_news,
    .is_idle = split_is_idle,
    .free = split_free,
};

int
store_split_new(struct store *memory, struct store **out)
{
	struct split *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	p->base.ops = &split_ops;
	p->memory = memory;
	*out = &p->base;
	return 0;
}

struct store *
store_split_memory(const struct store *s)
{
	return ((const struct split *)s)->memory;
}

struct store *
store_split_disk(const struct store *s)
{
	return ((const struct split *)s)->disk;
}

void
store_split_set_disk(struct store *s, struct store *disk)
{
	split_of(s)->disk = disk;
}
