/* SPDX-License-Identifier: ISC */
/*
 * format.h - numbers for people
 */
#ifndef GANGER_CLI_FORMAT_H
#define GANGER_CLI_FORMAT_H

#include <stdint.h>

/* Room for whatever a function here writes. */
#define FORMAT_SIZE 48

/* "1,234,567" */
char *format_count(int64_t n, char out[FORMAT_SIZE]);

/* "640 B" "12.3 MiB" */
char *format_bytes(int64_t n, char out[FORMAT_SIZE]);

/* The two largest units: "12 ms" "4.2 s" "3m 05s" "2h 07m" "3d 04h" */
char *format_span(int64_t ms, char out[FORMAT_SIZE]);

/* A time left: "0:07" "12:34" "1:02:03" */
char *format_clock(int64_t ms, char out[FORMAT_SIZE]);

#endif
