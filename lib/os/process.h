/* SPDX-License-Identifier: MIT */
/* process - is this still the process that made something, or a child of it after fork()? */
#ifndef OS_PROCESS_H
#define OS_PROCESS_H

#include <stdbool.h>

/* Begin to count forks. False: out of memory. */
bool process_count_forks(void);
/* How many forks lie between this process and the one that began to count: equal numbers in one
 * line of descent mean one process, whatever its id. */
unsigned process_generation(void);

#endif
