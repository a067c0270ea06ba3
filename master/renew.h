/* SPDX-License-Identifier: ISC */
/*
 * renew.h - become the program that is installed now, in the same process
 */
#ifndef GANGER_MASTER_RENEW_H
#define GANGER_MASTER_RENEW_H

#include <jansson.h>
#include <stdbool.h>

struct renew {
	char **argv; /* owned; as the program was started */
	char *path;  /* owned; where its file is, or its successor's */
};

/*
 * Remember how this program was started; to be called before its arguments are
 * written over.  -ENOMEM, or the -errno of finding its file.
 */
int renew_init(struct renew *r, int argc, char **argv);
void renew_done(struct renew *r);

/* Open the program that has the path now, for renew_exec.  -errno. */
int renew_open(const struct renew *r);

/*
 * Become that program; state_fd, which stays open, has what it needs to know.
 * Returns -errno, or not at all.
 */
int renew_exec(const struct renew *r, int binary_fd, int state_fd);

/*
 * In the new image: read what the old one left.  1 and a new reference, 0 when
 * this is no such image.  -errno: it is one, but nothing can be read.
 */
int renew_take_state(json_t **state_out);

/* True in such an image, before renew_take_state. */
bool renew_has_state(void);

#endif
