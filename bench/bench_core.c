/* SPDX-License-Identifier: MIT */
/*
 * What a renewal costs in the core, with few and with many holds, and what a hold weighs: on a
 * virtual clock, no system calls. bench_core [RENEWALS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "core/leases.h"

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* As a gateway would that grants what it is asked for. */
static size_t answer(const uint8_t *request, size_t len, uint64_t now, uint8_t out[16])
{
	uint32_t epoch = (uint32_t)(now / 1000);
	const uint8_t head[8] = {0,
				 request[1] | 0x80,
				 0,
				 0,
				 (uint8_t)(epoch >> 24),
				 (uint8_t)(epoch >> 16),
				 (uint8_t)(epoch >> 8),
				 (uint8_t)epoch};
	size_t i = 0;

	for (; i < 8; i++)
		out[i] = head[i];
	if (len == 2) {
		out[8] = 11, out[9] = 22, out[10] = 33, out[11] = 44;
		return 12;
	}
	for (; i < 16; i++)
		out[i] = request[i - 4];
	return 16;
}

static void run(unsigned holds, unsigned long renewals)
{
	struct leases leases;
	struct lease *all = calloc(holds, sizeof(*all));
	struct lease_view before;
	uint8_t request[WIRE_REQUEST_MAX], bytes[16];
	uint64_t now = 1000;
	unsigned long exchanges = 0;
	size_t len;

	if (!all)
		abort();
	leases_init(&leases, 1, false);
	for (unsigned i = 0; i < holds; i++) {
		all[i].protocol = NATPMP_TCP;
		all[i].internal_port = (uint16_t)(i + 1);
		if (leases_add(&leases, &all[i], LEASE_HOLD, now))
			abort();
	}
	double start = seconds();
	while (exchanges < renewals) {
		while ((len = leases_output(&leases, now, request)) > 0) {
			len = answer(request, len, now, bytes);
			leases_input(&leases, now, bytes, len);
			exchanges++;
		}
		while (leases_event(&leases, &before))
			;
		if (leases_deadline(&leases) > now)
			now = leases_deadline(&leases);
	}
	double took = seconds() - start;
	printf("%6u holds: %7.0f ns a renewal, %zu bytes a hold\n", holds,
	       took / (double)exchanges * 1e9, sizeof(struct lease) + 3 * sizeof(void *));
	for (unsigned i = 0; i < holds; i++)
		leases_drop(&leases, &all[i]);
	leases_free(&leases);
	free(all);
}

int main(int argc, char **argv)
{
	unsigned long renewals = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000;

	run(1, renewals);
	run(100, renewals);
	run(1000, renewals);
	run(10000, renewals);
	return 0;
}
