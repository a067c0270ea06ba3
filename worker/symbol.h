/* SPDX-License-Identifier: ISC */
/*
 * symbol.h - the function and the object that an address of code lies in
 */
#ifndef GANGER_WORKER_SYMBOL_H
#define GANGER_WORKER_SYMBOL_H

#include <stdint.h>

#define SYMBOL_NAME_MAX 128

struct symbol {
	/* Borrowed from the dynamic linker: the object's path without its
	 * folders; "": the address lies in none. */
	const char *object;
	uintptr_t object_offset;
	char function[SYMBOL_NAME_MAX]; /* "": not known */
	uintptr_t function_offset;
};

/*
 * Find what pc lies in.  Functions are looked for in the object's file, the
 * static ones too unless it was stripped.  Async-signal-safe, takes no lock.
 */
void symbol_find(uintptr_t pc, struct symbol *out);

#endif
