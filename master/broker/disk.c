/* SPDX-License-Identifier: ISC */
/*
 * disk.c - how much room the store's disk has left
 */
#include "master/broker/disk.h"

#include <sys/statvfs.h>

#define LOOK_MS 1000

static void
look(struct disk *d, const char *path)
{
	struct statvfs vfs;

	d->known = statvfs(path, &vfs) == 0;
	if (d->known)
		d->free_bytes = (uint64_t)vfs.f_bavail * vfs.f_frsize;
}

bool
disk_is_low(struct disk *d, const char *path, uint64_t min_free)
{
	struct mono now;

	if (min_free == 0)
		return false;
	now = mono_now();
	if (d->looked.ns == 0 || mono_until_ms(d->looked, now) >= LOOK_MS) {
		d->looked = now;
		look(d, path);
	}
	return d->known && d->free_bytes < min_free;
}
