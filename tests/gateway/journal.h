/* SPDX-License-Identifier: MIT */
/* journal.h - the daemon's clock and its log, a line per event. */
#ifndef GATEWAY_JOURNAL_H
#define GATEWAY_JOURNAL_H

#include <stdint.h>
#include <stdio.h>

struct journal {
	FILE *file;
};

uint64_t journal_now(void); /* CLOCK_MONOTONIC, ms */

/* A line with the time in front; flushed. */
void journal_line(struct journal *journal, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
