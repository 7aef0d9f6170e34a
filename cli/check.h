/* SPDX-License-Identifier: MIT */
/* check - why does it not work? */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include "output.h"

/* The exit status: 0 only if outsiders can reach a mapping, as far as can be seen from here. */
int check(natpmp_ctx *ctx, struct output *output);

#endif
