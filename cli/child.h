/* SPDX-License-Identifier: MIT */
/* child - start the command or a hook; both run what a user wrote, on a mapping. */
#ifndef CLI_CHILD_H
#define CLI_CHILD_H

#include <natpmpc.h>
#include <stdbool.h>
#include <sys/types.h>

#include "signals.h"

/* fork(): 0 in the child, which has its signals back as they were before us, and nothing of
 * another natpmp's mappings in its environment. aside: in a process group of its own (so that it
 * can be ended with all it started), without stdin, its stdout our stderr. -1: errno says why. */
pid_t child_fork(const struct signals *signals, bool aside);

/* In the child: NATPMP_<prefix>EXTERNAL_PORT<suffix> and so on. mapping with external port 0:
 * there is none yet, the values are empty. */
void child_environment(const char *prefix, const char *suffix, const natpmp_mapping *mapping);

/* In the child: run words, substituted; a single one by the shell. */
__attribute__((noreturn)) void child_exec(char *const *words, const natpmp_mapping *mapping);

/* What $? would be in a shell. */
int child_exit_status(int wait_status);

#endif
