/* SPDX-License-Identifier: MIT */
#include "os/random.h"

#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>

#include "os/clock.h"

/* The kernel gives 16 random bytes to each program that it starts; they cost no system call. */
uint64_t random_seed(void)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): libc gives the address as a number */
	const void *bytes = (const void *)getauxval(AT_RANDOM);
	uint64_t seed = clock_us() * 0x9e3779b97f4a7c15;
	uint64_t started;

	if (bytes) {
		memcpy(&started, bytes, sizeof(started));
		seed ^= started;
	}
	return seed;
}
