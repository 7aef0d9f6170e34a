/* SPDX-License-Identifier: MIT */
/*
 * What the core costs with one hold, and with as many as there can be: on a virtual clock, with no
 * system calls, and with all memory that is asked for counted.
 *
 *   bench_core                     1, 100, 10000 and 131070 holds, which is every port in both
 *                                  protocols; about half a minute
 *   bench_core quick               the same lines in a second, measured once and with fewer holds
 *   bench_core HOLDS [ROUNDS]      that many holds only, for callgrind or perf
 *
 * A line for each: what, holds, unit, median, lower and upper quartile; tabs between. Times are ns
 * of each mapping:
 *
 *   add       client_hold(), nothing is sent
 *   grant     until every one is up
 *   renew     every one is renewed once
 *   lose      the link is gone, and every lease is told to be down
 *   return    the link is there again, until every one is up
 *   restart   the gateway announces that it has forgotten all, until every one is up
 *   let go    every one is released and deleted
 *   farewell  every one is deleted without waiting for answers
 *
 * and then the bytes of each hold, and the allocations of each renewal. The gateway grants
 * everything after a millisecond. Times are of the client and of this gateway together. Exit status
 * 1: a renewal has asked for memory, or a hold takes more than it may, or there is a leak.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/client.h"
#include "../tests/unit/link_v4.h"

enum {
	HOLDS_MAX = 2 * 65535,
	LIFETIME = 7200,
	ROUND_TRIP = 1,        /* ms */
	ROUNDS = 11,           /* each is measured so often */
	HOLDS_A_ROUND = 20000, /* with few holds, many worlds are measured as one */
	BYTES_MAX = 344,       /* of each hold, where there are many */
	MANY = 100,
};

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

static size_t bytes_in_use, allocations;

void *__wrap_malloc(size_t size)
{
	union block *block = __real_malloc(sizeof(*block) + size);

	if (!block)
		return NULL;
	block->size = size;
	bytes_in_use += size;
	allocations++;
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
	instant now, epoch; /* the gateway's clock began there */
	size_t mapped;      /* mappings that the gateway has granted, or granted again */
	size_t events;
};

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void put32(uint8_t *bytes, uint32_t value)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

/* As a gateway would that does what it is asked to. */
static size_t answer(struct world *world, const uint8_t *request, size_t len, uint8_t bytes[16])
{
	memset(bytes, 0, 16);
	bytes[1] = request[1] | 0x80;
	put32(bytes + 4, (uint32_t)((world->now - world->epoch) / MS_PER_S));
	if (len == 2) {
		put32(bytes + 8, 0xcb007105);
		return 12;
	}
	memcpy(bytes + 8, request + 4, 8);
	world->mapped++;
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
	}
	while (client_event(&world->client, &before))
		world->events++;
}

static void begin(struct world *world, size_t holds)
{
	const struct client_options options = {.dialects = ONLY_NATPMP, .seed = 1};

	*world = (struct world){.holds = holds, .now = 1000 * MS_PER_S};
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

static void expect(bool is_good, const char *what)
{
	if (is_good)
		return;
	fprintf(stderr, "not so: %s\n", what);
	exit(1);
}

/* --- the phases --- */

static void add(struct world *world)
{
	for (size_t i = 0; i < world->holds; i++)
		hold(world, i);
}

/* Until each mapping was granted once more. */
static void run(struct world *world)
{
	size_t until = world->mapped + world->holds;

	exchange(world);
	while (world->mapped < until) {
		instant at = client_next_deadline(&world->client, world->now);

		expect(at != NEVER, "there is more to come");
		world->now = later(world->now, at);
		exchange(world);
	}
}

static void lose(struct world *world)
{
	size_t until = world->events + world->holds;

	client_on_link_v4(&world->client, world->now, NATPMP_E_NO_GATEWAY, 0, 0);
	exchange(world);
	expect(world->events == until, "each lease is down");
}

static void come_back(struct world *world)
{
	client_on_link_v4(&world->client, world->now, NATPMP_OK, 1, 0xc0a8010a);
	run(world);
}

static void restart(struct world *world)
{
	static const uint8_t question[2] = {0, 0};
	uint8_t bytes[16];

	world->epoch = world->now;
	size_t len = answer(world, question, sizeof(question), bytes);
	client_on_announcement(&world->client, world->now, world->now, bytes, len, true);
	run(world);
}

static void let_go(struct world *world)
{
	for (size_t i = 0; i < world->holds; i++) {
		client_release(&world->client, world->leases[i], world->now);
		free(world->leases[i]);
	}
	exchange(world);
	expect(client_is_empty(&world->client), "all are deleted");
}

static void send_nothing(void *arg, const uint8_t *bytes, size_t len)
{
	(void)bytes;
	(void)len;
	++*(size_t *)arg;
}

static void say_farewell(struct world *world)
{
	size_t deletions = 0;

	client_farewell(&world->client, world->now, send_nothing, &deletions);
	expect(deletions == world->holds, "a deletion for each");
}

/* --- what is measured --- */

enum row { ADD, GRANT, RENEW, LOSE, RETURN, RESTART, LET_GO, FAREWELL, BYTES, ALLOCATIONS, ROWS };

static const struct {
	const char *what, *unit;
	void (*phase)(struct world *world);
} rows[ROWS] = {
	{"add", "ns", add},          {"grant", "ns", run},
	{"renew", "ns", run},        {"lose", "ns", lose},
	{"return", "ns", come_back}, {"restart", "ns", restart},
	{"let go", "ns", let_go},    {"farewell", "ns", say_farewell},
	{"memory", "bytes", NULL},   {"renew, allocations", "calls", NULL},
};

/* What each phase of a world took is added to its sum. */
static void live(size_t holds, double sums[ROWS])
{
	struct world world;

	begin(&world, holds);
	size_t bytes = bytes_in_use;
	for (enum row i = ADD; i <= FAREWELL; i++) {
		size_t asked;

		if (i == FAREWELL) { /* all are gone, so once more */
			add(&world);
			run(&world);
		}
		if (i == RENEW) /* the first one may make room for its questions, once for all */
			run(&world);
		asked = allocations;
		double began = now_ns();
		rows[i].phase(&world);
		sums[i] += now_ns() - began;
		if (i == GRANT)
			sums[BYTES] += (double)(bytes_in_use - bytes);
		if (i == RENEW)
			sums[ALLOCATIONS] += (double)(allocations - asked);
	}
	for (size_t i = 0; i < holds; i++)
		free(world.leases[i]);
	end(&world);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* False: more memory than there may be. */
static bool measure(size_t holds, size_t rounds, size_t holds_a_round)
{
	double values[ROWS][ROUNDS];
	size_t worlds = holds < holds_a_round ? holds_a_round / holds : 1;

	for (size_t round = 0; round < rounds; round++) {
		double sums[ROWS] = {0};

		for (size_t i = 0; i < worlds; i++)
			live(holds, sums);
		for (enum row i = ADD; i < ROWS; i++)
			values[i][round] = sums[i] / (double)(worlds * holds);
	}
	for (enum row i = ADD; i < ROWS; i++) {
		double *v = values[i];

		qsort(v, rounds, sizeof(*v), by_size);
		printf("%s\t%zu\t%s\t%.0f\t%.0f\t%.0f\n", rows[i].what, holds, rows[i].unit,
		       v[rounds / 2], v[rounds / 4], v[rounds * 3 / 4]);
	}
	fflush(stdout);
	return values[ALLOCATIONS][rounds - 1] <= 0 &&
	       (holds < MANY || values[BYTES][rounds - 1] <= (double)BYTES_MAX);
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = {1, 100, 10000, HOLDS_MAX};
	bool is_quick = argc == 2 && strcmp(argv[1], "quick") == 0;
	bool is_good = true;
	size_t holds = argc > 1 && !is_quick ? strtoul(argv[1], NULL, 10) : 0;
	size_t rounds = argc > 2 ? strtoul(argv[2], NULL, 10) : is_quick ? 1 : ROUNDS;

	if ((argc > 1 && !is_quick && !holds) || holds > HOLDS_MAX || !rounds || rounds > ROUNDS) {
		fprintf(stderr,
			"usage: bench_core [quick|HOLDS [ROUNDS]], 1 to %d holds, 1 to %d rounds\n",
			HOLDS_MAX, ROUNDS);
		return 2;
	}
	printf("what\tholds\tunit\tmedian\tlower quartile\tupper quartile\n");
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]) && !holds; i++)
		is_good &= measure(sizes[i], rounds, is_quick ? 1 : HOLDS_A_ROUND);
	if (holds)
		is_good &= measure(holds, rounds, HOLDS_A_ROUND);
	return is_good && !bytes_in_use ? 0 : 1;
}
