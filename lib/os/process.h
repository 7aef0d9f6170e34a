/* SPDX-License-Identifier: MIT */
/* process - tells a process from its children after fork(). */
#ifndef OS_PROCESS_H
#define OS_PROCESS_H

#include <stdbool.h>

/* Begin to count forks. False: out of memory. */
bool process_count_forks(void);
/* How many forks lie between the process that began to count and this one. Equal numbers in a
 * process and its descendants mean the same process. */
unsigned process_generation(void);

#endif
