/* SPDX-License-Identifier: ISC */
/*
 * page.c - the memory that a worker shares with the master
 */
#include "ipc/page.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int
page_map(int fd, struct page **out)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st) < 0)
		return -errno;
	/* Reading beyond the end would be fatal. */
	if (st.st_size < (off_t)sizeof(struct page))
		return -EINVAL;
	p = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED,
	    fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	*out = p;
	return 0;
}

int
page_new(int *fd_out, struct page **out)
{
	int fd, r;

	fd = memfd_create("ganger-page", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	/* Nobody may cut it short: the master would die of reading it. */
	if (ftruncate(fd, sizeof(struct page)) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) <
		0)
		r = -errno;
	else
		r = page_map(fd, out);
	if (r < 0) {
		close(fd);
		return r;
	}
	atomic_store(&(*out)->fault_slot, PAGE_NO_SLOT);
	*fd_out = fd;
	return 0;
}

void
page_unmap(struct page **p)
{
	if (*p != NULL)
		(void)munmap(*p, sizeof(**p));
	*p = NULL;
}
