/* SPDX-License-Identifier: MIT */
/* A gateway that answers everything, and late: some look for a free port for many seconds. */
#include "story.h"
#include "suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static size_t count_up(struct lease *const *leases, size_t count)
{
	size_t up = 0;

	for (size_t i = 0; i < count; i++)
		up += leases[i]->told.status == NATPMP_OK;
	return up;
}

/* Held, not looked at until all are. */
static void program_holds_many(struct story *s, struct lease **leases, size_t count,
			       uint32_t lifetime)
{
	s->at_once = true;
	for (size_t i = 0; i < count; i++)
		leases[i] = program_holds(s, NATPMP_TCP, (uint16_t)(1000 + i), 0, lifetime);
	s->at_once = false;
}

/* Every packet is answered that long after it was sent, also if others were sent since. */
START_TEST(N58_answers_come_late_for_ten)
{
	static const uint64_t delays[] = {8, 9, 10, 16, 30, 60};

	for (size_t i = 0; i < COUNT(delays); i++) {
		struct story s;
		struct lease *leases[10];

		story_begin(&s);
		program_holds_many(&s, leases, 10, 7200);
		gateway_lags_until(&s, delays[i] * SECOND, 10 * MINUTE);
		ck_assert_msg(count_up(leases, 10) == 10, "after %u s each: %zu are up",
			      (unsigned)delays[i], count_up(leases, 10));
		story_skip(&s);
		gateway_lags_until(&s, delays[i] * SECOND, 3 * HOUR);
		ck_assert_uint_eq(s.event_count, s.event_told); /* and stay up */
		story_skip(&s);
		story_end(&s);
	}
}

START_TEST(N58_answers_begin_to_come_late)
{
	struct story s;
	struct lease *leases[12];

	story_begin(&s);
	program_holds_many(&s, leases, 12, 600);
	gateway_lags_until(&s, 0, 5 * SECOND);
	ck_assert_uint_eq(count_up(leases, 12), 12);
	story_skip(&s);
	gateway_lags_until(&s, 8 * SECOND, HOUR);
	ck_assert_uint_eq(count_up(leases, 12), 12);
	ck_assert_uint_eq(s.event_count, s.event_told); /* none of them was down */
	story_skip(&s);
	story_end(&s);
}

/* A call that may take two minutes beside ten holds. */
START_TEST(N58_a_blocking_call_at_a_slow_gateway)
{
	struct story s;
	struct lease *leases[10];

	story_begin(&s);
	program_holds_many(&s, leases, 10, 7200);
	struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 7200);
	gateway_lags_until(&s, 10 * SECOND, 2 * MINUTE);
	ck_assert_int_eq(web->status, NATPMP_OK);
	story_skip(&s);
	story_end(&s);
}

/* Nobody asks any more: the answer to the last send counts up to 127.75 s after it. */
START_TEST(N58_an_answer_counts_for_127_s)
{
	for (unsigned i = 0; i < 2; i++) {
		struct story s;

		story_begin(&s);
		struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
		client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
		struct sent request = s.sent[s.sent_told - 1];
		gateway_refuses(&s, 2);
		lease_goes_down(&s, 0, web, NATPMP_E_NOT_AUTHORIZED);
		client_asks(&s, 30 * SECOND, NATPMP_TCP, 80, 80, 7200);
		gateway_lags_until(&s, HOUR, 37750); /* silence */
		struct lease *dns = program_holds(&s, NATPMP_UDP, 53, 0, 7200);
		s.gateway = gateway_obliges;
		clock_runs_until(&s, 38 * SECOND);
		ck_assert_int_eq(dns->told.status, NATPMP_OK);
		s.gateway = NULL;
		ck_assert_int_eq(web->told.status, NATPMP_E_NOT_AUTHORIZED);
		gateway_answers(&s, &request, 0, 80, 7200);
		ck_assert_int_eq(web->told.status, NATPMP_OK);
		story_skip(&s);
		story_end(&s);
	}
}

/* But not to one that was answered: that is a duplicate. */
START_TEST(N58_a_duplicate_is_no_answer)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, MINUTE);
	gateway_says(&s, "00 82 00 00 ## ## ## ## 00 50 1f 90 00 00 1c 20");
	ck_assert_uint_eq(web->told.external_port, 80);
	client_asks(&s, HOUR, NATPMP_TCP, 80, 80, 7200);
	story_end(&s);
}

/* The lifetime counts from the first send that may be what is answered: what was granted for a
 * second is over after a round trip of 1.2 s, and is never told to be up. */
START_TEST(N29_granted_for_a_second_too_late)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	while (s.now < MINUTE) {
		struct sent sent = client_sends_something(&s);
		clock_runs_until(&s, sent.at + 1200);
		if (sent.len == 2)
			gateway_tells_address(&s, ADDRESS);
		else
			gateway_answers(&s, &sent, 0, 80, 1);
	}
	for (size_t i = 0; i < s.event_count; i++)
		ck_assert_int_ne(s.events[i].now.status, NATPMP_OK);
	ck_assert(!lease_is_granted(web));
	ck_assert_uint_le(s.sent_count, 400); /* not a flood either */
	story_skip(&s);
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS("lease-slow", N58_answers_come_late_for_ten,
			 N58_answers_begin_to_come_late, N58_a_blocking_call_at_a_slow_gateway,
			 N58_an_answer_counts_for_127_s, N58_a_duplicate_is_no_answer,
			 N29_granted_for_a_second_too_late);
}
