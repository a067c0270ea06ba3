/* SPDX-License-Identifier: ISC */
/*
 * symbol.c - the function and the object that an address of code lies in
 *
 * dladdr(3) takes a lock of the dynamic linker's, which a thread that is stuck
 * in dlopen(3) may hold, and knows no static functions.  This asks
 * _dl_find_object(3), which takes none, and reads the object's symbol table
 * from its file, if that is still the file that was loaded.
 */
#include "worker/symbol.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define HEAD_SIZE 1024 /* has the headers and the build's id in it */
#define CHUNK     64   /* symbols read at once */
#define SELF      "/proc/self/exe"

/* Read n bytes of the file at offset `at`, no less. */
static bool
read_at(int fd, void *data, size_t n, uint64_t at)
{
	ssize_t got;

	do
		got = pread(fd, data, n, (off_t)at);
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)n;
}

/* Is the file what was mapped from `start` on? */
static bool
is_same(int fd, const struct dl_find_object *o)
{
	const char *start = o->dlfo_map_start;
	char head[HEAD_SIZE];

	return (size_t)((const char *)o->dlfo_map_end - start) >= HEAD_SIZE &&
	       read_at(fd, head, sizeof(head), 0) &&
	       memcmp(head, start, sizeof(head)) == 0;
}

/* Find the symbol table, the full one if there is one. */
static bool
find_table(int fd, ElfW(Shdr) * table_out, ElfW(Shdr) * strings_out)
{
	ElfW(Ehdr) e;
	ElfW(Shdr) s;
	unsigned i;
	bool found;

	if (!read_at(fd, &e, sizeof(e), 0) || e.e_shentsize != sizeof(s))
		return false;
	found = false;
	for (i = 0; i < e.e_shnum; i++) {
		if (!read_at(fd, &s, sizeof(s), e.e_shoff + i * sizeof(s)))
			return false;
		if (s.sh_type != SHT_SYMTAB &&
		    (s.sh_type != SHT_DYNSYM || found))
			continue;
		*table_out = s;
		found = true;
		if (s.sh_type == SHT_SYMTAB)
			break;
	}
	return found && table_out->sh_entsize == sizeof(ElfW(Sym)) &&
	       read_at(fd, strings_out, sizeof(*strings_out),
		   e.e_shoff + table_out->sh_link * sizeof(s));
}

static bool
has(const ElfW(Sym) * s, uintptr_t address)
{
	return ELF64_ST_TYPE(s->st_info) == STT_FUNC &&
	       s->st_shndx != SHN_UNDEF && address >= s->st_value &&
	       address - s->st_value < s->st_size;
}

/* Find the symbol that has address, counted from the object's beginning. */
static bool
find_symbol(
    int fd, const ElfW(Shdr) * table, uintptr_t address, ElfW(Sym) * out)
{
	ElfW(Sym) chunk[CHUNK];
	uint64_t at, n, i, left;

	left = table->sh_size / sizeof(ElfW(Sym));
	for (at = table->sh_offset; left > 0; at += n * sizeof(*chunk)) {
		n = left < CHUNK ? left : CHUNK;
		left -= n;
		if (!read_at(fd, chunk, n * sizeof(*chunk), at))
			return false;
		for (i = 0; i < n; i++) {
			if (has(&chunk[i], address)) {
				*out = chunk[i];
				return true;
			}
		}
	}
	return false;
}

static void
find_function(int fd, uintptr_t address, struct symbol *out)
{
	ElfW(Shdr) table, strings;
	ElfW(Sym) s;
	ssize_t n;

	memset(&table, 0, sizeof(table));
	if (!find_table(fd, &table, &strings) ||
	    !find_symbol(fd, &table, address, &s))
		return;
	n = pread(fd, out->function, sizeof(out->function) - 1,
	    (off_t)(strings.sh_offset + s.st_name));
	out->function[n < 0 ? 0 : n] = '\0';
	out->function_offset = address - s.st_value;
}

static const char *
base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL ? path : slash + 1;
}

void
symbol_find(uintptr_t pc, struct symbol *out)
{
	struct dl_find_object o;
	const struct link_map *map;
	void *address;
	bool self;
	int fd;

	memset(out, 0, sizeof(*out));
	out->object = "";
	memcpy(&address, &pc, sizeof(address));
	if (_dl_find_object(address, &o) != 0)
		return;
	map = o.dlfo_link_map;
	self = map->l_name == NULL || map->l_name[0] == '\0';
	out->object =
	    self ? program_invocation_short_name : base_name(map->l_name);
	out->object_offset = pc - map->l_addr;
	fd = open(self ? SELF : map->l_name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (is_same(fd, &o))
		find_function(fd, out->object_offset, out);
	close(fd);
}
