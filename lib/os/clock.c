/* SPDX-License-Identifier: MIT */
#include "os/clock.h"

#include <time.h>

uint64_t clock_us(void)
{
	struct timespec t;

#ifdef CLOCK_BOOTTIME
	clock_gettime(CLOCK_BOOTTIME, &t); /* Linux: CLOCK_MONOTONIC stops during suspend */
#else
	clock_gettime(CLOCK_MONOTONIC, &t);
#endif
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint64_t clock_ms(void)
{
	return clock_us() / 1000;
}
