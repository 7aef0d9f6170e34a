/* SPDX-License-Identifier: MIT */
/*
 * What the core costs with one hold, and with as many as there can be: processor time on a virtual
 * clock, no system calls, and all memory that is asked for.
 *
 *   bench_core                     a table: 1, 100, 10000 and 131070 holds, which is every port
 *                                  in both protocols
 *   bench_core HOLDS [RENEWALS]    one line of it, for callgrind or perf
 *
 * Nanoseconds for each hold or renewal, and the bytes of each hold.
 *
 * The gateway grants everything after a millisecond. Times are of the client and of this gateway
 * together.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/client.h"
#include "../tests/unit/link_v4.h"

enum { HOLDS_MAX = 2 * 65535, LIFETIME = 7200, ROUND_TRIP = 1 /* ms */ };

/* --- memory: every byte that is asked for, by the core or here --- */

/* malloc() and its kin are wrapped by the linker: see CMakeLists.txt. */
void *__real_malloc(size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);

union block {
	size_t size;
	max_align_t align;
};

static size_t bytes_in_use;

void *__wrap_malloc(size_t size)
{
	union block *block = __real_malloc(sizeof(*block) + size);

	if (!block)
		return NULL;
	block->size = size;
	bytes_in_use += size;
	return block + 1;
}

void *__wrap_calloc(size_t count, size_t size)
{
	void *memory = __wrap_malloc(count * size);

	return memory ? memset(memory, 0, count * size) : NULL;
}

void __wrap_free(void *memory)
{
	if (!memory)
		return;
	union block *block = (union block *)memory - 1;
	bytes_in_use -= block->size;
	__real_free(block);
}

void *__wrap_realloc(void *memory, size_t size)
{
	size_t before = memory ? ((union block *)memory - 1)->size : 0;
	void *wider = __wrap_malloc(size);

	if (!wider)
		return NULL;
	if (memory)
		memcpy(wider, memory, before < size ? before : size);
	__wrap_free(memory);
	return wider;
}

/* --- the gateway and the clock --- */

struct world {
	struct client client;
	struct lease **leases;
	size_t holds;
	instant now;
	unsigned long exchanges;
};

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void put32(uint8_t *bytes, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* As a gateway would that does what it is asked to. */
static size_t answer(const struct world *world, const uint8_t *request, size_t len,
		     uint8_t bytes[16])
{
	memset(bytes, 0, 16);
	bytes[1] = request[1] | 0x80;
	put32(bytes + 4, (uint32_t)(world->now / MS_PER_S));
	if (len == 2) {
		put32(bytes + 8, 0xcb007105);
		return 12;
	}
	memcpy(bytes + 8, request + 4, 8);
	return 16;
}

/* All that is due now. */
static void exchange(struct world *world)
{
	uint8_t request[REQUEST_MAX], bytes[16];
	struct lease_view before;
	size_t len;

	while ((len = client_output(&world->client, world->now, request)) > 0) {
		len = answer(world, request, len, bytes);
		world->now += ROUND_TRIP;
		client_on_packet(&world->client, world->now, world->now, bytes, len);
		world->exchanges++;
	}
	while (client_event(&world->client, &before))
		;
}

static void begin(struct world *world, size_t holds)
{
	const struct client_options options = {.dialects = ONLY_NATPMP, .seed = 1};

	*world = (struct world){.holds = holds, .now = 1000};
	world->leases = calloc(holds, sizeof(*world->leases));
	if (!world->leases || !client_init(&world->client, &options))
		abort();
	client_on_link_v4(&world->client, world->now, NATPMP_OK, 1, 0xc0a8010a);
}

static void end(struct world *world)
{
	client_free(&world->client);
	free(world->leases);
}

static void hold(struct world *world, size_t i)
{
	uint16_t port = (uint16_t)(i % 65535 + 1);
	struct wanted wanted = {
		.protocol = i < 65535 ? NATPMP_TCP : NATPMP_UDP,
		.internal_port = port,
		.suggested_port = port,
		.lifetime = LIFETIME,
		.patience = 7750,
	};

	world->leases[i] = malloc(sizeof(struct lease));
	if (!world->leases[i] ||
	    client_hold(&world->client, world->leases[i], &wanted, world->now) != NATPMP_OK)
		abort();
}

static void let_go(struct world *world)
{
	for (size_t i = 0; i < world->holds; i++) {
		client_release(&world->client, world->leases[i], world->now);
		free(world->leases[i]);
	}
	exchange(world);
	if (!client_is_empty(&world->client))
		abort();
}

static void renew(struct world *world, unsigned long renewals)
{
	unsigned long until = world->exchanges + renewals;

	while (world->exchanges < until) {
		world->now = later(world->now, client_next_deadline(&world->client, world->now));
		exchange(world);
	}
}

static void send_nothing(void *arg, const uint8_t *bytes, size_t len)
{
	(void)bytes;
	(void)len;
	++*(size_t *)arg;
}

/* --- what is measured --- */

static void measure(size_t holds, unsigned long renewals)
{
	struct world world;
	size_t deletions = 0;

	begin(&world, holds);
	size_t bytes = bytes_in_use;
	double at_first = seconds();
	for (size_t i = 0; i < holds; i++)
		hold(&world, i);
	double added = seconds();
	exchange(&world);
	double granted = seconds();
	bytes = bytes_in_use - bytes;
	renew(&world, renewals);
	double renewed = seconds();
	let_go(&world);
	double gone = seconds();
	for (size_t i = 0; i < holds; i++) /* and once more, for the farewell */
		hold(&world, i);
	exchange(&world);
	double held = seconds();
	client_farewell(&world.client, world.now, send_nothing, &deletions);
	double said = seconds();
	for (size_t i = 0; i < holds; i++)
		free(world.leases[i]);
	if (deletions != holds)
		abort();
	end(&world);
	double each = 1e9 / (double)holds;
	printf("%7zu %9.0f %9.0f %9.0f %9.0f %9.0f %9.0f\n", holds, (added - at_first) * each,
	       (granted - added) * each, (gone - renewed) * each, (said - held) * each,
	       (renewed - granted) / (double)renewals * 1e9, (double)bytes / (double)holds);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = {1, 100, 10000, HOLDS_MAX};
	unsigned long renewals = argc > 2 ? strtoul(argv[2], NULL, 10) : 1000000;
	size_t holds = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;

	if (argc > 1 && (!holds || holds > HOLDS_MAX || !renewals)) {
		fprintf(stderr, "usage: bench_core [HOLDS [RENEWALS]], 1 to %d holds\n", HOLDS_MAX);
		return 2;
	}
	printf("  holds       add     grant    let go  farewell     renew     bytes\n");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && !holds; i++)
		measure(sizes[i], renewals);
	if (holds)
		measure(holds, renewals);
	return bytes_in_use ? 1 : 0; /* a leak */
}
