/* SPDX-License-Identifier: MIT */
/*
 * portfile - a file that always holds the external port as it is.
 *
 * A process of its own keeps it: replacing a file takes seconds on a busy disk, and neither the
 * renewals nor the end wait for that. It removes the file when we end, also by SIGKILL.
 */
#ifndef CLI_PORTFILE_H
#define CLI_PORTFILE_H

#include <stdbool.h>

#include "output.h"

struct portfile {
	const char *path; /* as it was named; NULL: none is wanted */
	char *file;       /* behind all links */
	int keeper;       /* a socket, readable when it has something to say; -1: there is none */
	char *text;       /* the latest; NULL: none yet */
	bool stale;       /* the keeper has not got it, */
	bool busy;        /* for it has not done with the one before */
};

/* Take away what an earlier one left there: that port is not open, or not yet. False: this file
 * can or must not be replaced, which is said on stderr. path may be NULL. */
bool portfile_claim(struct portfile *file, const char *path);
/* Start the keeper. */
void portfile_begin(struct portfile *file, struct output *output);
/* The text is taken over and freed some time. */
void portfile_set(struct portfile *file, char *text);
/* Hear what the keeper says, tell it what is new. */
void portfile_work(struct portfile *file, struct output *output);
/* What was set last is not there yet, and not known to have failed. */
bool portfile_busy(const struct portfile *file);
/* Have the file removed; does not wait for long. */
void portfile_end(struct portfile *file);

#endif
