/* SPDX-License-Identifier: ISC */
/*
 * fault.h - why a request is refused, as its error will say
 */
#ifndef GANGER_BROKER_FAULT_H
#define GANGER_BROKER_FAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ipc/buf.h"
#include "ipc/proto.h"

#define FAULT_MESSAGE_MAX 512

struct fault {
	enum rpc_code code;
	char message[FAULT_MESSAGE_MAX];
	bool retryable;
	int64_t retry_after_ms; /* 0: not named */
	uint64_t id;            /* task; 0: none */
	const char *param;      /* borrowed; NULL: none */
	const void *room;       /* what is full, for hold.h; NULL: nothing */
	char
	    *more; /* owned text of further members, `"key":value,…`, or NULL */
};

/* Set code and message (NULL: the code's own text); all else is cleared. */
void fault_set(struct fault *f, enum rpc_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Append a name to the list that ends the message, as long as it fits. */
void fault_add_choice(struct fault *f, const char *name, bool first);

void fault_done(struct fault *f);

/* Append the error's `data` object. */
void fault_add_data(const struct fault *f, struct buf *out);

/* Append {"code":…,"message":…,"data":…}. */
void fault_add_error(const struct fault *f, struct buf *out);

#endif
