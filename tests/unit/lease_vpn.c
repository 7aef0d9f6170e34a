/* SPDX-License-Identifier: MIT */
/* Gateways of VPN providers: internal port 0, one external port for each client, 60 s
 * (natpmp_options.vpn_ports). */
#include "story.h"
#include "suite.h"

#define ECHOES_0    "00 82 00 00 ## ## ## ## 00 00 93 51 00 00 00 3c" /* 37713 */
#define NAMES_IT    "00 82 00 00 ## ## ## ## 93 51 93 51 00 00 00 3c"
#define ANOTHER_ONE "00 82 00 00 ## ## ## ## 00 00 93 52 00 00 00 3c"
#define UDP_TOO     "00 81 00 00 ## ## ## ## 00 00 93 51 00 00 00 3c"
#define STRANGE     "00 82 00 00 ## ## ## ## 12 34 93 51 00 00 00 3c"

static struct lease *is_up_vpn(struct story *s, const char *answer)
{
	story_begin_with(s, 1, true);
	struct lease *lease = program_holds(s, NATPMP_TCP, 0, 0, 60);
	client_sends(s, 0, "00 02 00 00 00 00 00 01 00 00 00 3c");
	gateway_says(s, STRANGE);
	gateway_says(s, answer);
	client_asks_address(s, 0);
	gateway_tells_address(s, ADDRESS);
	lease_comes_up(s, 0, lease, 37713);
	ck_assert_uint_eq(lease->told.internal_port, 37713); /* listen there */
	return lease;
}

START_TEST(vpn_port_0_is_echoed)
{
	struct story s;

	is_up_vpn(&s, ECHOES_0);
	for (uint64_t at = 30; at <= 300; at += 30) {
		client_sends(&s, at * SECOND, "00 02 00 00 00 00 00 01 00 00 00 3c");
		gateway_says(&s, ECHOES_0);
		if (at % 60 == 0) {
			client_asks_address(&s, at * SECOND);
			gateway_tells_address(&s, ADDRESS);
		}
	}
	story_end(&s);
}

START_TEST(vpn_external_port_is_named)
{
	struct story s;

	is_up_vpn(&s, NAMES_IT);
	client_sends(&s, 30 * SECOND, "00 02 00 00 00 00 00 01 00 00 00 3c");
	gateway_says(&s, NAMES_IT);
	story_end(&s);
}

START_TEST(vpn_port_changes)
{
	struct story s;

	struct lease *lease = is_up_vpn(&s, ECHOES_0);
	client_sends(&s, 30 * SECOND, "00 02 00 00 00 00 00 01 00 00 00 3c");
	gateway_says(&s, ANOTHER_ONE);
	struct event up = lease_comes_up(&s, 30 * SECOND, lease, 37714);
	ck_assert_uint_eq(up.before.internal_port, 37713);
	ck_assert_uint_eq(up.now.internal_port, 37714);
	story_end(&s);
}

START_TEST(vpn_nothing_is_deleted)
{
	struct story s;

	struct lease *lease = is_up_vpn(&s, ECHOES_0);
	client_says_farewell(&s);
	program_releases(&s, lease);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP, 0));
	nothing_happens_until(&s, HOUR);
	story_end(&s);

	story_begin_with(&s, 1, true); /* nor when it was not answered */
	lease = program_holds(&s, NATPMP_TCP, 0, 0, 60);
	client_sends(&s, 0, "00 02 00 00 00 00 00 01 00 00 00 3c");
	client_says_farewell(&s);
	program_releases(&s, lease);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP, 0));
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

START_TEST(vpn_both_protocols_get_the_same_port)
{
	struct story s;

	story_begin_with(&s, 1, true);
	struct lease *lease = program_holds(&s, NATPMP_TCP_UDP, 0, 0, 60);
	client_sends(&s, 0, "00 01 00 00 00 00 00 01 00 00 00 3c");
	gateway_says(&s, UDP_TOO);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	client_sends(&s, 0, "00 02 00 00 00 00 00 01 00 00 00 3c");
	gateway_says(&s, ECHOES_0);
	lease_comes_up(&s, 0, lease, 37713);
	s.gateway = NULL;
	client_sends(&s, 30 * SECOND, "00 01 00 00 00 00 00 01 00 00 00 3c");
	gateway_says(&s, UDP_TOO);
	client_sends(&s, 30 * SECOND, "00 02 00 00 00 00 00 01 00 00 00 3c");
	gateway_says(&s, ECHOES_0);
	story_end(&s);
}

/* Of two protocols on different ports one is asked to move. Its lifetime counts from the first
 * send that is not answered, for nothing was deleted since. */
START_TEST(vpn_move_leaves_sends_answerable)
{
	struct story s;

	story_begin_with(&s, 1, true);
	s.gateway = gateway_obliges;
	struct lease *lease = program_holds(&s, NATPMP_TCP_UDP, 0, 0, 600);
	clock_runs_until(&s, SECOND);
	story_skip(&s);
	s.gateway = NULL;
	while (s.now < 605 * SECOND) { /* TCP is lost after 600 s, UDP is not */
		struct sent sent = client_sends_something(&s);
		if (sent.bytes[1] == NATPMP_UDP && sent.at < 600 * SECOND)
			gateway_grants(&s, lease->grants[0]->external_port, 600);
	}
	clock_runs_until(&s, 610 * SECOND);
	program_asks_address(&s); /* the renewal of UDP, not answered, makes way for that */
	clock_runs_until(&s, 620 * SECOND);
	const struct question *udp = &lease->grants[0]->question;
	instant asked_at = udp->asked_at, now = story_now(&s);
	ck_assert_uint_gt(udp->last_sent, asked_at);
	gateway_says(&s, "00 82 00 00 ## ## ## ## 00 00 93 52 00 00 02 58");
	program_stops_asking_address(&s);
	clock_runs_until(&s, 621 * SECOND);
	ck_assert_uint_ge(udp->last_sent, now);
	ck_assert_uint_eq(udp->message.suggested_port, 37714);
	ck_assert_uint_eq(udp->asked_at, asked_at);
	story_skip(&s);
	story_end(&s);
}

/* A gateway whose mappings last 60 s, and keep their ports for as long as they are renewed; a new
 * one has the port of the other protocol, if there is that. */
struct vpn_gateway {
	struct story s;
	uint16_t port[3]; /* by protocol */
	uint64_t until[3];
};

static void keep_ports(struct story *s, const struct sent *sent)
{
	struct vpn_gateway *gateway = (struct vpn_gateway *)(void *)s;
	unsigned protocol = sent->bytes[1], other = NATPMP_TCP + NATPMP_UDP - protocol;

	if (sent->len == 2) {
		gateway_tells_address(s, ADDRESS);
		return;
	}
	if (gateway->until[protocol] <= s->now)
		gateway->port[protocol] =
			gateway->until[other] > s->now ? gateway->port[other] : 4000;
	gateway->until[protocol] = s->now + 60 * SECOND;
	gateway_answers(s, sent, 0, gateway->port[protocol], 60);
}

/* Nothing can be deleted there: different ports last until one of them is not renewed. */
START_TEST(vpn_different_ports_run_out)
{
	struct vpn_gateway g = {.port = {0, 4001, 4002}, .until = {0, MINUTE, MINUTE}};
	struct story *s = &g.s;

	story_begin_with(s, 1, true);
	s->gateway = keep_ports;
	struct lease *lease = program_holds(s, NATPMP_TCP_UDP, 0, 0, 60);
	clock_runs_until(s, 3 * MINUTE);
	ck_assert_int_eq(lease->told.status, NATPMP_OK);
	ck_assert_uint_eq(g.port[NATPMP_UDP], g.port[NATPMP_TCP]);
	ck_assert_uint_eq(lease->told.external_port, g.port[NATPMP_TCP]);
	story_skip(s);
	story_end(s);
}

START_TEST(vpn_gateway_restarts)
{
	struct story s;

	is_up_vpn(&s, ECHOES_0);
	clock_runs_until(&s, 10 * SECOND);
	gateway_reboots(&s);
	gateway_announces(&s, "00 80 00 00 ## ## ## ## cb 00 71 05");
	struct sent sent = client_sends_something(&s);
	if (sent.len == 2)
		gateway_tells_address(&s, ADDRESS), sent = client_sends_something(&s);
	ck_assert_mem_eq(sent.bytes, "\0\2\0\0\0\0\0\1\0\0\0\x3c", 12);
	ck_assert_uint_le(sent.at, 15 * SECOND);
	story_end(&s);
}

/* One port for each client: two leases would be one. */
START_TEST(vpn_one_lease_only)
{
	struct story s;
	struct lease lease;
	struct wanted again = {.protocol = NATPMP_TCP, .lifetime = 60};

	is_up_vpn(&s, ECHOES_0);
	ck_assert_int_eq(client_hold(&s.client, &lease, &again, story_now(&s)), NATPMP_E_HELD);
	story_end(&s);
}

/* Without that option the strict reading stands. */
START_TEST(N16_strict_without_the_option)
{
	struct story s;

	story_begin(&s);
	struct lease *lease = program_holds(&s, NATPMP_TCP, 80, 0, 60);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 60);
	gateway_says(&s, ECHOES_0);
	gateway_says(&s, NAMES_IT);
	ck_assert(!lease_is_granted(lease));
	nothing_happens_until(&s, 249);
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS("lease-vpn", vpn_port_0_is_echoed, vpn_external_port_is_named,
			 vpn_port_changes, vpn_nothing_is_deleted,
			 vpn_both_protocols_get_the_same_port, vpn_move_leaves_sends_answerable,
			 vpn_different_ports_run_out, vpn_gateway_restarts, vpn_one_lease_only,
			 N16_strict_without_the_option);
}
