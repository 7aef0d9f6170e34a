/* SPDX-License-Identifier: MIT */
/* child - start the command or a hook; both run what a user wrote, on a mapping. */
#ifndef CLI_CHILD_H
#define CLI_CHILD_H

#include <natpmpc.h>
#include <stdbool.h>
#include <sys/types.h>

#include "signals.h"

/* fork(): 0 in the child, whose environment has nothing of another natpmp's mappings, nor of the
 * service manager: natpmp talks to that. aside: in a session of its own, so that it can be ended
 * with all it started and no terminal stops it; without stdin, its stdout our stderr. -1: errno
 * says why. */
pid_t child_fork(bool aside);

/* In the child: NATPMP_<prefix>EXTERNAL_PORT<suffix> and so on. mapping with external port 0:
 * there is none yet, the values are empty. */
void child_environment(const char *prefix, const char *suffix, const natpmp_mapping *mapping);

/* In the child: run words, substituted, with the signals as they were before us; by the shell, if
 * that is what the only word is for. */
__attribute__((noreturn)) void child_exec(const struct signals *signals, char *const *words,
					  bool shell, const natpmp_mapping *mapping);

/* What $? would be in a shell. */
int child_exit_status(int wait_status);

#endif
