/* SPDX-License-Identifier: MIT */
/* trace - what the library logs, for people: the bytes of a packet in words. */
#ifndef CLI_TRACE_H
#define CLI_TRACE_H

#include <stddef.h>

enum { TRACE_LEN = 400 };

/* "sent, 12 bytes: 00 02 ..." becomes "sent: map TCP 80 to 80 for 7200 s (00 02 ...)"; any other
 * line stays as it is. */
void trace_line(const char *line, char *text, size_t size);

#endif
