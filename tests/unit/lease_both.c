/* SPDX-License-Identifier: MIT */
/* TCP and UDP on one equal external port: two requests (RFC 6886 section 3.3), one lease. */
#include "story.h"
#include "suite.h"

START_TEST(N33_second_asks_for_the_port_of_the_first)
{
	struct story s;

	story_begin(&s);
	struct lease *both = program_holds(&s, NATPMP_TCP_UDP, 6881, 0, 7200);
	client_asks(&s, 0, NATPMP_UDP, 6881, 6881, 7200);
	clock_runs_until(&s, 10);
	gateway_grants(&s, 51413, 7200);
	client_asks_address(&s, 10);
	gateway_tells_address(&s, ADDRESS);
	clock_runs_until(&s, 20);
	client_asks(&s, 10, NATPMP_TCP, 6881, 51413, 7200);
	ck_assert(!lease_is_granted(both));
	gateway_grants(&s, 51413, 3600);
	lease_comes_up(&s, 20, both, 51413);
	ck_assert_uint_eq(lease_lifetime(both), 3600); /* the shorter one */
	client_asks(&s, 1800 * SECOND + 10, NATPMP_TCP, 6881, 51413, 7200);
	gateway_grants(&s, 51413, 7200);
	client_asks_address(&s, s.now);
	gateway_tells_address(&s, ADDRESS);
	client_asks(&s, 3600 * SECOND, NATPMP_UDP, 6881, 51413, 7200);
	gateway_grants(&s, 51413, 7200);
	client_asks_address(&s, s.now);
	story_end(&s);
}

START_TEST(N33_both_are_deleted)
{
	struct story s;

	story_begin(&s);
	struct lease *both = lease_is_up(&s, NATPMP_TCP_UDP, 6881, 7200);
	program_releases(&s, both);
	client_deletes(&s, 0, NATPMP_UDP, 6881);
	gateway_confirms(&s);
	ck_assert(!mapping_is_closed(&s, NATPMP_TCP_UDP, 6881));
	client_deletes(&s, 0, NATPMP_TCP, 6881);
	gateway_confirms(&s);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP_UDP, 6881));
	story_end(&s);
}

/* One of the protocols alone is another lease: deleting it leaves the other. */
START_TEST(N33_one_is_deleted_alone)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_UDP, 6881, 7200);
	struct lease *tcp = lease_is_up(&s, NATPMP_TCP, 6881, 7200);
	program_releases(&s, tcp);
	client_deletes(&s, 0, NATPMP_TCP, 6881);
	gateway_confirms(&s);
	client_asks(&s, HOUR, NATPMP_UDP, 6881, 6881, 7200);
	story_end(&s);
}

START_TEST(N33_coaxed_to_the_port_of_the_second)
{
	struct story s;

	story_begin(&s);
	struct lease *both = program_holds(&s, NATPMP_TCP_UDP, 6881, 0, 7200);
	client_asks(&s, 0, NATPMP_UDP, 6881, 6881, 7200);
	gateway_grants(&s, 6881, 7200);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	client_asks(&s, 0, NATPMP_TCP, 6881, 6881, 7200);
	gateway_grants(&s, 51413, 7200); /* 6881 is taken for TCP */
	client_deletes(&s, 0, NATPMP_UDP, 6881);
	gateway_confirms(&s);
	client_asks(&s, 0, NATPMP_UDP, 6881, 51413, 7200);
	gateway_grants(&s, 51413, 7200); /* what is alive stays alive */
	lease_comes_up(&s, 0, both, 51413);
	story_end(&s);
}

/* A gateway that never gives both protocols one port, until it gives in. */
struct contrary {
	struct story s;
	unsigned asked, deleted;
	uint16_t open[3]; /* external port by protocol; 0: closed */
	bool gives_in;
};

static void be_contrary(struct story *s, const struct sent *sent)
{
	struct contrary *gateway = (struct contrary *)(void *)s;
	uint16_t port = sent_suggested_port(sent);
	unsigned protocol = sent->bytes[1];

	if (sent->len == 2) {
		gateway_tells_address(s, ADDRESS);
		return;
	}
	if (sent_is_deletion(sent)) {
		gateway->deleted++;
	} else {
		gateway->asked++;
		if (port == gateway->open[NATPMP_TCP + NATPMP_UDP - protocol] && !gateway->gives_in)
			port++;
	}
	gateway->open[protocol] = port;
	gateway_answers(s, sent, 0, port, sent_lifetime(sent));
}

/* Two at first; then the first one moves, then both of them, further and further apart. */
enum { ASKED_IN_A_ROUND = 1 + 2 * (LEASE_MOVES_MAX - 2) };

START_TEST(N33_moves_are_bounded_and_leave_nothing)
{
	struct contrary g = {0};
	struct story *s = &g.s;

	story_begin(s);
	s->gateway = be_contrary;
	struct lease *both = program_holds(s, NATPMP_TCP_UDP, 6881, 0, 7200);
	lease_goes_down(s, 7750, both, NATPMP_E_PORTS_DIFFER);
	clock_runs_until(s, 16 * SECOND);
	ck_assert_uint_eq(g.asked, 2 + ASKED_IN_A_ROUND);
	ck_assert_uint_eq(g.deleted, g.asked - 2);
	ck_assert(g.open[NATPMP_TCP] && g.open[NATPMP_UDP]); /* what is alive is kept */
	/* The gateway is left in peace for a while, longer each time, but for renewals. */
	for (unsigned round = 1; round <= 3; round++) {
		unsigned asked = g.asked;
		uint64_t wait = (uint64_t)(30 * SECOND) << (round - 1);
		clock_runs_until(s, s->now + wait - 2 * SECOND);
		ck_assert_uint_eq(g.asked, asked);
		clock_runs_until(s, s->now + 17 * SECOND);
		ck_assert_uint_gt(g.asked, asked);
		ck_assert_uint_le(g.asked, asked + ASKED_IN_A_ROUND);
	}
	ck_assert_uint_eq(s->event_count, 1);
	g.gives_in = true;
	clock_runs_until(s, s->now + 1800 * SECOND);
	ck_assert_int_eq(both->told.status, NATPMP_OK);
	ck_assert_uint_eq(g.open[NATPMP_TCP], g.open[NATPMP_UDP]);
	ck_assert_uint_eq(s->event_count, 2);
	program_releases(s, both);
	ck_assert(!g.open[NATPMP_TCP] && !g.open[NATPMP_UDP]);
	story_skip(s);
	story_end(s);
}

/* Released in the middle of it: nothing is left behind. */
START_TEST(N33_released_while_being_coaxed)
{
	struct story s;

	story_begin(&s);
	struct lease *both = program_holds(&s, NATPMP_TCP_UDP, 6881, 0, 7200);
	client_asks(&s, 0, NATPMP_UDP, 6881, 6881, 7200);
	gateway_grants(&s, 6881, 7200);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	client_asks(&s, 0, NATPMP_TCP, 6881, 6881, 7200);
	gateway_grants(&s, 51413, 7200);
	client_deletes(&s, 0, NATPMP_UDP, 6881);
	clock_runs_until(&s, 100);
	program_releases(&s, both);
	gateway_confirms(&s);
	client_deletes(&s, 100, NATPMP_TCP, 6881);
	gateway_confirms(&s);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP_UDP, 6881));
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

START_TEST(N33_the_second_is_refused)
{
	struct story s;

	story_begin(&s);
	struct lease *both = program_holds(&s, NATPMP_TCP_UDP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_UDP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_refuses(&s, 2);
	lease_goes_down(&s, 0, both, NATPMP_E_NOT_AUTHORIZED);
	clock_runs_until(&s, 20 * SECOND);
	program_releases(&s, both);
	client_deletes(&s, 20 * SECOND, NATPMP_UDP, 80); /* and only what may be there */
	gateway_confirms(&s);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP_UDP, 80));
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

/* What could not be deleted while coaxing is tried once more at the end; that is what counts. */
START_TEST(N37_refused_while_being_coaxed)
{
	struct story s;

	story_begin(&s);
	struct lease *both = program_holds(&s, NATPMP_TCP_UDP, 6881, 0, 7200);
	client_asks(&s, 0, NATPMP_UDP, 6881, 6881, 7200);
	gateway_grants(&s, 6881, 7200);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	client_asks(&s, 0, NATPMP_TCP, 6881, 6881, 7200);
	gateway_grants(&s, 51413, 7200);
	client_deletes(&s, 0, NATPMP_UDP, 6881);
	gateway_refuses(&s, 2);
	client_asks(&s, 0, NATPMP_UDP, 6881, 51413, 7200);
	gateway_refuses(&s, 4);
	lease_goes_down(&s, 0, both, NATPMP_E_NO_RESOURCES);
	program_releases(&s, both);
	client_deletes(&s, 0, NATPMP_UDP, 6881);
	gateway_confirms(&s);
	client_deletes(&s, 0, NATPMP_TCP, 6881);
	gateway_confirms(&s);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP_UDP, 6881));
	ck_assert_int_eq(leftover_status(&s), NATPMP_OK);
	story_end(&s);
}

/* One half moves at its renewal: the other has to follow, and who listens hears of it once. */
START_TEST(N32_one_half_moves)
{
	struct contrary g = {.gives_in = true};
	struct story *s = &g.s;

	story_begin(s);
	struct lease *both = lease_is_up(s, NATPMP_TCP_UDP, 6881, 7200);
	client_asks(s, HOUR, NATPMP_UDP, 6881, 6881, 7200);
	s->gateway = be_contrary;
	gateway_grants(s, 6900, 7200);
	clock_runs_until(s, HOUR + 10 * SECOND);
	ck_assert(lease_is_granted(both));
	ck_assert_int_eq(both->told.status, NATPMP_OK);
	ck_assert_uint_eq(both->told.external_port, both->grants[0]->external_port);
	ck_assert_uint_eq(both->grants[0]->external_port, both->grants[1]->external_port);
	ck_assert_uint_le(s->event_count - s->event_told, 1);
	s->event_told = s->event_count;
	story_end(s);
}

/* The gateway moves both of them at a renewal: the second one follows the first at once, and that
 * is one change. */
START_TEST(N64_both_move_together)
{
	struct story s;

	story_begin(&s);
	struct lease *both = lease_is_up(&s, NATPMP_TCP_UDP, 6881, 7200);
	struct sent first = client_sends_something(&s);
	ck_assert_uint_eq(first.at, HOUR);
	gateway_grants(&s, 7000, 7200);
	client_asks_address(&s, HOUR);
	gateway_tells_address(&s, ADDRESS);
	struct sent second = client_sends_something(&s);
	ck_assert_uint_eq(second.bytes[1], NATPMP_TCP + NATPMP_UDP - first.bytes[1]);
	ck_assert_uint_eq(sent_suggested_port(&second), 7000);
	gateway_grants(&s, 7000, 7200);
	lease_comes_up(&s, HOUR, both, 7000);
	nothing_happens_until(&s, 2 * HOUR - 1);
	story_end(&s);
}

/* They differ for five seconds: told, and up again within ten; both are renewed all the time. */
START_TEST(N64_ports_differ_for_a_while)
{
	struct contrary g = {0};
	struct story *s = &g.s;

	story_begin(s);
	struct lease *both = lease_is_up(s, NATPMP_TCP_UDP, 6881, 7200);
	g.open[NATPMP_UDP] = g.open[NATPMP_TCP] = 6881;
	clock_runs_until(s, HOUR - 1);
	struct sent first = client_sends_something(s);
	unsigned protocol = first.bytes[1];
	g.open[protocol] = 7000;
	s->gateway = be_contrary;
	gateway_grants(s, 7000, 7200);
	clock_runs_until(s, HOUR + 5 * SECOND);
	ck_assert(g.open[NATPMP_UDP] && g.open[NATPMP_TCP]);
	ck_assert_uint_ne(g.open[NATPMP_UDP], g.open[NATPMP_TCP]);
	g.gives_in = true;
	clock_runs_until(s, HOUR + 15 * SECOND);
	ck_assert_int_eq(both->told.status, NATPMP_OK);
	ck_assert_uint_eq(g.open[NATPMP_UDP], g.open[NATPMP_TCP]);
	ck_assert_uint_eq(both->told.external_port, g.open[NATPMP_TCP]);
	ck_assert_uint_le(s->event_count, 3);
	story_skip(s);
	story_end(s);
}

/* They differ for good: what is alive is renewed, not lost. */
START_TEST(N64_both_are_renewed_while_they_differ)
{
	struct contrary g = {0};
	struct story *s = &g.s;

	story_begin(s);
	s->gateway = be_contrary;
	struct lease *both = program_holds(s, NATPMP_TCP_UDP, 6881, 0, 60);
	clock_runs_until(s, 20 * SECOND);
	for (unsigned i = 0; i < 60; i++) {
		clock_runs_until(s, s->now + 10 * SECOND);
		for (unsigned half = 0; half < 2; half++)
			ck_assert_uint_gt(both->grants[half]->expiry.at, story_now(s));
	}
	ck_assert_int_eq(both->told.status, NATPMP_E_PORTS_DIFFER);
	story_skip(s);
	story_end(s);
}

/* Half an hour lies between two rounds of tries, but not when the program wants a try at once. */
START_TEST(N64_retry_begins_a_new_round)
{
	struct contrary g = {0};
	struct story *s = &g.s;

	story_begin(s);
	s->gateway = be_contrary;
	struct lease *both = program_holds(s, NATPMP_TCP_UDP, 6881, 0, 7200);
	clock_runs_until(s, 3 * HOUR);
	ck_assert_int_eq(both->told.status, NATPMP_E_PORTS_DIFFER);
	g.gives_in = true;
	story_skip(s);
	program_retries(s, both);
	lease_comes_up(s, 3 * HOUR, both, g.open[NATPMP_TCP]);
	story_skip(s);
	story_end(s);
}

/* Half a lease is none: down when one of them has run out. */
START_TEST(N31_one_half_runs_out)
{
	struct story s;

	story_begin(&s);
	struct lease *both = lease_is_up(&s, NATPMP_TCP_UDP, 53, 60);
	while (s.now < 60 * SECOND) { /* UDP only is answered */
		struct sent sent = client_sends_something(&s);
		if (sent.len == 2)
			gateway_tells_address(&s, ADDRESS);
		else if (sent.bytes[1] == NATPMP_UDP)
			gateway_grants(&s, 53, 60);
		if (s.event_count > s.event_told)
			break;
	}
	lease_goes_down(&s, 60 * SECOND, both, NATPMP_E_TIMEOUT);
	s.gateway = gateway_obliges;
	clock_runs_until(&s, 70 * SECOND);
	s.sent_told = s.sent_count;
	ck_assert_int_eq(both->told.status, NATPMP_OK);
	ck_assert_uint_eq(s.event_count - s.event_told, 1);
	ck_assert_uint_eq(both->grants[1]->external_port, 53);
	s.event_told++;
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS("lease-both", N33_second_asks_for_the_port_of_the_first,
			 N33_both_are_deleted, N33_one_is_deleted_alone,
			 N33_coaxed_to_the_port_of_the_second,
			 N33_moves_are_bounded_and_leave_nothing, N33_released_while_being_coaxed,
			 N33_the_second_is_refused, N37_refused_while_being_coaxed,
			 N32_one_half_moves, N64_both_move_together, N64_ports_differ_for_a_while,
			 N64_both_are_renewed_while_they_differ, N64_retry_begins_a_new_round,
			 N31_one_half_runs_out);
}
