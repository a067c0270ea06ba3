/* SPDX-License-Identifier: ISC */
/*
 * store_world.c - a store with a database in a folder of its own, and what its
 * callbacks have told
 */
#include "tests/lib/store_world.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void __attribute__((format(printf, 2, 3)))
note(struct store_world *w, const char *fmt, ...)
{
	size_t n = strlen(w->log);
	va_list ap;

	if (n > 0 && n + 2 < sizeof(w->log)) {
		w->log[n++] = ' ';
		w->log[n] = '\0';
	}
	va_start(ap, fmt);
	vsnprintf(w->log + n, sizeof(w->log) - n, fmt, ap);
	va_end(ap);
	w->n_told++;
}

static void
on_put_failed(void *arg, struct task *t, int err)
{
	note(arg, "F%llu:%d", (unsigned long long)t->id, err);
}

static void
on_ended(void *arg, struct task *t)
{
	note(arg, "E%llu", (unsigned long long)t->id);
}

static void
on_health(void *arg, int err, const char *why)
{
	struct store_world *w = arg;

	note(w, "H:%d", err);
	snprintf(w->why, sizeof(w->why), "%s", why);
}

static void
on_damage(void *arg, const char *why)
{
	struct store_world *w = arg;

	note(w, "D");
	snprintf(w->why, sizeof(w->why), "%s", why);
}

static int
on_resolve(void *arg, struct task *t, const char *kind, const char *queue,
    const char *pool)
{
	struct store_world *w = arg;

	t->kind = &w->kinds[strcmp(kind, "k0") != 0];
	t->queue = &w->queues[strcmp(queue, "q0") != 0];
	t->crew = pool == NULL ? NULL : &w->crew;
	return 0;
}

static void
fail(const char *what)
{
	perror(what);
	abort();
}

void
store_world_init(struct store_world *w, const char *under)
{
	static char names[][8] = {"q0", "q1", "k0", "k1", "pool"};
	const char *tmp = getenv("TMPDIR");

	memset(w, 0, sizeof(*w));
	if (under == NULL)
		under = tmp == NULL ? "/tmp" : tmp;
	snprintf(w->dir, sizeof(w->dir), "%s/ganger-store.XXXXXX", under);
	if (mkdtemp(w->dir) == NULL)
		fail("mkdtemp");
	if (snprintf(w->path, sizeof(w->path), "%s/tasks.db", w->dir) < 0)
		fail("snprintf");
	w->loop = ev_loop_new(EVFLAG_AUTO);
	w->limits = (struct store_sqlite_limits){3600000, 7200000, false};
	w->queues[0].name = names[0];
	w->queues[1].name = names[1];
	w->kinds[0].name = names[2];
	w->kinds[1].name = names[3];
	w->crew.name = names[4];
}

static void
drop_items(struct store_world *w)
{
	while (w->n_items > 0)
		task_unref(w->items[--w->n_items]);
	task_unref(w->got);
	w->got = NULL;
}

void
store_world_done(struct store_world *w)
{
	char path[PATH_MAX + 256];
	struct dirent *e;
	DIR *dir;

	store_world_close(w);
	dir = opendir(w->dir);
	while (dir != NULL && (e = readdir(dir)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", w->dir, e->d_name);
		if (e->d_name[0] != '.')
			(void)unlink(path);
	}
	if (dir != NULL)
		closedir(dir);
	(void)rmdir(w->dir);
	ev_loop_destroy(w->loop);
}

int
store_world_open(struct store_world *w, bool resume)
{
	const struct store_hooks hooks = {.put_failed = on_put_failed,
	    .ended = on_ended,
	    .resolve = on_resolve,
	    .health = on_health,
	    .damage = on_damage,
	    .arg = w};

	store_found_done(&w->found);
	return store_sqlite_open(w->loop, w->path, resume, &w->limits, &hooks,
	    &w->found, &w->store, w->why);
}

void
store_world_close(struct store_world *w)
{
	store_free(w->store);
	w->store = NULL;
	drop_items(w);
	store_found_done(&w->found);
}

struct task *
store_world_task(struct store_world *w, uint64_t id, const char *args)
{
	struct task *t = task_new(id);

	if (t == NULL)
		fail("task_new");
	t->kind = &w->kinds[0];
	t->queue = &w->queues[0];
	t->durable = true;
	t->seq = id;
	t->priority = 5;
	t->submitted_at = wall_now_ms();
	t->ready_at = mono_now();
	if (args != NULL)
		task_set_text(t, &t->args, strdup(args));
	return t;
}

static void
on_late(struct ev_loop *loop, struct ev_timer *timer, int revents)
{
	(void)loop;
	(void)timer;
	(void)revents;
	fprintf(stderr, "nothing is told in time\n");
	abort();
}

void
store_world_run(struct store_world *w, unsigned n)
{
	unsigned until = w->n_told + n;
	struct ev_timer late;

	ev_timer_init(&late, on_late, 60., 0.);
	ev_timer_start(w->loop, &late);
	while (w->n_told < until) {
		store_flush(w->store);
		ev_run(w->loop, EVRUN_ONCE);
	}
	ev_timer_stop(w->loop, &late);
}

void
store_world_settle(struct store_world *w)
{
	struct ev_timer late;

	ev_timer_init(&late, on_late, 60., 0.);
	ev_timer_start(w->loop, &late);
	while (!store_is_idle(w->store)) {
		store_flush(w->store);
		ev_run(w->loop, EVRUN_ONCE);
	}
	ev_timer_stop(w->loop, &late);
}

static void
on_barrier(void *arg, int err)
{
	struct store_world *w = arg;

	w->err = err;
	note(w, "B:%d", err);
}

void
store_world_barrier(struct store_world *w)
{
	if (store_barrier(w->store, on_barrier, w) < 0)
		fail("store_barrier");
}

static void
on_task(void *arg, int err, struct task *t)
{
	struct store_world *w = arg;

	drop_items(w);
	w->err = err;
	w->got = t == NULL ? NULL : task_ref(t);
	note(w, "G%llu", t == NULL ? 0ULL : (unsigned long long)t->id);
}

void
store_world_get(struct store_world *w, uint64_t id)
{
	if (store_get(w->store, id, on_task, w) < 0)
		fail("store_get");
	store_world_run(w, 1);
}

static void
on_list(
    void *arg, int err, struct task *const *tasks, size_t n, uint64_t cursor)
{
	struct store_world *w = arg;
	size_t i;

	drop_items(w);
	w->err = err;
	w->cursor = cursor;
	for (i = 0; i < n; i++)
		w->items[w->n_items++] = task_ref(tasks[i]);
	note(w, "L%zu", n);
}

void
store_world_fetch(struct store_world *w, const struct store_range *r)
{
	if (store_fetch(w->store, r, on_list, w) < 0)
		fail("store_fetch");
	store_world_run(w, 1);
}

void
store_world_list(struct store_world *w, const struct store_filter *f)
{
	if (store_list(w->store, f, on_list, w) < 0)
		fail("store_list");
	store_world_run(w, 1);
}

static void
on_found(void *arg, int err, uint64_t id, int state)
{
	struct store_world *w = arg;

	w->err = err;
	w->found_id = id;
	w->found_state = state;
	note(w, "?%llu", (unsigned long long)id);
}

void
store_world_find(struct store_world *w, enum store_what what, const char *text)
{
	if (store_find(w->store, what, &w->queues[0], &w->kinds[0], text,
		on_found, w) < 0)
		fail("store_find");
	store_world_run(w, 1);
}

void
store_world_start(struct store_world *w, struct task *t)
{
	(void)task_apply(t, TASK_EV_START, wall_now_ms());
	t->crew = &w->crew;
	t->worker = 3;
	store_update(w->store, t);
}

void
store_world_succeed(struct store_world *w, struct task *t, const char *result)
{
	(void)task_apply(t, TASK_EV_SUCCEED, wall_now_ms());
	task_set_text(t, &t->result, strdup(result));
	store_finish(w->store, t);
}
