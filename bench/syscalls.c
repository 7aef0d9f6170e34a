/* SPDX-License-Identifier: MIT */
/*
 * The calls whose system calls syscalls.sh counts. Each part begins and ends with a write() to no
 * descriptor, so that strace shows where: write(-1, "NAME", ...) and write(-1, "end", ...).
 *
 *     syscalls ADDRESS PORT PCP     the parts of this library; at port PCP, PCP is spoken
 */
#include <natpmpc.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LIFETIME = 2, RENEWALS = 3, HOLDS = 30 };

static natpmp_options options = NATPMP_OPTIONS_INIT;

static void mark(const char *name)
{
	(void)!write(-1, name, strlen(name));
}

static void expect(int status, const char *what)
{
	if (status == NATPMP_OK)
		return;
	fprintf(stderr, "%s: %s\n", what, natpmp_strerror(status));
	exit(1);
}

static natpmp_mapping wanted(uint16_t port, uint32_t lifetime)
{
	return (natpmp_mapping){
		.protocol = NATPMP_TCP, .internal_port = port, .lifetime = lifetime};
}

static void map_once(const char *name)
{
	natpmp_mapping m = wanted(80, 60);
	natpmp_ctx *ctx;

	mark(name);
	expect(natpmp_new(&ctx, &options), "natpmp_new");
	expect(natpmp_map(ctx, &m), "natpmp_map");
	expect(natpmp_free(ctx), "natpmp_free");
	mark("end");
}

/* A function of its own, for callgrind --toggle-collect: see loopback.sh. */
__attribute__((noinline)) static void map_by_a_new_context(void)
{
	map_once("new");
}

static void map(natpmp_ctx *ctx, uint16_t port, const char *name)
{
	natpmp_mapping m = wanted(port, 60);

	mark(name);
	expect(natpmp_map(ctx, &m), name);
	mark("end");
}

static void map_on_an_open_context(void)
{
	natpmp_ctx *ctx;

	expect(natpmp_new(&ctx, &options), "natpmp_new");
	map(ctx, 80, "first");
	map(ctx, 80, "second");
	map(ctx, 80, "third");
	map(ctx, 81, "fourth");
	expect(natpmp_free(ctx), "natpmp_free");
}

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void loop_for(natpmp_ctx *ctx, int fd, int64_t ms)
{
	int64_t until = now_ms() + ms;

	for (int64_t rest; (rest = until - now_ms()) > 0;) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int timeout = natpmp_timeout(ctx);

		bool is_due = timeout >= 0 && timeout <= rest;
		if (poll(&p, 1, is_due ? timeout : (int)rest) == 0 && !is_due)
			break;
		expect(natpmp_process(ctx), "natpmp_process");
	}
}

/* So many holds, and RENEWALS renewals of each. */
static void renew(natpmp_ctx *ctx, int fd, int holds, const char *name)
{
	natpmp_lease *leases[HOLDS];

	for (int i = 0; i < holds; i++) {
		natpmp_mapping m = wanted((uint16_t)(1000 + i), LIFETIME);
		expect(natpmp_hold(ctx, &m, NULL, NULL, &leases[i]), "natpmp_hold");
	}
	loop_for(ctx, fd, LIFETIME * 1000 / 4);
	mark(name);
	loop_for(ctx, fd, RENEWALS * LIFETIME * 1000 / 2);
	mark("end");
	for (int i = 0; i < holds; i++)
		expect(natpmp_release(leases[i]), "natpmp_release");
	loop_for(ctx, fd, 200);
}

static void loop_that_holds(void)
{
	natpmp_mapping m = wanted(80, 7200);
	natpmp_lease *lease;
	natpmp_ctx *ctx;

	expect(natpmp_new(&ctx, &options), "natpmp_new");
	int fd = natpmp_fd(ctx);
	renew(ctx, fd, 1, "renewals of one");
	renew(ctx, fd, HOLDS, "renewals of many");
	expect(natpmp_hold(ctx, &m, NULL, NULL, &lease), "natpmp_hold");
	loop_for(ctx, fd, 200);
	map(ctx, 81, "beside");
	map(ctx, 81, "beside again");
	expect(natpmp_free(ctx), "natpmp_free");
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: syscalls ADDRESS PORT PCP\n");
		return 2;
	}
	options.gateway = argv[1];
	options.gateway_port = (uint16_t)strtoul(argv[2], NULL, 10);
	void *volatile memory = malloc(1); /* the first costs system calls */
	free(memory);
	map_once("new, automatic");
	options.dialect = NATPMP_DIALECT_NATPMP;
	map_by_a_new_context();
	map_on_an_open_context();
	loop_that_holds();
	options.dialect = NATPMP_DIALECT_AUTO;
	options.gateway_port = (uint16_t)strtoul(argv[3], NULL, 10);
	map_once("new, PCP");
	return 0;
}
