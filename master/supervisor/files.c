/* SPDX-License-Identifier: ISC */
/*
 * files.c - notice when the pid file or the socket's name is deleted
 *
 * Watched are the files themselves: a link less is IN_ATTRIB, as our own
 * descriptors keep the last one from being IN_DELETE_SELF.  What else happens
 * in their folders, the writing of a task store for one, wakes nobody.  The
 * folders are watched for being moved or deleted.
 */
#include "master/supervisor/files.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ipc/log.h"
#include "ipc/sock.h"

#define CALM_MS \
	60000 /* after so long without a loss the first try is at once */

#define FILE_EVENTS   (IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)
#define FOLDER_EVENTS (IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR)

int64_t
files_retry_ms(unsigned tries)
{
	if (tries == 0)
		return 0;
	if (tries > 6)
		return FILES_RETRY_MAX_MS;
	return INT64_C(1000) << (tries - 1);
}

/* Watch path, or the folder that it lies in. */
static int
add_watch(const struct files *f, const char *path, bool folder)
{
	char dir[PATH_MAX];
	char *slash;

	if (!folder)
		return inotify_add_watch(
		    f->fd, path, FILE_EVENTS | IN_DONT_FOLLOW);
	snprintf(dir, sizeof(dir), "%s", path);
	slash = strrchr(dir, '/');
	if (slash == NULL)
		return inotify_add_watch(f->fd, ".", FOLDER_EVENTS);
	slash[slash == dir] = '\0';
	return inotify_add_watch(f->fd, dir, FOLDER_EVENTS);
}

/* Let the watches be those of the files that the names lead to by now. */
static void
watch_all(struct files *f)
{
	const char *paths[FILES_N_WATCHES / 2] = {
	    lock_path(f->lock, LOCK_PIDFILE),
	    lock_path(f->lock, LOCK_SOCKET),
	    f->socket,
	};
	int now[FILES_N_WATCHES];
	size_t i, k;

	if (f->fd < 0)
		return;
	for (i = 0; i < FILES_N_WATCHES; i++) {
		const char *path = paths[i / 2];

		now[i] = path == NULL ? -1 : add_watch(f, path, i % 2 == 1);
	}
	/* The same file gives the same number: drop those of others only. */
	for (i = 0; i < FILES_N_WATCHES; i++) {
		for (k = 0; k < FILES_N_WATCHES; k++)
			if (f->watches[i] == now[k])
				break;
		if (k == FILES_N_WATCHES && f->watches[i] >= 0)
			(void)inotify_rm_watch(f->fd, f->watches[i]);
	}
	memcpy(f->watches, now, sizeof(now));
}

bool
files_has_socket(const struct files *f)
{
	struct stat st;

	return f->socket != NULL && lstat(f->socket, &st) == 0 &&
	       st.st_dev == f->dev && st.st_ino == f->ino;
}

/* Is the socket there?  0, 1 (made anew) or -errno. */
static int
check_socket(struct files *f)
{
	int r;

	if (f->socket == NULL || files_has_socket(f))
		return 0;
	/* Somebody serves there, though without a lock: leave it to them. */
	if (sock_is_live(f->socket))
		return -EADDRINUSE;
	r = f->on_socket_lost(f->arg);
	return r < 0 ? r : 1;
}

static void
set_timer(struct files_item *item, int64_t ms)
{
	struct ev_loop *loop = item->files->loop;

	ev_timer_stop(loop, &item->again);
	ev_now_update(loop);
	ev_timer_set(&item->again, (double)ms / 1000., 0.);
	ev_timer_start(loop, &item->again);
}

/* Say what became of a name, if that is news. */
static void
tell(struct files_item *item, const char *path, int r)
{
	if (r > 0) {
		log_warn("%s was deleted or replaced: made anew", path);
	} else if (!item->told) {
		log_error("%s was deleted or replaced, and can't be made "
			  "anew: %s",
		    path,
		    r == -EEXIST       ? "another gangerd has taken its place"
		    : r == -EADDRINUSE ? "another program serves there"
				       : strerror(-r));
		item->told = true;
	}
}

/* Look at an item, and make anew what is gone. */
static void
try_item(struct files_item *item)
{
	struct files *f = item->files;
	int r, of_socket = 0;

	r = lock_check(f->lock, item->which);
	if (r != 0)
		tell(item, lock_path(f->lock, item->which), r);
	/* Only who holds the lock may have the name. */
	if (r >= 0 && item->which == LOCK_SOCKET)
		of_socket = check_socket(f);
	if (of_socket != 0)
		tell(item, f->socket, of_socket);
	if (r >= 0 && of_socket >= 0)
		item->told = false;
	if (r == 0 && of_socket == 0)
		return;
	item->tries++;
	item->last = mono_now();
	/* Also after a success: its watch was set after it was made. */
	watch_all(f);
	set_timer(item, files_retry_ms(item->tries));
}

static void
on_again(struct ev_loop *loop, struct ev_timer *w, int revents)
{
	struct files_item *item = w->data;

	(void)loop;
	(void)revents;
	try_item(item);
	/* Without inotify there is nothing but to look. */
	if (item->files->fd < 0 && !ev_is_active(w))
		set_timer(item, FILES_RETRY_MAX_MS);
}

/* Something happened to an item, perhaps; unless it is to be tried anyway. */
static void
look(struct files_item *item)
{
	if (item->tries > 0 && ev_is_active(&item->again) &&
	    item->files->fd >= 0)
		return;
	if (item->tries > 0 &&
	    mono_reached(mono_now(), mono_add_ms(item->last, CALM_MS)))
		item->tries = 0;
	try_item(item);
}

static void
on_changed(struct ev_loop *loop, struct ev_io *w, int revents)
{
	struct files *f = w->data;
	char events[4096]
	    __attribute__((aligned(__alignof__(struct inotify_event))));
	size_t i;

	(void)loop;
	(void)revents;
	/* What it was shows when the names are looked at. */
	while (read(f->fd, events, sizeof(events)) > 0)
		continue;
	for (i = 0; i < LOCK_N_FILES; i++)
		look(&f->items[i]);
}

int
files_open(struct files *f, struct ev_loop *loop, struct lock *lock,
    files_lost_fn on_socket_lost, void *arg)
{
	size_t i;
	int r;

	memset(f, 0, sizeof(*f));
	f->loop = loop;
	f->lock = lock;
	f->on_socket_lost = on_socket_lost;
	f->arg = arg;
	for (i = 0; i < FILES_N_WATCHES; i++)
		f->watches[i] = -1;
	for (i = 0; i < LOCK_N_FILES; i++) {
		f->items[i].files = f;
		f->items[i].which = (enum lock_which)i;
		ev_timer_init(&f->items[i].again, on_again, 0., 0.);
		f->items[i].again.data = &f->items[i];
	}
	f->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	r = f->fd < 0 ? -errno : 0;
	if (f->fd >= 0) {
		ev_io_init(&f->changed, on_changed, f->fd, EV_READ);
		f->changed.data = f;
		ev_io_start(loop, &f->changed);
		watch_all(f);
	}
	/* What happened before the watch. */
	for (i = 0; i < LOCK_N_FILES; i++)
		on_again(loop, &f->items[i].again, 0);
	return r;
}

void
files_watch_socket(struct files *f, const char *path, dev_t dev, ino_t ino)
{
	f->socket = path;
	f->dev = dev;
	f->ino = ino;
	if (f->loop == NULL)
		return;
	watch_all(f);
	if (path != NULL && !files_has_socket(f))
		set_timer(&f->items[LOCK_SOCKET], 0);
}

void
files_close(struct files *f)
{
	size_t i;

	if (f->loop == NULL)
		return;
	for (i = 0; i < LOCK_N_FILES; i++)
		ev_timer_stop(f->loop, &f->items[i].again);
	if (f->fd >= 0) {
		ev_io_stop(f->loop, &f->changed);
		close(f->fd);
	}
	memset(f, 0, sizeof(*f));
	f->fd = -1;
}
