/* SPDX-License-Identifier: MIT */
/* run - hold the mappings while a command runs, or until a signal. */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "output.h"

/* Takes ctx over and frees it. The exit status: the command's own, or as in failure.h; does not
 * come back if the command died of a signal, for so do we. */
int run(natpmp_ctx *ctx, struct output *output);

#endif
