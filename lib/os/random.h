/* SPDX-License-Identifier: MIT */
/* random - a seed for delays and port suggestions: different for each call and each process, but
 * no secret. It cannot fail. */
#ifndef OS_RANDOM_H
#define OS_RANDOM_H

#include <stdint.h>

uint64_t random_seed(void);

#endif
