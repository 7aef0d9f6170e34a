/* SPDX-License-Identifier: MIT */
/*
 * portfile - a file that always holds the external port as it is.
 *
 * It is written by a child process: replacing a file takes seconds on a busy
 * disk, and the renewals are not to wait for that.
 */
#ifndef CLI_PORTFILE_H
#define CLI_PORTFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "output.h"
#include "signals.h"

struct portfile {
	const char *path;   /* NULL: none is wanted */
	char *text;         /* what it should hold; NULL: nothing yet */
	bool stale;         /* text is not in the file */
	pid_t writer;       /* 0: none at work */
	uint64_t failed_at; /* ms; 0: did not */
};

/* Whether this path may be replaced; says on stderr why not. */
bool portfile_usable(const char *path);

/* path may be NULL. What an earlier one left there goes: that port is not open, or not yet. */
void portfile_begin(struct portfile *file, const char *path, struct output *output);
/* The text is taken over and freed some time. */
void portfile_set(struct portfile *file, char *text);
/* Begin to write what is not written yet. A failure is said once; call again whenever there
 * is something else to do anyway. */
void portfile_work(struct portfile *file, const struct signals *signals, struct output *output);
/* Being written, or about to be for the first time. */
bool portfile_busy(const struct portfile *file);
/* A child has ended: true if it was the writer. */
bool portfile_reap(struct portfile *file, pid_t pid, int wait_status, struct output *output);
/* Remove it, if it was ever written. */
void portfile_end(struct portfile *file, struct output *output);

#endif
