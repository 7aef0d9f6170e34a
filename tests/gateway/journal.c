/* SPDX-License-Identifier: MIT */
#include "journal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <time.h>

uint64_t journal_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void journal_line(struct journal *journal, const char *format, ...)
{
	va_list args;

	fprintf(journal->file, "%" PRIu64 " ", journal_now());
	va_start(args, format);
	vfprintf(journal->file, format, args);
	va_end(args);
	fputc('\n', journal->file);
	fflush(journal->file);
}
