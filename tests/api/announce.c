/* SPDX-License-Identifier: MIT */
/* Announcements to 224.0.0.1:5350: RFC 6886 section 3.2.1. The port is the protocol's, so all of
 * this happens in a network namespace of its own. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client.h"
#include "context.h"

enum { ANNOUNCEMENT_PORT = 5350, OLD_ANNOUNCEMENT_PORT = 5351 };

#define ALL_HOSTS 0xe0000001U /* 224.0.0.1 */

static struct sockaddr_in at(uint32_t address, uint16_t port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(address), .sin_port = htons(port)};
}

static void announce_to(uint16_t port, uint32_t source, const void *bytes, size_t len)
{
	struct sockaddr_in from = at(source, 0), to = at(ALL_HOSTS, port);
	struct in_addr interface = {htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	ck_assert_int_eq(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof(interface)),
			 0);
	ck_assert_int_eq(sendto(fd, bytes, len, 0, (struct sockaddr *)&to, sizeof(to)),
			 (ssize_t)len);
	close(fd);
}

static void announce(uint32_t source, const void *bytes, size_t len)
{
	announce_to(ANNOUNCEMENT_PORT, source, bytes, len);
}

/* The gateway has the external address 203.0.113.last from now on, and says so when it is asked. */
static void move_to(struct responder *r, uint8_t last)
{
	responder_be(r, &(struct manner){.address = 0xcb007100U | last});
}

/* 203.0.113.last, with the responder's clock as it is. */
static void announce_address_to(struct responder *r, uint16_t port, uint32_t source, uint8_t last)
{
	uint32_t clock = responder_clock(r);
	uint8_t bytes[12] = {0,
			     0x80,
			     0,
			     0,
			     (uint8_t)(clock >> 24),
			     (uint8_t)(clock >> 16),
			     (uint8_t)(clock >> 8),
			     (uint8_t)clock,
			     203,
			     0,
			     113,
			     last};

	announce_to(port, source, bytes, sizeof(bytes));
}

static void announce_address(struct responder *r, uint32_t source, uint8_t last)
{
	announce_address_to(r, ANNOUNCEMENT_PORT, source, last);
}

/* -1: the kernel does not let it. */
static int try_listener(uint32_t address, uint16_t port, int option)
{
	struct sockaddr_in here = at(address, port);
	int fd = socket(AF_INET, SOCK_DGRAM, 0), on = 1;

	ck_assert_int_ge(fd, 0);
	if (option)
		ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, option, &on, sizeof(on)), 0);
	if (bind(fd, (struct sockaddr *)&here, sizeof(here)) == 0)
		return fd;
	close(fd);
	return -1;
}

static int listener(uint32_t address, int option)
{
	int fd = try_listener(address, ANNOUNCEMENT_PORT, option);

	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(N48_all_listeners_hear_it)
{
	static const int options[] = {SO_REUSEADDR, SO_REUSEPORT};

	for (int i = 0; i < 2; i++) {
		struct responder *r = responder_start();
		int foreign = listener(ALL_HOSTS, options[i]);
		natpmp_ctx *one = client(responder_port(r), 0), *two = client(responder_port(r), 0);
		struct events first = {0}, second = {0};
		uint8_t bytes[64];

		hold_up(one, NATPMP_TCP, 80, &first);
		hold_up(two, NATPMP_TCP, 81, &second);
		move_to(r, 77);
		announce_address(r, INADDR_LOOPBACK, 77);
		ck_assert(drive(one, &first, 2, SOON));
		ck_assert(drive(two, &second, 2, SOON));
		ck_assert_str_eq(first.at[1].now.mapping.external_address, "203.0.113.77");
		ck_assert_str_eq(first.at[1].before.mapping.external_address, "203.0.113.5");
		ck_assert_str_eq(second.at[1].now.mapping.external_address, "203.0.113.77");
		ck_assert_int_eq(recv(foreign, bytes, sizeof(bytes), MSG_DONTWAIT), 12);
		close(foreign);
		natpmp_free(one);
		natpmp_free(two);
		responder_stop(r);
	}
}

/* It has the port for itself: then without announcements. */
START_TEST(N48_exclusive_listener)
{
	struct responder *r = responder_start();
	int foreign = listener(INADDR_ANY, 0);
	natpmp_ctx *ctx = client(responder_port(r), 0);
	struct events events = {0};

	hold_up(ctx, NATPMP_TCP, 80, &events);
	move_to(r, 77);
	announce_address(r, INADDR_LOOPBACK, 77);
	ck_assert(!drive(ctx, &events, 2, 200));
	natpmp_free(ctx);
	close(foreign);
	responder_stop(r);
}

/* It had the port when we began, and lets go of it later: then we hear, too. */
START_TEST(N48_taken_port_is_tried_again)
{
	struct responder *r = responder_start();
	int foreign = listener(INADDR_ANY, 0);
	natpmp_ctx *ctx = client(responder_port(r), 0);
	struct events events = {0};

	hold_up(ctx, NATPMP_TCP, 80, &events);
	ck_assert_int_le(natpmp_timeout(ctx), 5 * 60 * 1000);
	uint64_t retry_at = ctx->link.groups_retry_at;
	close(foreign);
	ok(natpmp_process(ctx)); /* not yet */
	ck_assert_uint_eq(ctx->link.groups_retry_at, retry_at);
	ck_assert_int_eq(ctx->link.groups[0], NO_HANDLE);
	ctx->link.groups_retry_at = 0; /* the time has come */
	ck_assert_int_eq(natpmp_timeout(ctx), 0);
	ok(natpmp_process(ctx));
	ck_assert_uint_eq(ctx->link.groups_retry_at, UINT64_MAX);
	move_to(r, 77);
	announce_address(r, INADDR_LOOPBACK, 77);
	ck_assert(drive(ctx, &events, 2, SOON));
	ck_assert_str_eq(events.at[1].now.mapping.external_address, "203.0.113.77");
	natpmp_free(ctx);
	responder_stop(r);
}

/* Drafts before 2008 had 5351: some servers announce only there, from any port of theirs. */
START_TEST(N63_old_port_is_heard)
{
	struct responder *r = responder_start();
	natpmp_ctx *one = client(responder_port(r), 0), *two = client(responder_port(r), 0);
	struct events first = {0}, second = {0};

	hold_up(one, NATPMP_TCP, 80, &first);
	hold_up(two, NATPMP_TCP, 81, &second);
	move_to(r, 77);
	announce_address_to(r, OLD_ANNOUNCEMENT_PORT, INADDR_LOOPBACK, 77);
	ck_assert(drive(one, &first, 2, SOON));
	ck_assert(drive(two, &second, 2, SOON));
	ck_assert_str_eq(first.at[1].now.mapping.external_address, "203.0.113.77");
	ck_assert_str_eq(second.at[1].now.mapping.external_address, "203.0.113.77");
	natpmp_free(one);
	natpmp_free(two);
	responder_stop(r);
}

/* A restart that is announced there alone: made anew within 5 s. */
START_TEST(N63_restart_is_heard_on_the_old_port)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	struct events none = {0};

	hold_up(ctx, NATPMP_TCP, 80, NULL);
	responder_reboot(r);
	announce_address_to(r, OLD_ANNOUNCEMENT_PORT, INADDR_LOOPBACK, 5);
	for (uint64_t until = now_ms() + 5500;
	     now_ms() < until && responder_asked(r, NATPMP_TCP, 80) < 2;)
		drive(ctx, &none, 1, 20);
	ck_assert_uint_eq(responder_asked(r, NATPMP_TCP, 80), 2);
	natpmp_free(ctx);
	responder_stop(r);
}

/*
 * We are bound to 224.0.0.1:5351 with both options for sharing. What the kernel does for a server
 * of the same host that starts then: on an address of its own it needs no option, for that is
 * another address; on 0.0.0.0 it needs one (either), for that would be this address, too.
 * A server on 0.0.0.0 without any finds the port taken: it has to start before what holds
 * mappings, and we do without these announcements then.
 */
START_TEST(N63_servers_start_beside_a_holding_client)
{
	static const struct {
		uint32_t address;
		int option;
		bool is_possible;
	} servers[] = {
		{INADDR_LOOPBACK, 0, true},
		{INADDR_LOOPBACK, SO_REUSEADDR, true},
		{INADDR_LOOPBACK, SO_REUSEPORT, true},
		{INADDR_ANY, SO_REUSEADDR, true},
		{INADDR_ANY, SO_REUSEPORT, true},
		{INADDR_ANY, 0, false},
	};
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);

	hold_up(ctx, NATPMP_TCP, 80, NULL);
	for (size_t i = 0; i < sizeof(servers) / sizeof(servers[0]); i++) {
		int fd = try_listener(servers[i].address, OLD_ANNOUNCEMENT_PORT, servers[i].option);
		ck_assert_msg((fd >= 0) == servers[i].is_possible, "server %zu", i);
		if (fd >= 0)
			close(fd);
	}
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(N63_server_that_came_first)
{
	struct responder *r = responder_start();
	int server = try_listener(INADDR_ANY, OLD_ANNOUNCEMENT_PORT, 0);
	natpmp_ctx *ctx = client(responder_port(r), 0);
	struct events events = {0};

	ck_assert_int_ge(server, 0);
	hold_up(ctx, NATPMP_TCP, 80, &events);
	move_to(r, 77);
	announce_address(r, INADDR_LOOPBACK, 77); /* the new port is heard nevertheless */
	ck_assert(drive(ctx, &events, 2, SOON));
	ck_assert_str_eq(events.at[1].now.mapping.external_address, "203.0.113.77");
	natpmp_free(ctx);
	close(server);
	responder_stop(r);
}

/* What is announced is not believed, and makes us ask once, however often it is said (H17). */
START_TEST(H17_announced_address_is_asked_about)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	struct events events = {0};

	hold_up(ctx, NATPMP_TCP, 80, &events);
	size_t before = responder_asked_address(r);
	for (uint8_t last = 66; last < 96; last++) {
		announce_address(r, INADDR_LOOPBACK, last);
		ck_assert(!drive(ctx, &events, 2, 10));
	}
	ck_assert(!drive(ctx, &events, 2, 100));
	ck_assert_uint_eq(responder_asked_address(r), before + 1);
	natpmp_free(ctx);
	responder_stop(r);
}

static void see(natpmp_ctx *ctx, const natpmp_gateway *now, void *arg)
{
	natpmp_gateway *seen = arg;

	(void)ctx;
	*seen = *now;
}

START_TEST(watch_hears_announcements)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	natpmp_gateway seen = {0};
	struct events none = {0};

	ok(natpmp_watch(ctx, see, &seen));
	drive(ctx, &none, 1, 200);
	ck_assert_str_eq(seen.external_address, "203.0.113.5");
	move_to(r, 77);
	announce_address(r, INADDR_LOOPBACK, 77);
	drive(ctx, &none, 1, 300);
	ck_assert_int_eq(seen.status, NATPMP_OK);
	ck_assert_str_eq(seen.external_address, "203.0.113.77");
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(N49_other_sources_are_ignored)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	struct events events = {0};

	hold_up(ctx, NATPMP_TCP, 80, &events);
	announce_address(r, INADDR_LOOPBACK + 1, 66);
	announce(INADDR_LOOPBACK + 1, "\0\200\0\0\0\0\0\0\xcb\0\x71\x42", 12);
	ck_assert(!drive(ctx, &events, 2, 200));
	ck_assert_uint_eq(responder_asked_address(r), 1);
	move_to(r, 77);
	announce_address(r, INADDR_LOOPBACK, 77);
	ck_assert(drive(ctx, &events, 2, SOON));
	ck_assert_str_eq(events.at[1].now.mapping.external_address, "203.0.113.77");
	ck_assert_uint_eq(responder_asked(r, NATPMP_TCP, 80), 1);
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(P46_junk_is_ignored_and_pcp_is_a_hint)
{
	static const uint8_t pcp[24] = {2, 0x80};
	static const uint8_t map[16] = {0, 0x82, 0, 0, 0, 0, 0, 1, 0, 80, 0, 80, 0, 0, 1, 0};
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 0);
	struct events events = {0};

	hold_up(ctx, NATPMP_TCP, 80, &events);
	announce(INADDR_LOOPBACK, "", 0);
	announce(INADDR_LOOPBACK, "\0\200", 2);
	announce(INADDR_LOOPBACK, map, sizeof(map));
	announce(INADDR_LOOPBACK, "\3\200\0\0\0\0\0\0\xcb\0\x71\x42", 12);
	ck_assert(!drive(ctx, &events, 2, 200));
	ck_assert_uint_eq(responder_heard(r), 2);
	responder_be(r, &(struct manner){.address = 0xcb00714d});
	/* RFC 6887 section 14.1.3: it comes from the port of the server. */
	announce(INADDR_LOOPBACK, pcp, sizeof(pcp));
	ck_assert(!drive(ctx, &events, 2, 200));
	const struct sockaddr_in all = at(ALL_HOSTS, ANNOUNCEMENT_PORT);
	responder_says(r, &all, pcp, sizeof(pcp));
	ck_assert(drive(ctx, &events, 2, SOON));
	ck_assert_str_eq(events.at[1].now.mapping.external_address, "203.0.113.77");
	ck_assert_uint_eq(responder_asked(r, NATPMP_TCP, 80), 1);
	ck_assert_uint_eq(responder_asked_address(r), 2);
	natpmp_free(ctx);
	responder_stop(r);
}

/* Both of two contexts make theirs anew, within 5 s, each by itself. */
START_TEST(N44_restart_is_heard_by_all)
{
	struct responder *r = responder_start();
	natpmp_ctx *one = client(responder_port(r), 0), *two = client(responder_port(r), 0);
	struct events none = {0};

	hold_up(one, NATPMP_TCP, 80, NULL);
	hold_up(two, NATPMP_TCP, 81, NULL);
	responder_reboot(r);
	announce_address(r, INADDR_LOOPBACK, 5);
	uint64_t began = now_ms();
	while (now_ms() - began < 5500 &&
	       (responder_asked(r, NATPMP_TCP, 80) < 2 || responder_asked(r, NATPMP_TCP, 81) < 2)) {
		drive(one, &none, 1, 10);
		drive(two, &none, 1, 10);
	}
	ck_assert_uint_eq(responder_asked(r, NATPMP_TCP, 80), 2);
	ck_assert_uint_eq(responder_asked(r, NATPMP_TCP, 81), 2);
	natpmp_free(one);
	natpmp_free(two);
	responder_stop(r);
}

/* Refused twice, so that it pauses for 2 s; the announcement says that it is back. */
START_TEST(N11_announcement_ends_the_pause)
{
	uint16_t port = closed_port();
	natpmp_ctx *ctx = client(port, 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	struct events events = {0};
	natpmp_lease *lease;

	ok(natpmp_hold(ctx, &m, note_event, &events, &lease));
	ck_assert(drive(ctx, &events, 1, SOON));
	ck_assert_int_eq(events.at[0].now.status, NATPMP_E_REFUSED);
	drive(ctx, &events, 2, 1200);
	struct responder *r = responder_start_at(port);
	ck_assert_ptr_nonnull(r);
	uint64_t began = now_ms();
	announce_address(r, INADDR_LOOPBACK, 5);
	ck_assert(drive(ctx, &events, 2, SOON));
	ck_assert_int_eq(events.at[1].now.status, NATPMP_OK);
	ck_assert_uint_lt(now_ms() - began, 1000);
	natpmp_free(ctx);
	responder_stop(r);
}

int main(void)
{
	int status = enter_network();

	if (status)
		return status;
	return RUN_TESTS("api-announce", N48_all_listeners_hear_it, N48_exclusive_listener,
			 N48_taken_port_is_tried_again, N63_old_port_is_heard,
			 N63_restart_is_heard_on_the_old_port,
			 N63_servers_start_beside_a_holding_client, N63_server_that_came_first,
			 H17_announced_address_is_asked_about, watch_hears_announcements,
			 N49_other_sources_are_ignored, P46_junk_is_ignored_and_pcp_is_a_hint,
			 N44_restart_is_heard_by_all, N11_announcement_ends_the_pause);
}
