/* SPDX-License-Identifier: MIT */
/* lookup - is the command there, and does it need a shell? To be known before a port is opened. */
#ifndef CLI_LOOKUP_H
#define CLI_LOOKUP_H

#include "options.h"

enum { STATUS_CANNOT_RUN = 126, STATUS_NOT_FOUND = 127 }; /* as a shell has it */

/* Put the words of a simple command, which needs no shell, in place of its line. The exit status
 * if the command cannot be run, which is said on stderr; else 0. */
int lookup_command(struct options *options);

/* Say that what cannot be executed for this reason (errno); the exit status. */
int lookup_refuse(const char *what, int error);

#endif
