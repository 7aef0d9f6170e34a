/* SPDX-License-Identifier: MIT */
/* run - hold the mappings while a command runs, or until a signal. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "output.h"

/* Closes the sessions. The exit status: the command's own, or as in failure.h; does not
 * come back if the command died of a signal, for so do we. */
int run(struct sessions *sessions, struct output *output);

#endif
