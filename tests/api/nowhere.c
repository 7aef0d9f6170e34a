/* SPDX-License-Identifier: MIT */
/* No gateway, and no way to one: in a network of its own that has nothing but loopback. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "os/port.h"

static int no_body(natpmp_lease *lease, const natpmp_mapping *mapping, void *arg)
{
	(void)lease;
	(void)mapping;
	(void)arg;
	ck_abort_msg("the body ran");
	return 0;
}

static void all_calls_say(natpmp_ctx *ctx, int status)
{
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	char address[NATPMP_ADDRESS_LEN];
	struct events events = {0};
	natpmp_lease *lease;
	natpmp_probe probe;
	natpmp_link link;
	uint64_t began = now_ms();

	ck_assert_int_eq(natpmp_map(ctx, &m), status);
	ck_assert_int_eq(natpmp_unmap(ctx, &m), status);
	ck_assert_int_eq(natpmp_unmap_all(ctx, NATPMP_TCP), status);
	ck_assert_int_eq(natpmp_external_address(ctx, address), status);
	ck_assert_int_eq(natpmp_get_link(ctx, &link), status);
	ck_assert_int_eq(natpmp_get_probe(ctx, &probe), status);
	ck_assert_int_eq(natpmp_with_mapping(ctx, &m, no_body, NULL), status);
	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	ck_assert(drive(ctx, &events, 1, SOON));
	ck_assert_int_eq(events.at[0].now.status, status);
	ok(natpmp_release(lease));
	natpmp_free(ctx);
	ck_assert_uint_eq(events.count, 1);
	ck_assert_uint_lt(now_ms() - began, 1000);
}

START_TEST(N1_no_default_route)
{
	natpmp_ctx *ctx;

	ok(natpmp_new(&ctx, NULL));
	all_calls_say(ctx, NATPMP_E_NO_GATEWAY);
}

START_TEST(H4_no_route_to_the_gateway)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_ctx *ctx;

	options.gateway = "192.0.2.1";
	ok(natpmp_new(&ctx, &options));
	all_calls_say(ctx, NATPMP_E_NO_ROUTE);
}

START_TEST(N2_source_is_not_ours)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_ctx *ctx;

	options.gateway = "127.0.0.1";
	options.source = "192.0.2.2";
	ok(natpmp_new(&ctx, &options));
	all_calls_say(ctx, NATPMP_E_ADDRESS);
}

START_TEST(N2_interface_is_not_there)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_ctx *ctx;

	options.gateway = "127.0.0.1";
	options.interface = "no-such-thing";
	ok(natpmp_new(&ctx, &options));
	all_calls_say(ctx, NATPMP_E_NO_INTERFACE);
}

static int take(int type, uint16_t port)
{
	struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&here, sizeof(here)), 0);
	return fd;
}

/* The ports that the system chooses from. */
static void choose_from(const char *ports)
{
	FILE *range = fopen("/proc/sys/net/ipv4/ip_local_port_range", "w");

	ck_assert_ptr_nonnull(range);
	ck_assert_int_gt(fprintf(range, "%s", ports), 0);
	ck_assert_int_eq(fclose(range), 0);
}

/* Of the two ports that this network has to give away, one is taken for UDP, then the other. */
START_TEST(N25_picked_port_is_free_for_both)
{
	choose_from("40000 40001");
	int one = take(SOCK_DGRAM, 40000);
	uint16_t port;
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(port_pick(OS_IPV4, true, true, &port), OS_OK);
		ck_assert_uint_eq(port, 40001);
	}
	int two = take(SOCK_DGRAM, 40001);
	ck_assert_int_eq(port_pick(OS_IPV4, true, true, &port), OS_FAILED);
	ck_assert_int_eq(errno, 0); /* none is free, and nothing else is wrong */
	ck_assert_int_eq(port_pick(OS_IPV4, false, true, &port), OS_FAILED);
	ck_assert_int_eq(port_pick(OS_IPV4, true, false, &port), OS_OK);
	close(one);
	close(two);
}

/* Ports that are held are free to bind still, and picked again and again: nevertheless each hold
 * gets one of its own, even when there are more holds than ports to choose from. */
START_TEST(N25_held_ports_are_not_picked_again)
{
	enum { HOLDS = 300 };
	natpmp_ctx *ctx = client(5351, 0);
	bool is_held[65536] = {false};

	choose_from("40000 40255");
	int taken = take(SOCK_STREAM, 40256);
	for (int i = 0; i < HOLDS; i++) {
		natpmp_mapping m = wanted(NATPMP_TCP_UDP, 0, 60);
		natpmp_lease *lease;
		natpmp_state state;

		ok(natpmp_hold(ctx, &m, NULL, NULL, &lease));
		ok(natpmp_lease_state(lease, &state));
		ck_assert_uint_ge(state.mapping.internal_port, 40000);
		ck_assert_uint_ne(state.mapping.internal_port, 40256);
		ck_assert(!is_held[state.mapping.internal_port]);
		is_held[state.mapping.internal_port] = true;
	}
	close(taken);
	natpmp_free(ctx);
}

int main(void)
{
	int status = enter_network();

	if (status)
		return status;
	return RUN_TESTS("api-nowhere", N1_no_default_route, H4_no_route_to_the_gateway,
			 N2_source_is_not_ours, N2_interface_is_not_there,
			 N25_picked_port_is_free_for_both, N25_held_ports_are_not_picked_again);
}
