/* SPDX-License-Identifier: ISC */
/*
 * store_lock.c - one broker for each database
 */
#include "master/broker/store_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

#include "ipc/clock.h"
#include "ipc/log.h"

#define MODE    0600
#define POLL_NS 5000000
#define TELL_MS 500   /* a wait this long is worth a line in the log */
#define WAIT_MS 10000 /* longer than a broker takes to end in order */

/* Who holds it, if it says so; else 0. */
static long
read_pid(int fd)
{
	char text[32];
	ssize_t n;

	n = pread(fd, text, sizeof(text) - 1, 0);
	if (n <= 0)
		return 0;
	text[n] = '\0';
	return strtol(text, NULL, 10);
}

/* For people; that it can't be written harms nobody. */
static void
write_pid(int fd)
{
	char text[32];
	int n = snprintf(text, sizeof(text), "%d\n", (int)getpid());

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)n, 0) != n)
		log_debug("store: the lock's file is not written: %s",
		    strerror(errno));
}

static int
take(int fd, const char *path)
{
	static const struct timespec nap = {.tv_nsec = POLL_NS};
	struct mono start = mono_now();
	bool told = false;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno == EINTR)
			continue;
		if (errno != EWOULDBLOCK)
			return -errno;
		if (mono_reached(mono_now(), mono_add_ms(start, WAIT_MS)))
			return -EBUSY;
		if (!told &&
		    mono_reached(mono_now(), mono_add_ms(start, TELL_MS))) {
			told = true;
			log_warn("%s: process %ld has the database open: "
				 "waiting for its end",
			    path, read_pid(fd));
		}
		(void)nanosleep(&nap, NULL);
	}
	return 0;
}

/* Open the file and lock it; name is its path. */
static int
open_locked(const char *name, char *why)
{
	int fd, r;

	fd = open(
	    name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY, MODE);
	if (fd < 0) {
		r = -errno;
		snprintf(why, STORE_WHY_SIZE, "%s: %s", name, strerror(-r));
		return r;
	}
	r = take(fd, name);
	if (r == 0) {
		write_pid(fd);
		return fd;
	}
	if (r == -EBUSY)
		snprintf(why, STORE_WHY_SIZE,
		    "%s: process %ld still has the database open: end it first",
		    name, read_pid(fd));
	else
		snprintf(why, STORE_WHY_SIZE, "%s: can't lock it: %s", name,
		    strerror(-r));
	close(fd);
	return r;
}

int
store_lock(const char *path, char why[STORE_WHY_SIZE])
{
	char *name;
	int r;

	if (asprintf(&name, "%s-lock", path) < 0) {
		snprintf(why, STORE_WHY_SIZE, "%s", strerror(ENOMEM));
		return -ENOMEM;
	}
	r = open_locked(name, why);
	free(name);
	return r;
}
