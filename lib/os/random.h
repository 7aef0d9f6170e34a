/* SPDX-License-Identifier: MIT */
/* random - a seed from the system. */
#ifndef OS_RANDOM_H
#define OS_RANDOM_H

#include <stdint.h>

uint64_t random_seed(void);

#endif
