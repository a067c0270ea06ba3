/* SPDX-License-Identifier: ISC */
/*
 * cppcheck.h - what system headers mean, for cppcheck, which does not read them
 */
#define LIST_HEAD(name, type)                                                  \
	struct name {                                                          \
		struct type *lh_first;                                         \
	}
#define LIST_ENTRY(type)                                                       \
	struct {                                                               \
		struct type *le_next;                                          \
		struct type **le_prev;                                         \
	}
#define SLIST_HEAD(name, type)  LIST_HEAD(name, type)
#define SLIST_ENTRY(type)       LIST_ENTRY(type)
#define STAILQ_HEAD(name, type) LIST_HEAD(name, type)
#define STAILQ_ENTRY(type)      LIST_ENTRY(type)
#define TAILQ_HEAD(name, type)  LIST_HEAD(name, type)
#define TAILQ_ENTRY(type)       LIST_ENTRY(type)
#define RB_HEAD(name, type)     LIST_HEAD(name, type)
#define RB_ENTRY(type)          LIST_ENTRY(type)

#define RB_PROTOTYPE(name, type, field, cmp)        struct name
#define RB_PROTOTYPE_STATIC(name, type, field, cmp) struct name
#define RB_GENERATE(name, type, field, cmp)
#define RB_GENERATE_STATIC(name, type, field, cmp)

#define LIST_FOREACH(var, head, field)                                         \
	for ((var) = (head)->lh_first; (var); (var) = (var)->field.le_next)
#define SLIST_FOREACH(var, head, field)  LIST_FOREACH(var, head, field)
#define STAILQ_FOREACH(var, head, field) LIST_FOREACH(var, head, field)
#define TAILQ_FOREACH(var, head, field)  LIST_FOREACH(var, head, field)
#define LIST_FOREACH_SAFE(var, head, field, next)                              \
	for ((var) = (head)->lh_first;                                         \
	    (var) && ((next) = (var)->field.le_next, 1); (var) = (next))
#define TAILQ_FOREACH_SAFE(var, head, field, next)                             \
	LIST_FOREACH_SAFE(var, head, field, next)
#define RB_FOREACH(var, name, head)                                            \
	for ((var) = name##_min(head); (var); (var) = name##_next(var))

#define json_array_foreach(array, index, value)                                \
	for ((index) = 0; ((value) = json_array_get(array, index)); (index)++)
#define json_object_foreach(object, key, value)                                \
	for ((key) = json_object_first(object);                                \
	    (key) && ((value) = json_object_of(key));                          \
	    (key) = json_object_next(object, key))
