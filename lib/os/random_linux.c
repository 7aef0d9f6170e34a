/* SPDX-License-Identifier: MIT */
#include "os/random.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/random.h>

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

enum os_status random_bytes(void *bytes, size_t size)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = getrandom((uint8_t *)bytes + done, size - done, 0);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EINTR)
			return OS_FAILED;
	}
	return OS_OK;
}
