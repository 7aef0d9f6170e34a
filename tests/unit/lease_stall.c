/* SPDX-License-Identifier: MIT */
/* The program looks at nothing for seconds or hours: a hook, SIGSTOP, a suspended machine. What
 * waits in the socket then came at some time since it was last empty. */
#include "story.h"
#include "suite.h"

#define ADDRESS_ANSWER "00 80 00 00 ## ## ## ## cb 00 71 05"

enum { MANY = 200 };

static void begin_with_many(struct story *s, struct lease **leases, uint32_t lifetime)
{
	story_begin(s);
	s->gateway = gateway_obliges;
	for (uint16_t i = 0; i < MANY; i++)
		leases[i] = program_holds(s, NATPMP_TCP, (uint16_t)(1000 + i), 0, lifetime);
	clock_runs_until(s, SECOND);
	s->gateway = NULL;
	story_skip(s);
}

/* An answer waits while the program stalls for 3 s: that is no restart. */
START_TEST(H16_an_answer_waited_for_3_s)
{
	struct story s;
	struct lease *leases[MANY];
	uint64_t at = 50 * SECOND;

	begin_with_many(&s, leases, 100);
	struct sent renewal = client_sends_something(&s);
	ck_assert_uint_eq(renewal.at, at);
	gateway_obliges(&s, &renewal); /* its clock was seen a moment ago */
	renewal = client_sends_something(&s);
	if (renewal.len == 2) {
		gateway_tells_address(&s, ADDRESS);
		renewal = client_sends_something(&s);
	}
	instant forgot_at = s.client.gateway.reboot.forgot_at;
	program_stalls_until(&s, at + 3 * SECOND);
	s.clock_at_0 -= 3; /* the answer shows the clock as it was when it was sent */
	uint16_t first = sent_internal_port(&renewal);
	gateway_answers(&s, &renewal, 0, first, 100);
	s.clock_at_0 += 3;
	size_t before = s.sent_count;
	s.gateway = gateway_obliges;
	clock_runs_until(&s, at + 10 * SECOND);
	ck_assert_uint_eq(s.client.gateway.reboot.forgot_at, forgot_at);
	ck_assert_uint_eq(s.event_count, s.event_told);
	/* the renewals that are due, and the address: nothing that a restart would make due */
	size_t asked[MANY] = {0};
	for (size_t i = before; i < s.sent_count; i++)
		if (s.sent[i].len == 12)
			asked[sent_internal_port(&s.sent[i]) - 1000]++;
	for (int i = 0; i < MANY; i++)
		ck_assert_uint_le(asked[i], 1);
	ck_assert_uint_eq(asked[first - 1000], 0);
	story_skip(&s);
	story_end(&s);
}

/* Announcements and answers of three hours wait: only what the earliest of them shows counts. */
START_TEST(H16_announcements_waited_for_3_h)
{
	struct story s;
	struct lease *leases[MANY];

	begin_with_many(&s, leases, 86400);
	clock_runs_until(&s, MINUTE);
	uint32_t clock = gateway_clock_shows(&s);
	program_stalls_until(&s, 3 * HOUR);
	for (unsigned i = 0; i < 10; i++) { /* sent at any time of these three hours */
		s.clock_at_0 = clock + i * 1000 - (int64_t)(s.now / 1000);
		gateway_announces(&s, ADDRESS_ANSWER);
	}
	s.clock_at_0 = 86400;
	s.looks_are_told = true;
	client_asks_address(&s, 3 * HOUR);
	gateway_tells_address(&s, ADDRESS);
	nothing_happens_until(&s, 3 * HOUR + SILENCE_MAX - 1);
	story_end(&s);
}

/* But a real restart is seen, whenever it came. */
START_TEST(H16_a_restart_during_a_stall)
{
	struct story s;
	struct lease *leases[MANY];

	begin_with_many(&s, leases, 86400);
	clock_runs_until(&s, MINUTE);
	program_stalls_until(&s, 3 * HOUR);
	gateway_reboots(&s);
	gateway_announces(&s, ADDRESS_ANSWER);
	size_t before = s.sent_count;
	s.gateway = gateway_obliges;
	clock_runs_until(&s, 3 * HOUR + 6 * SECOND);
	size_t asked = 0;
	for (size_t i = before; i < s.sent_count; i++)
		asked += s.sent[i].len == 12;
	ck_assert_uint_eq(asked, MANY);
	ck_assert_uint_eq(s.event_count, s.event_told);
	story_skip(&s);
	story_end(&s);
}

/* Last heard when it was as young as after its restart, the gateway is too young for the time that
 * has passed. Its announcement does not show that, for it may have come at any time since the
 * packet before; the answer to what it makes us ask does. */
START_TEST(H16_a_young_gateway_restarts)
{
	struct story s;

	story_begin(&s);
	s.clock_at_0 = 0;
	lease_is_up(&s, NATPMP_TCP, 80, 86400);
	program_stalls_until(&s, MINUTE);
	gateway_reboots(&s);
	gateway_announces(&s, "00 80 00 00 ## ## ## ## cb 00 71 06");
	client_asks_address(&s, MINUTE);
	gateway_tells_address(&s, ADDRESS);
	s.gateway = gateway_obliges;
	size_t before = s.sent_count;
	clock_runs_until(&s, MINUTE + 6 * SECOND);
	ck_assert_uint_gt(s.sent_count, before);
	ck_assert_uint_eq(s.sent[before].len, 12);
	ck_assert_uint_eq(s.event_count, s.event_told);
	story_skip(&s);
	story_end(&s);
}

/* It was answered while the program stalled: that is read before silence is told. */
START_TEST(H16_no_verdict_before_the_socket_was_read)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	program_stalls_until(&s, 8 * SECOND);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 8 * SECOND);
	gateway_tells_address(&s, ADDRESS);
	/* The time for a verdict is over, so that it does not wait for the address. */
	lease_comes_up(&s, 8 * SECOND, web, 80);
	lease_comes_up(&s, 8 * SECOND, web, 80);
	client_asks(&s, HOUR, NATPMP_TCP, 80, 80, 7200); /* counted from its sending */
	story_end(&s);
}

/* Up, renewed late, and not told to have been down: the lifetime was not over. */
START_TEST(H16_a_renewal_answered_during_a_stall)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 60);
	client_asks(&s, 30 * SECOND, NATPMP_TCP, 80, 80, 60);
	program_stalls_until(&s, 70 * SECOND);
	gateway_grants(&s, 80, 60); /* as it was sent at 30 s, until 90 s */
	client_asks_address(&s, 70 * SECOND);
	gateway_tells_address(&s, ADDRESS);
	client_asks(&s, 70 * SECOND, NATPMP_TCP, 80, 80, 60);
	gateway_grants(&s, 80, 60);
	client_asks(&s, 100 * SECOND, NATPMP_TCP, 80, 80, 60);
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS("lease-stall", H16_an_answer_waited_for_3_s,
			 H16_announcements_waited_for_3_h, H16_a_restart_during_a_stall,
			 H16_no_verdict_before_the_socket_was_read,
			 H16_a_renewal_answered_during_a_stall, H16_a_young_gateway_restarts);
}
