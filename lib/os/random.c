/* SPDX-License-Identifier: MIT */
#include "os/random.h"

#include <sys/random.h>
#include <unistd.h>

#include "os/clock.h"

uint64_t random_seed(void)
{
	uint64_t seed;

	/* Only delays and port suggestions depend on it: a poor seed is better than none. */
	if (getrandom(&seed, sizeof(seed), GRND_NONBLOCK) != (ssize_t)sizeof(seed))
		seed = clock_us() * 2654435761U ^ (uint64_t)getpid() << 40;
	return seed;
}
