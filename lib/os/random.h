/* SPDX-License-Identifier: MIT */
/* random - a seed, and bytes that nobody can guess. */
#ifndef OS_RANDOM_H
#define OS_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include "os/os.h"

/* A seed for delays and port suggestions: different for each call and each process, but no secret.
 * It cannot fail. */
uint64_t random_seed(void);

/* Fill with bytes for a secret. Blocks only while a system that just started has none to give.
 * Returns OS_OK, or OS_FAILED, and then the bytes are no secret. */
enum os_status random_bytes(void *bytes, size_t size);

#endif
