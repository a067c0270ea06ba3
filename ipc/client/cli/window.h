/* SPDX-License-Identifier: ISC */
/*
 * window.h - put texts that come in any order back into their order
 *
 * Texts are numbered from 0; at most `slots` of them, counted from the first
 * that has not been popped, are in the window.  Pure.
 */
#ifndef GANGER_CLI_WINDOW_H
#define GANGER_CLI_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct window_slot {
	char *text; /* owned; NULL: has not come */
	size_t len;
};

struct window {
	struct window_slot *slots; /* owned; number n is at n % n_slots */
	size_t n_slots;
	uint64_t head; /* the next to pop */
	size_t bytes;  /* of the texts held */
};

/* -ENOMEM. */
int window_init(struct window *w, size_t n_slots);
void window_done(struct window *w);

/* True when number n is in the window: not popped, and not too far ahead. */
bool window_has(const struct window *w, uint64_t n);

/* Put text number n, which is in the window and has not come; takes text. */
void window_put(struct window *w, uint64_t n, char *text, size_t len);

/* Pass over the next to pop, which the caller has itself. */
void window_pass(struct window *w);

/* Hand out the next text, which the caller frees; NULL: it has not come. */
char *window_pop(struct window *w, size_t *len_out);

#endif
