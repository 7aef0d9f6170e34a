/* SPDX-License-Identifier: MIT */
/*
 * What happens on the way to the gateway: routes that change, firewalls of this host. Two networks:
 * this one, 10.0.0.2 on "near", and the other one with the gateways 10.0.0.1 and 10.0.0.3.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "os/route.h"

enum { PORT = 5351, PAUSE = 600 /* ms */ };

#define FIRST  0x0a000001U
#define SECOND 0x0a000003U

static void run(const char *command)
{
	ck_assert_msg(system(command) == 0, "%s", command);
}

struct gateways {
	struct responder *first, *second;
	int there; /* the other network */
};

static int enter(int network)
{
	return setns(network, CLONE_NEWNET);
}

/* The responders stay in the network in which they were started. */
static void start_gateways(struct gateways *g)
{
	int here = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	char command[256];

	ck_assert_int_ge(system("ip link del near 2>/dev/null"), 0); /* of a test that failed */
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	g->there = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(enter(here), 0);
	snprintf(command, sizeof(command),
		 "ip link add near type veth peer name far netns /proc/%d/fd/%d &&"
		 "ip addr add 10.0.0.2/24 dev near && ip link set near up",
		 (int)getpid(), g->there);
	run(command);
	ck_assert_int_eq(enter(g->there), 0);
	run("ip link set lo up && ip addr add 10.0.0.1/24 dev far &&"
	    "ip addr add 10.0.0.3/24 dev far && ip link set far up");
	g->first = responder_start_on(FIRST, PORT);
	g->second = responder_start_on(SECOND, PORT);
	ck_assert(g->first && g->second);
	ck_assert_int_eq(enter(here), 0);
	close(here);
	run("ip route add default via 10.0.0.1");
}

static void stop_gateways(struct gateways *g)
{
	run("ip link del near"); /* before the other network goes, which takes it along */
	responder_stop(g->first);
	responder_stop(g->second);
	close(g->there);
}

static void be_silent(struct responder *r)
{
	responder_be(r, &(struct manner){.silent = true});
}

static natpmp_ctx *context(const char *gateway, uint32_t deadline)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_ctx *ctx;

	options.gateway = gateway;
	options.deadline = deadline;
	ok(natpmp_new(&ctx, &options));
	return ctx;
}

/* --- routes that change --- */

static void *change(void *command)
{
	usleep(PAUSE * 1000);
	run(command);
	return NULL;
}

/* The call is blocked by a silent gateway when the route changes, and the next one answers. */
static void map_while(const char *gateway, const char *command, const char *own)
{
	natpmp_ctx *ctx = context(gateway, 6000);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	uint64_t began = now_ms();
	pthread_t thread;

	ck_assert_int_eq(pthread_create(&thread, NULL, change, (void *)(uintptr_t)command), 0);
	ok(natpmp_map(ctx, &m));
	pthread_join(thread, NULL);
	ck_assert_uint_ge(now_ms() - began, PAUSE);
	ck_assert_uint_lt(now_ms() - began, 3000);
	ck_assert_str_eq(m.internal_address, own);
	natpmp_free(ctx);
}

START_TEST(H5_blocking_call_follows_the_default_route)
{
	struct gateways g;

	start_gateways(&g);
	be_silent(g.first);
	map_while(NULL, "ip route replace default via 10.0.0.3", "10.0.0.2");
	ck_assert_uint_ge(responder_heard(g.first), 2);
	ck_assert_uint_ge(responder_asked(g.second, NATPMP_TCP, 80), 1);
	stop_gateways(&g);
}

/* Between two calls, too, also if the program looked at the link in the meantime. */
START_TEST(H5_next_call_follows_the_default_route)
{
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60), again = m;
	natpmp_lease *lease;
	struct gateways g;
	natpmp_link link;

	start_gateways(&g);
	natpmp_ctx *ctx = context(NULL, 2000);
	m.internal_port = 81;
	ok(natpmp_hold(ctx, &m, NULL, NULL, &lease));
	ok(natpmp_map(ctx, &again));
	ok(natpmp_release(lease));
	ok(natpmp_unmap(ctx,
			&again)); /* nothing is held any more, so routes need not be followed */
	size_t heard = responder_heard(g.first);
	run("ip route replace default via 10.0.0.3");
	ok(natpmp_get_link(ctx, &link));
	ck_assert_str_eq(link.gateway, "10.0.0.3");
	ok(natpmp_map(ctx, &again));
	ck_assert_uint_eq(responder_heard(g.first), heard);
	ck_assert_uint_eq(responder_asked(g.second, NATPMP_TCP, 80), 1);
	natpmp_free(ctx);
	stop_gateways(&g);
}

/* The same with a named gateway, whose first call opens nothing but a socket. */
START_TEST(H5_next_call_follows_the_own_address)
{
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	struct gateways g;
	natpmp_link link;

	start_gateways(&g);
	natpmp_ctx *ctx = context("10.0.0.1", 2000);
	ok(natpmp_map(ctx, &m));
	ck_assert_str_eq(m.internal_address, "10.0.0.2");
	run("ip addr flush dev near && ip addr add 10.0.0.5/24 dev near");
	ok(natpmp_get_link(ctx, &link));
	ck_assert_str_eq(link.internal_address, "10.0.0.5");
	ok(natpmp_map(ctx, &m));
	ck_assert_str_eq(m.internal_address, "10.0.0.5");
	natpmp_free(ctx);
	stop_gateways(&g);
}

/* A named one that can be reached from an address of somebody else's for now: the answers go there
 * until the route says otherwise. */
START_TEST(H5_blocking_call_follows_the_own_address)
{
	struct gateways g;

	start_gateways(&g);
	run("ip addr add 10.9.9.9/32 dev near && ip route add 10.0.0.1 dev near src 10.9.9.9");
	map_while("10.0.0.1", "ip route del 10.0.0.1", "10.0.0.2");
	ck_assert_uint_eq(responder_nth(g.first, 0).from, 0x0a090909);
	struct heard last = responder_nth(g.first, responder_heard(g.first) - 1);
	ck_assert_uint_eq(last.from, 0x0a000002);
	stop_gateways(&g);
}

/* Between two calls, as well, though nothing is held. */
START_TEST(H5_next_call_asks_the_new_gateway)
{
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	struct gateways g;

	start_gateways(&g);
	natpmp_ctx *ctx = context(NULL, SOON);
	ok(natpmp_map(ctx, &m));
	ok(natpmp_map(ctx, &m));
	size_t asked = responder_asked(g.first, NATPMP_TCP, 80);
	ck_assert_uint_ge(asked, 2);
	run("ip route replace default via 10.0.0.3");
	ok(natpmp_map(ctx, &m));
	ck_assert_uint_eq(responder_asked(g.first, NATPMP_TCP, 80), asked);
	ck_assert_uint_ge(responder_asked(g.second, NATPMP_TCP, 80), 1);
	natpmp_free(ctx);
	stop_gateways(&g);
}

/* However many news there are: a call reads some of them, and the handle stays readable. */
START_TEST(H5_flood_of_news_is_bounded_for_each_call)
{
	enum { CHANGES = 160, AT_A_TIME = 64 };
	struct routes routes;
	char line[64];
	int calls = 0;

	ck_assert_int_eq(routes_open(&routes, OS_IPV4), OS_OK);
	struct pollfd news = {.fd = routes.handle, .events = POLLIN};
	ck_assert(!routes_take_news(&routes));
	ck_assert_int_eq(poll(&news, 1, 0), 0);
	FILE *changes = popen("ip -batch -", "w");
	ck_assert_ptr_nonnull(changes);
	for (int i = 0; i < CHANGES; i++) {
		snprintf(line, sizeof(line), "route add 198.51.100.%d dev lo\n", i);
		ck_assert_int_ge(fputs(line, changes), 0);
	}
	ck_assert_int_eq(pclose(changes), 0);
	while (poll(&news, 1, 0) == 1) {
		ck_assert(routes_take_news(&routes));
		calls++;
	}
	ck_assert_int_ge(calls, CHANGES / AT_A_TIME);
	ck_assert_int_le(calls, CHANGES);
	ck_assert(!routes_take_news(&routes));
	routes_close(&routes);
}

/* More news than the kernel keeps: what it lost is news, too, and nothing goes wrong after it. */
START_TEST(H5_lost_news_are_news)
{
	const struct ip_address none = {{0}}, loopback = {{[10] = 0xff, 0xff, 127, 0, 0, 1}};
	struct routes routes;
	struct route route;
	char line[64];

	ck_assert_int_eq(routes_open(&routes, OS_IPV4), OS_OK);
	FILE *changes = popen("ip -batch -", "w");
	ck_assert_ptr_nonnull(changes);
	for (int i = 0; i < 2000; i++) {
		snprintf(line, sizeof(line), "route add 198.18.%d.%d dev lo\n", i / 200, i % 200);
		ck_assert_int_ge(fputs(line, changes), 0);
	}
	ck_assert_int_eq(pclose(changes), 0);
	ck_assert_int_ne(routes_ask(&routes, &loopback, NULL, &none, &route), OS_NO_ROUTE);
	while (routes_take_news(&routes))
		;
	ck_assert_int_eq(routes_ask(&routes, &loopback, NULL, &none, &route), OS_OK);
	ck_assert(ip_is_equal(&route.source, &loopback));
	routes_close(&routes);
}

/* --- firewalls of this host --- */

struct lines {
	unsigned sent, not_sent, blocked;
};

static void count_lines(void *arg, const char *line)
{
	struct lines *lines = arg;

	lines->sent += strncmp(line, "sent,", 5) == 0;
	lines->not_sent += strncmp(line, "not sent", 8) == 0;
	lines->blocked += strncmp(line, "blocked", 7) == 0;
}

/* With that rule about what goes out. */
static void meet_firewall(const char *verdict, struct lines *lines)
{
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60), n = wanted(NATPMP_TCP, 81, 60);
	natpmp_options options = NATPMP_OPTIONS_INIT;
	char address[NATPMP_ADDRESS_LEN], command[256];
	struct events events = {0};
	natpmp_probe probe;
	natpmp_lease *lease;
	struct gateways g;
	natpmp_ctx *ctx;

	start_gateways(&g);
	snprintf(command, sizeof(command),
		 "nft 'add table ip t; add chain ip t o { type filter hook output priority 0; };"
		 "add rule ip t o udp dport 5351 %s'",
		 verdict);
	run(command);
	options.deadline = 400;
	options.log = count_lines;
	options.log_arg = lines;
	ok(natpmp_new(&ctx, &options));
	ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_FIREWALL);
	ck_assert_int_eq(natpmp_unmap(ctx, &m), NATPMP_E_FIREWALL);
	ck_assert_int_eq(natpmp_external_address(ctx, address), NATPMP_E_FIREWALL);
	ok(natpmp_get_probe(ctx, &probe));
	ck_assert_int_eq(probe.status, NATPMP_E_FIREWALL);
	ok(natpmp_hold(ctx, &n, note_event, &events, &lease));
	ck_assert(drive(ctx, &events, 1, SOON));
	ck_assert_int_eq(events.at[0].now.status, NATPMP_E_FIREWALL);
	ck_assert_uint_eq(responder_heard(g.first), 0);
	run("nft delete table ip t");
	ok(natpmp_retry(lease));
	ck_assert(drive(ctx, &events, 2, SOON));
	ck_assert_int_eq(events.at[1].now.status, NATPMP_OK);
	ok(natpmp_release(lease));
	ok(natpmp_free(ctx));
	stop_gateways(&g);
}

START_TEST(H14_dropped_by_this_host)
{
	struct lines lines = {0};

	meet_firewall("drop", &lines);
	ck_assert_uint_ge(lines.not_sent, 5);
	ck_assert_uint_le(lines.sent, 4); /* once it was allowed to */
}

START_TEST(H14_rejected_by_this_host)
{
	struct lines lines = {0};

	meet_firewall("reject with icmp type port-unreachable", &lines);
	ck_assert_uint_ge(lines.blocked + lines.not_sent, 5);
}

/* What this host says of a gateway that does not answer ARP, after 3 s, is no firewall's word. */
START_TEST(H4_gateway_that_is_switched_off)
{
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	struct gateways g;

	start_gateways(&g);
	run("ip route replace default via 10.0.0.9");
	natpmp_ctx *ctx = context(NULL, 4500);
	ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_UNREACHABLE);
	natpmp_free(ctx);
	stop_gateways(&g);
}

int main(void)
{
	int status = enter_network();

	if (status)
		return status;
	return RUN_TESTS("api-routes", H5_blocking_call_follows_the_default_route,
			 H5_blocking_call_follows_the_own_address,
			 H5_next_call_follows_the_default_route,
			 H5_next_call_follows_the_own_address, H5_next_call_asks_the_new_gateway,
			 H5_flood_of_news_is_bounded_for_each_call, H5_lost_news_are_news,
			 H14_dropped_by_this_host, H14_rejected_by_this_host,
			 H4_gateway_that_is_switched_off);
}
