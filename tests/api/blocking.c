/* SPDX-License-Identifier: MIT */
/* The blocking calls over real sockets. */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>

#include "client.h"

START_TEST(N26_map_comes_out_as_granted)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_UDP, 40000, 0);

	responder_be(r, &(struct manner){.external_port = 51413, .most = 3600});
	strcpy(m.external_address, "nonsense"); /* never read */
	ok(natpmp_map(ctx, &m));
	ck_assert_int_eq(m.protocol, NATPMP_UDP);
	ck_assert_uint_eq(m.internal_port, 40000);
	ck_assert_uint_eq(m.external_port, 51413);
	ck_assert_uint_eq(m.lifetime, 3600);
	ck_assert_str_eq(m.internal_address, "127.0.0.1");
	ck_assert_str_eq(m.external_address, "203.0.113.5");
	struct heard first = responder_nth(r, 0);
	ck_assert_uint_eq(first.len, 12);
	ck_assert_mem_eq(first.bytes, "\0\1\0\0\x9c\x40\x9c\x40\0\0\x1c\x20", 12);
	/* left to its lifetime: nothing is deleted */
	natpmp_free(ctx);
	ck_assert_uint_eq(responder_heard(r), 2);
	responder_stop(r);
}

START_TEST(N27_lifetime_0_asks_for_7200)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_UDP, 40000, 0);

	ok(natpmp_map(ctx, &m));
	ck_assert_uint_eq(m.lifetime, 7200); /* granted as asked */
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(N33_map_both)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP_UDP, 6881, 60);

	m.external_port = 7000;
	ok(natpmp_map(ctx, &m));
	ck_assert_uint_eq(m.external_port, 7000);
	ck_assert_uint_eq(responder_asked(r, NATPMP_UDP, 6881), 1);
	ck_assert_uint_eq(responder_asked(r, NATPMP_TCP, 6881), 1);
	ok(natpmp_unmap(ctx, &m));
	ck_assert_uint_eq(responder_deleted(r, NATPMP_UDP, 6881), 1);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 6881), 1);
	natpmp_free(ctx);
	responder_stop(r);
}

/* TCP and UDP cannot get one port: said so, tried a bounded number of times, nothing left. */
START_TEST(N33_ports_differ)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP_UDP, 6881, 60);

	responder_be(r, &(struct manner){.contrary = true});
	ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_PORTS_DIFFER);
	ck_assert_uint_eq(m.external_port, 0);
	size_t udp = responder_asked(r, NATPMP_UDP, 6881),
	       tcp = responder_asked(r, NATPMP_TCP, 6881);
	ck_assert_uint_ge(tcp, 2);
	ck_assert_uint_ge(udp, tcp); /* UDP alone moves to TCP's port first */
	ck_assert_uint_le(udp, 10);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_UDP, 6881), udp);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 6881), tcp);
	struct heard last = responder_nth(r, responder_heard(r) - 1);
	ck_assert_uint_eq(last.bytes[11], 0); /* a deletion */
	natpmp_free(ctx);
	responder_stop(r);
}

/* One of the two is refused: the other is not left behind. */
START_TEST(N33_half_of_both_is_deleted)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP_UDP, 6881, 60);

	responder_be(r, &(struct manner){.no_tcp = true});
	ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_NOT_AUTHORIZED);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_UDP, 6881), 1);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 6881), 0);
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(N36_unmap)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);

	ok(natpmp_map(ctx, &m));
	ok(natpmp_unmap(ctx, &m));
	ok(natpmp_unmap(ctx, &m)); /* not open any more: fine */
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 2);
	responder_be(r, &(struct manner){.result = 2});
	ck_assert_int_eq(natpmp_unmap(ctx, &m), NATPMP_E_NOT_AUTHORIZED);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 80), 3);
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(N38_unmap_all)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);

	ok(natpmp_unmap_all(ctx, NATPMP_UDP));
	ck_assert_uint_eq(responder_heard(r), 1);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_UDP, 0), 1);
	ok(natpmp_unmap_all(ctx, NATPMP_TCP_UDP));
	ck_assert_uint_eq(responder_deleted(r, NATPMP_UDP, 0), 2);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_TCP, 0), 1);
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(N24_external_address)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	char address[NATPMP_ADDRESS_LEN];

	ok(natpmp_external_address(ctx, address));
	ck_assert_str_eq(address, "203.0.113.5");
	responder_be(r, &(struct manner){.address = 0x64400907});
	ok(natpmp_external_address(ctx, address));
	ck_assert_str_eq(address, "100.64.9.7");
	responder_be(r, &(struct manner){.no_address = true});
	ok(natpmp_external_address(ctx, address));
	ck_assert_str_eq(address, "");
	responder_be(r, &(struct manner){.address = 0x7f000001});
	ok(natpmp_external_address(ctx, address));
	ck_assert_str_eq(address, "");
	responder_be(r, &(struct manner){.address_result = 3});
	ck_assert_int_eq(natpmp_external_address(ctx, address), NATPMP_E_NETWORK_FAILURE);
	ck_assert_str_eq(address, "");
	natpmp_free(ctx);
	responder_stop(r);
}

/* The mapping is good even if the gateway tells no address. */
START_TEST(N54_map_without_an_address)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);

	responder_be(r, &(struct manner){.address_result = 3});
	ok(natpmp_map(ctx, &m));
	ck_assert_uint_eq(m.external_port, 80);
	ck_assert_str_eq(m.external_address, "");
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(N19_map_fails_with_the_result)
{
	static const struct {
		uint16_t result;
		int status;
	} table[] = {
		{1, NATPMP_E_VERSION},         {2, NATPMP_E_NOT_AUTHORIZED},
		{3, NATPMP_E_NETWORK_FAILURE}, {4, NATPMP_E_NO_RESOURCES},
		{5, NATPMP_E_OPCODE},          {6, NATPMP_E_RESULT},
		{256, NATPMP_E_RESULT},        {65535, NATPMP_E_RESULT},
	};
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		natpmp_mapping m = wanted(NATPMP_TCP, 80, 60), before;

		strcpy(m.external_address, "untouched");
		before = m;
		responder_be(r, &(struct manner){.result = table[i].result});
		ck_assert_int_eq(natpmp_map(ctx, &m), table[i].status);
		ck_assert_mem_eq(&m, &before, sizeof(m));
	}
	natpmp_free(ctx);
	responder_stop(r);
}

/* Real time, to the ms. */
START_TEST(N7_first_four_sends)
{
	static const uint64_t series[] = {0, 250, 750, 1750};
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 2000);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);

	responder_be(r, &(struct manner){.silent = true});
	ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_TIMEOUT);
	ck_assert_uint_eq(responder_heard(r), 4);
	struct heard first = responder_nth(r, 0);
	for (size_t i = 1; i < 4; i++) {
		struct heard heard = responder_nth(r, i);
		ck_assert_uint_ge(heard.at - first.at + 20000, series[i] * 1000);
		ck_assert_uint_le(heard.at - first.at, (series[i] + 100) * 1000);
		ck_assert_mem_eq(heard.bytes, first.bytes, 12);
		ck_assert_uint_eq(heard.from_port, first.from_port);
	}
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(deadline_is_kept)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 300);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	char address[NATPMP_ADDRESS_LEN] = "before";

	responder_be(r, &(struct manner){.silent = true});
	uint64_t began = now_ms();
	ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_TIMEOUT);
	ck_assert_int_eq(natpmp_unmap(ctx, &m), NATPMP_E_TIMEOUT);
	ck_assert_int_eq(natpmp_external_address(ctx, address), NATPMP_E_TIMEOUT);
	uint64_t took = now_ms() - began;
	ck_assert_uint_ge(took, 3 * 300 - 3);
	ck_assert_uint_le(took, 3 * 300 + 400);
	responder_be(r, &(struct manner){0}); /* and nothing of that is in the way afterwards */
	ok(natpmp_map(ctx, &m));
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(N20_lost_packets_are_sent_again)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);

	responder_be(r, &(struct manner){.lose = 2});
	ok(natpmp_map(ctx, &m));
	ck_assert_uint_eq(responder_asked(r, NATPMP_TCP, 80), 3);
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(N9_closed_port_is_told_at_once)
{
	natpmp_ctx *ctx = client(closed_port(), 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	char address[NATPMP_ADDRESS_LEN];
	uint64_t best = UINT64_MAX;

	for (int i = 0; i < 5; i++) { /* the machine may have other things to do */
		uint64_t began = now_ms();
		ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_REFUSED);
		uint64_t took = now_ms() - began;
		ck_assert_uint_lt(took, 500);
		best = took < best ? took : best;
	}
	ck_assert_uint_lt(best, 50);
	ck_assert_int_eq(natpmp_unmap(ctx, &m), NATPMP_E_REFUSED);
	ck_assert_int_eq(natpmp_unmap_all(ctx, NATPMP_TCP), NATPMP_E_REFUSED);
	ck_assert_int_eq(natpmp_external_address(ctx, address), NATPMP_E_REFUSED);
	natpmp_free(ctx);
}

/* Closed, then open: the error of before does not count as a send of now. */
START_TEST(H3_open_again)
{
	uint16_t port = closed_port();
	natpmp_ctx *ctx = client(port, 0);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);

	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_REFUSED);
	struct responder *r = responder_start_at(port);
	ck_assert_ptr_nonnull(r);
	uint64_t began = now_ms();
	ok(natpmp_map(ctx, &m));
	ck_assert_uint_lt(now_ms() - began, 200);
	ck_assert_uint_eq(responder_asked(r, NATPMP_TCP, 80), 1);
	responder_stop(r);
	ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_REFUSED);
	natpmp_free(ctx);
}

/* A no from elsewhere comes first; the gateway's own yes counts. */
START_TEST(N13_answers_from_another_address)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);

	responder_be(r, &(struct manner){.from_other_address = true});
	ok(natpmp_map(ctx, &m));
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(N14_answers_from_another_port)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);

	responder_be(r, &(struct manner){.from_other_port = true});
	ok(natpmp_map(ctx, &m));
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(N21_answer_of_1200_bytes)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);

	responder_be(r, &(struct manner){.padded_to = 1200});
	ok(natpmp_map(ctx, &m));
	ck_assert_uint_eq(m.external_port, 80);
	ck_assert_str_eq(m.external_address, "203.0.113.5");
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(N2_source_address)
{
	struct responder *r = responder_start();
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	natpmp_link link;
	natpmp_ctx *ctx;

	options.gateway = "127.0.0.1";
	options.gateway_port = responder_port(r);
	options.source = "127.0.0.9";
	ok(natpmp_new(&ctx, &options));
	ok(natpmp_get_link(ctx, &link));
	ck_assert_str_eq(link.internal_address, "127.0.0.9");
	ok(natpmp_map(ctx, &m));
	ck_assert_str_eq(m.internal_address, "127.0.0.9");
	ck_assert_uint_eq(responder_nth(r, 0).from, 0x7f000009);
	natpmp_free(ctx);
	responder_stop(r);
}

/* Behind another NAT: told, and nobody else is asked. */
START_TEST(N56_no_second_gateway)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);

	responder_be(r, &(struct manner){.address = 0x0a000001});
	ok(natpmp_map(ctx, &m));
	ck_assert_str_eq(m.external_address, "10.0.0.1");
	ck_assert_int_eq(natpmp_classify(m.external_address), NATPMP_ADDRESS_PRIVATE);
	ck_assert_uint_eq(responder_heard(r), 2);
	natpmp_free(ctx);
	responder_stop(r);
}

/* A slow gateway: in time is in time. */
START_TEST(N5_slow_answers)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);

	responder_be(r, &(struct manner){.delay = 300});
	ok(natpmp_map(ctx, &m));
	/* The answers to retransmissions come late, and complete nothing they should not. */
	m = wanted(NATPMP_TCP, 81, 60);
	ok(natpmp_map(ctx, &m));
	ck_assert_uint_eq(m.external_port, 81);
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(held_mappings_are_not_mapped_or_unmapped)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60), udp = wanted(NATPMP_UDP, 80, 60);
	natpmp_mapping both = wanted(NATPMP_TCP_UDP, 80, 60);
	natpmp_lease *again;

	natpmp_lease *lease = hold_up(ctx, NATPMP_TCP, 80, NULL);
	ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_HELD);
	ck_assert_int_eq(natpmp_map(ctx, &both), NATPMP_E_HELD);
	ck_assert_int_eq(natpmp_unmap(ctx, &m), NATPMP_E_HELD);
	ck_assert_int_eq(natpmp_unmap_all(ctx, NATPMP_TCP), NATPMP_E_HELD);
	ck_assert_int_eq(natpmp_unmap_all(ctx, NATPMP_TCP_UDP), NATPMP_E_HELD);
	ck_assert_int_eq(natpmp_hold(ctx, &m, NULL, NULL, &again), NATPMP_E_HELD);
	ck_assert_ptr_null(again);
	ok(natpmp_map(ctx, &udp));
	/* Some gateways would delete what is held along with it. */
	ck_assert_int_eq(natpmp_unmap_all(ctx, NATPMP_UDP), NATPMP_E_HELD);
	ok(natpmp_release(lease));
	ok(natpmp_unmap_all(ctx, NATPMP_UDP));
	ok(natpmp_map(ctx, &m));
	ok(natpmp_unmap(ctx, &m));
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(H7_contexts_share_nothing)
{
	struct responder *r = responder_start();
	natpmp_ctx *one = client(responder_port(r), SOON), *two = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60), n = wanted(NATPMP_TCP, 80, 60);

	natpmp_lease *lease = hold_up(one, NATPMP_TCP, 80, NULL);
	ok(natpmp_map(two, &m)); /* not HELD there */
	ok(natpmp_unmap(two, &n));
	struct heard first = responder_nth(r, 0);
	struct heard last = responder_nth(r, responder_heard(r) - 1);
	ck_assert_uint_ne(first.from_port, last.from_port);
	ok(natpmp_release(lease));
	natpmp_free(one);
	natpmp_free(two);
	responder_stop(r);
}

START_TEST(link_and_probe)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client_of(NATPMP_DIALECT_AUTO, responder_port(r), 500);
	natpmp_link link;
	natpmp_probe probe;

	ok(natpmp_get_link(ctx, &link));
	ck_assert_str_eq(link.gateway, "127.0.0.1");
	ck_assert_str_eq(link.internal_address, "127.0.0.1");
	ck_assert_str_eq(link.interface, "lo");
	ck_assert_uint_eq(link.gateway_port, responder_port(r));
	ck_assert_uint_eq(responder_heard(r), 0);

	ok(natpmp_get_probe(ctx, &probe));
	ck_assert_int_eq(probe.status, NATPMP_OK);
	ck_assert_int_eq(probe.pcp_status, NATPMP_E_VERSION);
	ck_assert_str_eq(probe.external_address, "203.0.113.5");
	ck_assert_uint_ge(probe.uptime, 86400);
	ck_assert_uint_le(probe.uptime, 86410);
	ck_assert_uint_gt(probe.round_trip, 0);
	ck_assert_uint_lt(probe.round_trip, 500000);

	responder_be(r, &(struct manner){.pcp = true, .delay = 50});
	ok(natpmp_get_probe(ctx, &probe));
	ck_assert_int_eq(probe.pcp_status, NATPMP_OK);
	ck_assert_uint_ge(probe.round_trip, 50000);

	responder_be(r, &(struct manner){.silent = true});
	uint64_t began = now_ms();
	ok(natpmp_get_probe(ctx, &probe));
	ck_assert_uint_le(now_ms() - began, 2 * 500 + 300);
	ck_assert_int_eq(probe.status, NATPMP_E_TIMEOUT);
	ck_assert_int_eq(probe.pcp_status, NATPMP_E_TIMEOUT);
	ck_assert_str_eq(probe.external_address, "");
	ck_assert_uint_eq(probe.round_trip, 0); /* not those of the answers before */
	ck_assert_uint_eq(probe.uptime, 0);
	natpmp_free(ctx);
	responder_stop(r);

	ctx = client_of(NATPMP_DIALECT_AUTO, closed_port(), 500);
	ok(natpmp_get_probe(ctx, &probe));
	ck_assert_int_eq(probe.status, NATPMP_E_REFUSED);
	ck_assert_int_eq(probe.pcp_status, NATPMP_E_REFUSED);
	natpmp_free(ctx);
}

/* The address is not told, and whoever asked for it gave up: the next call does not wait. */
START_TEST(N54_abandoned_question_keeps_nobody_waiting)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), 300);
	natpmp_mapping m = wanted(NATPMP_TCP, 81, 60);
	char address[NATPMP_ADDRESS_LEN];

	natpmp_lease *lease = hold_up(ctx, NATPMP_TCP, 80, NULL);
	responder_be(r, &(struct manner){.address_silent = true});
	ck_assert_int_eq(natpmp_external_address(ctx, address), NATPMP_E_TIMEOUT);
	ok(natpmp_unmap(ctx, &m));
	ok(natpmp_map(ctx, &m)); /* waits for the address for its 300 ms, too */
	ok(natpmp_unmap(ctx, &m));
	ok(natpmp_release(lease));
	natpmp_free(ctx);
	responder_stop(r);
}

START_TEST(no_such_interface)
{
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	natpmp_link link;
	natpmp_ctx *ctx;

	options.interface = "no-such-thing";
	ok(natpmp_new(&ctx, &options));
	ck_assert_int_eq(natpmp_map(ctx, &m), NATPMP_E_NO_INTERFACE);
	ck_assert_int_eq(natpmp_unmap(ctx, &m), NATPMP_E_NO_INTERFACE);
	ck_assert_int_eq(natpmp_get_link(ctx, &link), NATPMP_E_NO_INTERFACE);
	natpmp_free(ctx);
}

/* --- signals --- */

static volatile sig_atomic_t interrupted;

static void on_alarm(int signal)
{
	(void)signal;
	interrupted++;
}

START_TEST(H13_signal_storm)
{
	struct responder *r = responder_start();
	natpmp_ctx *ctx = client(responder_port(r), SOON);
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	struct sigaction action = {.sa_handler = on_alarm}; /* without SA_RESTART */
	struct itimerval storm = {{0, 1000}, {0, 1000}}, calm = {{0, 0}, {0, 0}};

	sigaction(SIGALRM, &action, NULL);
	responder_be(r, &(struct manner){.lose = 1, .delay = 50});
	setitimer(ITIMER_REAL, &storm, NULL);
	ok(natpmp_map(ctx, &m));
	ok(natpmp_unmap(ctx, &m));
	natpmp_lease *lease = hold_up(ctx, NATPMP_UDP, 53, NULL);
	ok(natpmp_release(lease));
	natpmp_free(ctx);
	setitimer(ITIMER_REAL, &calm, NULL);
	ck_assert_int_gt(interrupted, 50);
	ck_assert_uint_eq(responder_asked(r, NATPMP_TCP, 80), 2);
	ck_assert_uint_eq(responder_deleted(r, NATPMP_UDP, 53), 1);
	responder_stop(r);
}

/* --- the log --- */

static void count_lines(void *arg, const char *line)
{
	unsigned *lines = arg;

	ck_assert(line && *line && !strchr(line, '\n'));
	++*lines;
}

START_TEST(log_tells_what_happens)
{
	struct responder *r = responder_start();
	natpmp_options options = NATPMP_OPTIONS_INIT;
	natpmp_mapping m = wanted(NATPMP_TCP, 80, 60);
	unsigned lines = 0;
	natpmp_ctx *ctx;

	options.gateway = "127.0.0.1";
	options.gateway_port = responder_port(r);
	options.log = count_lines;
	options.log_arg = &lines;
	ok(natpmp_new(&ctx, &options));
	ok(natpmp_map(ctx, &m));
	ck_assert_uint_ge(lines, 5); /* the link, two sent, two received */
	natpmp_free(ctx);
	responder_stop(r);
}

int main(void)
{
	return RUN_TESTS("api-blocking", N26_map_comes_out_as_granted, N27_lifetime_0_asks_for_7200,
			 N33_map_both, N33_ports_differ, N33_half_of_both_is_deleted, N36_unmap,
			 N38_unmap_all, N24_external_address, N54_map_without_an_address,
			 N19_map_fails_with_the_result, N7_first_four_sends, deadline_is_kept,
			 N20_lost_packets_are_sent_again, N9_closed_port_is_told_at_once,
			 H3_open_again, N13_answers_from_another_address,
			 N14_answers_from_another_port, N21_answer_of_1200_bytes, N2_source_address,
			 N56_no_second_gateway, N5_slow_answers,
			 held_mappings_are_not_mapped_or_unmapped, H7_contexts_share_nothing,
			 link_and_probe, N54_abandoned_question_keeps_nobody_waiting,
			 no_such_interface, H13_signal_storm, log_tells_what_happens);
}
