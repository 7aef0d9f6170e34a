/* SPDX-License-Identifier: MIT */
/* portfile - a file that always holds the external port as it is. */
#ifndef CLI_PORTFILE_H
#define CLI_PORTFILE_H

#include <stdbool.h>

#include "output.h"

struct portfile {
	const char *path; /* NULL: none is wanted */
	char *text;       /* what it should hold; NULL: nothing yet */
	bool stale;       /* text is not in the file */
	bool complained;
};

/* Whether this path may be replaced; says on stderr why not. */
bool portfile_usable(const char *path);

/* The text is taken over and freed some time. */
void portfile_set(struct portfile *file, char *text);
/* Write what is not written yet. A failure is said once; call again when there is reason to
 * hope, it is cheap. */
void portfile_work(struct portfile *file, struct output *output);
/* Remove it, if it was ever written. */
void portfile_end(struct portfile *file, struct output *output);

#endif
