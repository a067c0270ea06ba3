/* SPDX-License-Identifier: ISC */
/*
 * sha512.h - task sha512: {path} or {text} → {sha512, bytes, path?}
 *
 * The digest in hexadecimal of a regular file's content, or of the text's
 * UTF-8 bytes.  A large file reports its progress.
 */
#ifndef GANGER_WORKER_MODULES_SHA512_H
#define GANGER_WORKER_MODULES_SHA512_H

#include "worker/handler.h"

json_t *sha512_run(struct ganger_task *task, json_t *args);

#endif
