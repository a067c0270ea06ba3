/* SPDX-License-Identifier: ISC */
/*
 * analyze.h - lists and trees, for clang's analyzer
 *
 * It takes the first one of a list, or the root of a tree, for the one that was
 * there before, although that was removed and freed.  Here each look at it
 * yields something new, and what rebuilds a tree is not looked into.
 */
#include <sys/queue.h>

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>

void *analyze_any(void *);

#define ANALYZE_ANY(field) (*(__typeof__(field) *)analyze_any(&(field)))

#undef LIST_FIRST
#define LIST_FIRST(head) ANALYZE_ANY((head)->lh_first)
#undef RB_ROOT
#define RB_ROOT(head) ANALYZE_ANY((head)->rbh_root)
#undef RB_GENERATE
#define RB_GENERATE(name, type, field, cmp)
#undef RB_GENERATE_STATIC
#define RB_GENERATE_STATIC(name, type, field, cmp)
