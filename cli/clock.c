/* SPDX-License-Identifier: MIT */
#include "clock.h"

#include <limits.h>
#include <time.h>

static uint64_t read_ms(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t now_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

uint64_t now_awake_or_not_ms(void)
{
	return read_ms(CLOCK_BOOTTIME);
}

int ms_until(uint64_t then)
{
	uint64_t now = now_ms();

	if (then == NEVER)
		return -1;
	if (then <= now)
		return 0;
	return then - now > INT_MAX ? INT_MAX : (int)(then - now);
}
