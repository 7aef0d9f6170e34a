/* SPDX-License-Identifier: MIT */
/* Which IPv6 gateway, from which address, by which interface; what follows when that changes; whose
 * announcements count. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "context.h"
#include "router.h"
#include "sandbox.h"

/* NULL: not named. */
static natpmp_ctx *context(const char *gateway, const char *source, const char *interface)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_ctx *ctx;

	options.family = NATPMP_IPV6;
	options.gateway = gateway;
	options.source = source;
	options.interface = interface;
	options.deadline = 300;
	ok(natpmp_new(&ctx, &options));
	return ctx;
}

/* What natpmp_get_link() says to those options. */
static int look_up(const char *gateway, const char *source, const char *interface,
		   natpmp_link *link)
{
	natpmp_ctx *ctx = context(gateway, source, interface);
	int status = natpmp_get_link(ctx, link);

	natpmp_free(ctx);
	return status;
}

static void is_link(const natpmp_link *link, const char *gateway, const char *own,
		    const char *interface)
{
	ck_assert_str_eq(link->gateway, gateway);
	ck_assert_str_eq(link->internal_address, own);
	ck_assert_str_eq(link->interface, interface);
	ck_assert_uint_eq(link->gateway_port, ROUTER_PORT);
}

/* Link-local addresses on both links, and the default route by the first one. */
static void join(struct router *router)
{
	router_start(router);
	run("ip addr add fe80::2/64 dev near nodad && ip addr add fe80::2/64 dev other nodad &&"
	    "ip -6 route add default via fe80::1 dev near");
}

static void join_with_address(struct router *router)
{
	join(router);
	run("ip addr add 2001:db8:77::2/64 dev near nodad");
}

/* --- gateway and source --- */

START_TEST(P8_global_source_to_the_default_router)
{
	struct router router;
	natpmp_link link;

	join_with_address(&router);
	ok(look_up(NULL, NULL, NULL, &link));
	is_link(&link, "fe80::1", "2001:db8:77::2", "near");
	ok(look_up(NULL, NULL, "near", &link));
	is_link(&link, "fe80::1", "2001:db8:77::2", "near");
	ck_assert_int_eq(look_up(NULL, NULL, "other", &link), NATPMP_E_NO_GATEWAY);
	ck_assert_int_eq(look_up(NULL, NULL, "no-such-thing", &link), NATPMP_E_NO_INTERFACE);
	router_stop(&router);
}

START_TEST(P8_no_global_address)
{
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	struct router router;
	natpmp_link link;

	join(&router);
	ck_assert_int_eq(look_up(NULL, NULL, NULL, &link), NATPMP_E_NO_ADDRESS);
	is_link(&link, "fe80::1", "", "near");
	run("ip addr add fd00:77::2/64 dev near nodad");
	ck_assert_int_eq(look_up(NULL, NULL, NULL, &link), NATPMP_E_NO_ADDRESS);
	ck_assert_int_eq(look_up("fe80::1%near", NULL, NULL, &link), NATPMP_E_NO_ADDRESS);
	natpmp_ctx *ctx = context(NULL, NULL, NULL);
	ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_NO_ADDRESS);
	run("ip addr add 2001:db8:77::2/64 dev near nodad");
	ok(natpmp_get_link(ctx, &link));
	is_link(&link, "fe80::1", "2001:db8:77::2", "near");
	natpmp_free(ctx);
	router_stop(&router);
}

/* The kernel would take the other one. */
START_TEST(P8_global_source_beside_a_local_one)
{
	struct router router;
	natpmp_link link;

	join_with_address(&router);
	run("ip addr add fd00:77::2/64 dev near nodad");
	ok(look_up(NULL, NULL, NULL, &link));
	is_link(&link, "fe80::1", "2001:db8:77::2", "near");
	run("ip -6 route replace default via fe80::1 dev near src fd00:77::2");
	ok(look_up(NULL, NULL, NULL, &link));
	is_link(&link, "fe80::1", "2001:db8:77::2", "near");
	run("ip -6 route replace default via fe80::1 dev near &&"
	    "ip addr change 2001:db8:77::2/64 dev near preferred_lft 0");
	ok(look_up(NULL, NULL, NULL, &link));
	is_link(&link, "fe80::1", "2001:db8:77::2", "near");
	router_stop(&router);
}

/* The address may be on another interface, as on hosts that have it on loopback. */
START_TEST(P8_global_source_on_loopback)
{
	struct router router;
	natpmp_link link;

	join(&router);
	run("ip addr add 2001:db8:99::9/128 dev lo");
	ok(look_up(NULL, NULL, NULL, &link));
	is_link(&link, "fe80::1", "2001:db8:99::9", "near");
	ok(look_up("fe80::1%near", NULL, NULL, &link));
	is_link(&link, "fe80::1", "2001:db8:99::9", "near");
	run("ip addr del 2001:db8:99::9/128 dev lo");
	router_stop(&router);
}

START_TEST(P8_named_source)
{
	struct router router;
	natpmp_link link;

	join_with_address(&router);
	run("ip addr add 2001:db8:77::7/64 dev near nodad && ip addr add fd00:77::2/64 dev near "
	    "nodad");
	ok(look_up(NULL, "2001:db8:77::2", NULL, &link));
	is_link(&link, "fe80::1", "2001:db8:77::2", "near");
	ok(look_up(NULL, "2001:db8:77::7", NULL, &link));
	is_link(&link, "fe80::1", "2001:db8:77::7", "near");
	ok(look_up("fe80::1%near", "2001:db8:77::7", NULL, &link));
	is_link(&link, "fe80::1", "2001:db8:77::7", "near");
	ok(look_up(NULL, "fd00:77::2", NULL, &link)); /* whoever names it wants it */
	is_link(&link, "fe80::1", "fd00:77::2", "near");
	ck_assert_int_eq(look_up(NULL, "2001:db8:77::9", NULL, &link), NATPMP_E_ADDRESS);
	ck_assert_int_eq(look_up("fe80::1%near", "2001:db8:77::9", NULL, &link), NATPMP_E_ADDRESS);
	router_stop(&router);
}

START_TEST(P8_named_gateway)
{
	struct router router;
	natpmp_link link;

	join_with_address(&router);
	run("ip -6 route del default && ip addr add fd00:77::2/64 dev near nodad");
	ck_assert_int_eq(look_up(NULL, NULL, NULL, &link), NATPMP_E_NO_GATEWAY);
	ok(look_up("fe80::1%near", NULL, NULL, &link));
	is_link(&link, "fe80::1", "2001:db8:77::2", "near");
	ok(look_up("fe80::1", NULL, "near", &link));
	is_link(&link, "fe80::1", "2001:db8:77::2", "near");
	ok(look_up("2001:db8:77::1", NULL, NULL, &link));
	is_link(&link, "2001:db8:77::1", "2001:db8:77::2", "near");
	ok(look_up("fd00:77::1", NULL, NULL, &link)); /* not from the address that is nearer */
	is_link(&link, "fd00:77::1", "2001:db8:77::2", "near");
	ok(look_up("::1", NULL, NULL, &link)); /* this host itself */
	is_link(&link, "::1", "::1", "lo");
	ck_assert_int_eq(look_up("fe80::1%other", NULL, NULL, &link), NATPMP_E_NO_ADDRESS);
	ck_assert_int_eq(look_up("fe80::1%nothing", NULL, NULL, &link), NATPMP_E_NO_INTERFACE);
	ck_assert_int_eq(look_up("2001:db8:1::1", NULL, NULL, &link), NATPMP_E_NO_ROUTE);
	router_stop(&router);
}

/* An IPv4 router is none for IPv6, and the reverse. */
START_TEST(P1_families_do_not_mix)
{
	struct router router;
	natpmp_link link;
	natpmp_ctx *ctx;

	join_with_address(&router);
	ok(natpmp_new(&ctx, NULL));
	run("ip addr add 10.0.0.2/24 dev near");
	ck_assert_int_eq(natpmp_get_link(ctx, &link), NATPMP_E_NO_GATEWAY);
	run("ip route add default via 10.0.0.1 && ip -6 route del default");
	ok(natpmp_get_link(ctx, &link));
	is_link(&link, "10.0.0.1", "10.0.0.2", "near");
	ck_assert_int_eq(look_up(NULL, NULL, NULL, &link), NATPMP_E_NO_GATEWAY);
	natpmp_free(ctx);
	router_stop(&router);
}

/* --- what is sent --- */

/* The source of the next request at the router's socket. */
static struct ip_address next_source(int there)
{
	struct pollfd readable = {.fd = there, .events = POLLIN};
	struct sockaddr_in6 from;
	socklen_t len = sizeof(from);
	struct ip_address source;
	uint8_t bytes[64];

	ck_assert_int_eq(poll(&readable, 1, SOON), 1);
	ck_assert_int_gt(recvfrom(there, bytes, sizeof(bytes), 0, (struct sockaddr *)&from, &len),
			 0);
	memcpy(source.bytes, &from.sin6_addr, sizeof(source.bytes));
	return source;
}

static void see(natpmp_ctx *ctx, const natpmp_gateway *now, void *arg)
{
	natpmp_gateway *seen = arg;

	(void)ctx;
	*seen = *now;
}

static void wait(natpmp_ctx *ctx, unsigned ms)
{
	struct events none = {0};

	drive(ctx, &none, 1, ms);
}

START_TEST(P6_sent_from_the_address_that_is_told)
{
	struct ip_address own = address_from("2001:db8:77::2");
	natpmp_gateway seen = {0};
	struct router router;

	join_with_address(&router);
	int there = router_socket(&router, "fe80::1", "far", ROUTER_PORT);
	natpmp_ctx *ctx = context(NULL, NULL, NULL);
	ok(natpmp_watch(ctx, see, &seen));
	wait(ctx, 50);
	struct ip_address source = next_source(there);
	ck_assert(ip_is_equal(&source, &own));
	ck_assert_str_eq(seen.link.internal_address, "2001:db8:77::2");
	natpmp_free(ctx);
	close(there);
	router_stop(&router);
}

/* The first call, which does no more than it has to. */
START_TEST(P8_first_request_to_a_named_router)
{
	struct ip_address own = address_from("2001:db8:77::2");
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	struct router router;

	join_with_address(&router);
	int there = router_socket(&router, "fe80::1", "far", ROUTER_PORT);
	natpmp_ctx *ctx = context("fe80::1%near", NULL, NULL);
	ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_TIMEOUT);
	struct ip_address source = next_source(there);
	ck_assert(ip_is_equal(&source, &own));
	ck_assert_uint_eq(ctx->link.request.peer.scope, ctx->link.route.index);
	natpmp_free(ctx);
	ctx = context("2001:db8:77::1", NULL, NULL);
	ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_TIMEOUT);
	ck_assert(ip_is_equal(&ctx->link.request.own, &own));
	ck_assert_uint_eq(ctx->link.request.peer.scope, 0); /* needs none, and answers have none */
	natpmp_free(ctx);
	close(there);
	router_stop(&router);
}

/* The provider hands out another prefix: the old address is deprecated, and then gone. */
START_TEST(H5_ipv6_renumbering)
{
	struct ip_address renumbered = address_from("2001:db8:78::2");
	natpmp_gateway seen = {0};
	struct router router;

	join_with_address(&router);
	int there = router_socket(&router, "fe80::1", "far", ROUTER_PORT);
	natpmp_ctx *ctx = context(NULL, NULL, NULL);
	ok(natpmp_watch(ctx, see, &seen));
	wait(ctx, 50);
	is_link(&seen.link, "fe80::1", "2001:db8:77::2", "near");
	run("ip addr add 2001:db8:78::2/64 dev near nodad &&"
	    "ip addr change 2001:db8:77::2/64 dev near preferred_lft 0");
	wait(ctx, 50);
	is_link(&seen.link, "fe80::1", "2001:db8:78::2", "near");
	ck_assert(ip_is_equal(&ctx->link.request.own, &renumbered));
	run("ip addr del 2001:db8:77::2/64 dev near");
	wait(ctx, 50);
	is_link(&seen.link, "fe80::1", "2001:db8:78::2", "near");
	run("ip addr del 2001:db8:78::2/64 dev near");
	wait(ctx, 50);
	ck_assert_int_eq(seen.status, NATPMP_E_NO_ADDRESS);
	run("ip addr add 2001:db8:77::2/64 dev near nodad");
	wait(ctx, 50);
	is_link(&seen.link, "fe80::1", "2001:db8:77::2", "near");
	natpmp_free(ctx);
	close(there);
	router_stop(&router);
}

/* An address counts once the kernel knows that nobody else has it, which takes a second or two. */
START_TEST(H5_ipv6_address_that_is_checked)
{
	natpmp_gateway seen = {0};
	struct router router;

	join(&router);
	natpmp_ctx *ctx = context(NULL, NULL, NULL);
	ok(natpmp_watch(ctx, see, &seen));
	run("ip addr add 2001:db8:77::2/64 dev near");
	wait(ctx, 50);
	ck_assert_int_eq(seen.status, NATPMP_E_NO_ADDRESS);
	for (int i = 0; i < 50 && seen.status == NATPMP_E_NO_ADDRESS; i++)
		wait(ctx, 100);
	is_link(&seen.link, "fe80::1", "2001:db8:77::2", "near");
	natpmp_free(ctx);
	router_stop(&router);
}

START_TEST(H5_ipv6_another_router)
{
	natpmp_gateway seen = {0};
	struct router router;

	join_with_address(&router);
	run("ip addr add 2001:db8:88::2/64 dev other nodad");
	natpmp_ctx *ctx = context(NULL, NULL, NULL);
	ok(natpmp_watch(ctx, see, &seen));
	wait(ctx, 50);
	is_link(&seen.link, "fe80::1", "2001:db8:77::2", "near");
	run("ip -6 route replace default via fe80::7 dev near");
	wait(ctx, 50);
	is_link(&seen.link, "fe80::7", "2001:db8:77::2", "near");
	run("ip -6 route replace default via fe80::1 dev near");
	wait(ctx, 50);
	is_link(&seen.link, "fe80::1", "2001:db8:77::2", "near");
	/* The same address, but another router. */
	run("ip -6 route del default && ip -6 route add default via fe80::1 dev other");
	wait(ctx, 50);
	is_link(&seen.link, "fe80::1", "2001:db8:88::2", "other");
	ck_assert_uint_eq(ctx->link.request.peer.scope, ctx->link.route.index);
	natpmp_free(ctx);
	router_stop(&router);
}

/* --- announcements --- */

static void count_announcements(void *arg, const char *line)
{
	unsigned *count = arg;

	*count += strncmp(line, "announced", 9) == 0;
}

/* How many of the announcements that socket sends are taken: 0 or 1. */
static unsigned taken(natpmp_ctx *ctx, unsigned *count, int socket)
{
	*count = 0;
	router_announce(socket);
	wait(ctx, 50);
	return *count;
}

START_TEST(P46_announcements_of_the_router_only)
{
	natpmp_gateway seen = {0};
	struct router router;
	unsigned count = 0;

	join_with_address(&router);
	run_there(&router, "ip addr add fe80::5/64 dev far nodad");
	int good = router_socket(&router, "fe80::1", "far", ROUTER_PORT);
	int wrong_port = router_socket(&router, "fe80::1", "far", ROUTER_PORT + 1);
	int wrong_address = router_socket(&router, "fe80::5", "far", ROUTER_PORT);
	int wrong_link = router_socket(&router, "fe80::1", "away", ROUTER_PORT);
	natpmp_ctx *ctx = context(NULL, NULL, NULL);
	ctx->log = count_announcements;
	ctx->log_arg = &count;
	ok(natpmp_watch(ctx, see, &seen));
	ck_assert_uint_eq(taken(ctx, &count, good), 1);
	ck_assert_uint_eq(taken(ctx, &count, wrong_port), 0);
	ck_assert_uint_eq(taken(ctx, &count, wrong_address), 0);
	ck_assert_uint_eq(taken(ctx, &count, wrong_link), 0);
	/* Another router of the same address: only that one counts now. */
	run("ip addr add 2001:db8:88::2/64 dev other nodad &&"
	    "ip -6 route del default && ip -6 route add default via fe80::1 dev other");
	wait(ctx, 50);
	ck_assert_uint_eq(taken(ctx, &count, good), 0);
	ck_assert_uint_eq(taken(ctx, &count, wrong_link), 1);
	ok(natpmp_watch(ctx, NULL, NULL));
	ck_assert_int_eq(ctx->link.groups[0], NO_HANDLE);
	ok(natpmp_watch(ctx, see, &seen));
	ck_assert_uint_eq(taken(ctx, &count, wrong_link), 1);
	natpmp_free(ctx);
	close(good);
	close(wrong_port);
	close(wrong_address);
	close(wrong_link);
	router_stop(&router);
}

/* Somebody else has the port for itself, for now. */
START_TEST(P45_ipv6_taken_port_is_tried_again)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(5350)};
	natpmp_gateway seen = {0};
	struct router router;
	unsigned count = 0;

	join_with_address(&router);
	int good = router_socket(&router, "fe80::1", "far", ROUTER_PORT);
	int foreign = socket(AF_INET6, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(foreign, (struct sockaddr *)&any, sizeof(any)), 0);
	natpmp_ctx *ctx = context(NULL, NULL, NULL);
	ctx->log = count_announcements;
	ctx->log_arg = &count;
	ok(natpmp_watch(ctx, see, &seen));
	ck_assert_uint_eq(taken(ctx, &count, good), 0);
	close(foreign);
	ctx->link.groups_retry_at = 0; /* the time has come */
	ok(natpmp_process(ctx));
	ck_assert_uint_eq(ctx->link.groups_retry_at, UINT64_MAX);
	ck_assert_uint_eq(taken(ctx, &count, good), 1);
	natpmp_free(ctx);
	close(good);
	router_stop(&router);
}

/* --- without AF_NETLINK --- */

START_TEST(H15_ipv6_named_gateway)
{
	struct router router;
	natpmp_link link;

	join_with_address(&router);
	sandbox_deny_family(AF_NETLINK, EAFNOSUPPORT);
	ok(look_up("fe80::1%near", NULL, NULL, &link));
	is_link(&link, "fe80::1", "2001:db8:77::2", "near");
	ok(look_up("2001:db8:77::1", NULL, NULL, &link));
	is_link(&link, "2001:db8:77::1", "2001:db8:77::2", "");
	ok(look_up("::1", NULL, NULL, &link));
	is_link(&link, "::1", "::1", "");
	ok(look_up("fe80::1%near", "2001:db8:77::2", NULL, &link));
	is_link(&link, "fe80::1", "2001:db8:77::2", "near");
	ck_assert_int_eq(look_up("fe80::1%near", "2001:db8:77::9", NULL, &link), NATPMP_E_ADDRESS);
	ck_assert_int_eq(look_up("fe80::1%nothing", NULL, NULL, &link), NATPMP_E_NO_INTERFACE);
	ck_assert_int_eq(look_up("fe80::1%other", NULL, NULL, &link), NATPMP_E_NO_ADDRESS);
	ck_assert_int_eq(look_up(NULL, NULL, NULL, &link), NATPMP_E_NETLINK);
}

START_TEST(H15_ipv6_announcements)
{
	natpmp_gateway seen = {0};
	struct router router;
	unsigned count = 0;

	join_with_address(&router);
	int good = router_socket(&router, "fe80::1", "far", ROUTER_PORT);
	sandbox_deny_family(AF_NETLINK, EPERM);
	natpmp_ctx *ctx = context("fe80::1%near", NULL, NULL);
	ctx->log = count_announcements;
	ctx->log_arg = &count;
	ok(natpmp_watch(ctx, see, &seen));
	ck_assert_uint_eq(taken(ctx, &count, good), 1);
	natpmp_free(ctx);
	close(good);
}

int main(void)
{
	int status = enter_network();

	if (status)
		return status;
	return RUN_TESTS("api-route6", P8_global_source_to_the_default_router, P8_no_global_address,
			 P8_global_source_beside_a_local_one, P8_global_source_on_loopback,
			 P8_named_source, P8_named_gateway, P1_families_do_not_mix,
			 P6_sent_from_the_address_that_is_told, P8_first_request_to_a_named_router,
			 H5_ipv6_renumbering, H5_ipv6_address_that_is_checked,
			 H5_ipv6_another_router, P46_announcements_of_the_router_only,
			 P45_ipv6_taken_port_is_tried_again, H15_ipv6_named_gateway,
			 H15_ipv6_announcements);
}
