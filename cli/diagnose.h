/* SPDX-License-Identifier: MIT */
/* diagnose - --check: why does it not work? */
#ifndef CLI_DIAGNOSE_H
#define CLI_DIAGNOSE_H

#include "output.h"

/* The exit status: 0 only if outsiders can reach a mapping, as far as can be seen from here, of any
 * family; else it tells of the first. */
int diagnose(struct sessions *sessions, struct output *output);

#endif
