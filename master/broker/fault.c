/* SPDX-License-Identifier: ISC */
/*
 * fault.c - why a request is refused, as its error will say
 */
#include "master/broker/fault.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ipc/json.h"
#include "ipc/rpc.h"

void
fault_set(struct fault *f, enum rpc_code code, const char *fmt, ...)
{
	va_list ap;

	memset(f, 0, sizeof(*f));
	f->code = code;
	if (fmt == NULL) {
		snprintf(
		    f->message, sizeof(f->message), "%s", rpc_code_text(code));
		return;
	}
	va_start(ap, fmt);
	vsnprintf(f->message, sizeof(f->message), fmt, ap);
	va_end(ap);
}

void
fault_add_choice(struct fault *f, const char *name, bool first)
{
	size_t at = strlen(f->message), left = sizeof(f->message) - at;

	if (strlen(name) + 6 < left)
		snprintf(
		    f->message + at, left, "%s%s", first ? "" : ", ", name);
	else if (left > 4 && strcmp(f->message + at - 3, "...") != 0)
		strcpy(f->message + at, "...");
}

void
fault_done(struct fault *f)
{
	free(f->more);
	f->more = NULL;
}

void
fault_add_data(const struct fault *f, struct buf *out)
{
	buf_adds(out, "{\"retryable\":");
	buf_adds(out, f->retryable ? "true" : "false");
	if (f->retry_after_ms > 0) {
		buf_add_key(out, "retry_after_ms");
		buf_add_int(out, f->retry_after_ms);
	}
	if (f->id != 0) {
		buf_add_key(out, "id");
		buf_add_uint(out, f->id);
	}
	if (f->param != NULL) {
		buf_add_key(out, "param");
		buf_add_json_cstr(out, f->param);
	}
	if (f->more != NULL) {
		buf_addc(out, ',');
		buf_adds(out, f->more);
	}
	buf_addc(out, '}');
}

void
fault_add_error(const struct fault *f, struct buf *out)
{
	char *message;

	/* It may quote what a client sent, cut in the middle of a character. */
	message = json_utf8(f->message, strlen(f->message));
	buf_adds(out, "{\"code\":");
	buf_add_int(out, f->code);
	buf_adds(out, ",\"message\":");
	buf_add_json_cstr(out, message == NULL ? "" : message);
	buf_adds(out, ",\"data\":");
	fault_add_data(f, out);
	buf_addc(out, '}');
	free(message);
}
