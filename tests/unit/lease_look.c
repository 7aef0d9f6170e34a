/* SPDX-License-Identifier: MIT */
/* Nothing was heard of the gateway for five minutes while something is held: its address is asked
 * for, and its clock tells of a restart that nobody announced. */
#include "story.h"
#include "suite.h"

START_TEST(N60_a_silent_restart_is_found)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	lease_is_up(&s, NATPMP_UDP, 53, 7200);
	clock_runs_until(&s, MINUTE);
	gateway_reboots(&s);
	s.gateway = gateway_obliges;
	clock_runs_until(&s, SILENCE_MAX + 5 * SECOND);
	size_t asked = 0;
	for (size_t i = 3; i < s.sent_count; i++)
		asked += s.sent[i].len == 12;
	ck_assert_uint_eq(asked, 2);
	ck_assert(lease_holds_good(&s, web));
	ck_assert_uint_eq(s.event_count, 2); /* nobody is told */
	story_end(&s);
}

START_TEST(N60_a_changed_address_is_found)
{
	struct story s;

	story_begin(&s);
	s.looks_are_told = true;
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	nothing_happens_until(&s, SILENCE_MAX - 1);
	client_asks_address(&s, SILENCE_MAX);
	gateway_tells_address(&s, IP(203, 0, 113, 77));
	struct event event = lease_comes_up(&s, SILENCE_MAX, web, 80);
	ck_assert_uint_eq(v4(event.now.external_address), IP(203, 0, 113, 77));
	client_asks_address(&s, 2 * SILENCE_MAX);
	story_end(&s);
}

/* Renewals say as much. */
START_TEST(N60_short_leases_need_no_look)
{
	struct story s;

	story_begin(&s);
	s.looks_are_told = true;
	lease_is_up(&s, NATPMP_TCP, 80, 480);
	for (uint64_t at = 240; at <= 2400; at += 240) {
		client_asks(&s, at * SECOND, NATPMP_TCP, 80, 80, 480);
		gateway_grants(&s, 80, 480);
		client_asks_address(&s, at * SECOND);
		gateway_tells_address(&s, ADDRESS);
	}
	story_end(&s);
}

/* Nothing is held, or the gateway is known to be away: it is left alone. */
START_TEST(N60_no_look_without_need)
{
	struct story s;

	story_begin(&s);
	s.looks_are_told = true;
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, MINUTE);
	program_releases(&s, web);
	client_deletes(&s, MINUTE, NATPMP_TCP, 80);
	gateway_confirms(&s);
	nothing_happens_until(&s, 3 * HOUR);

	web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	link_is_lost(&s);
	lease_goes_down(&s, 3 * HOUR, web, NATPMP_E_NO_GATEWAY);
	nothing_happens_until(&s, 9 * HOUR);
	story_end(&s);
}

/* One that is not answered is no verdict about the mappings. */
START_TEST(N60_an_unanswered_look)
{
	struct story s;

	story_begin(&s);
	s.looks_are_told = true;
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	client_asks_address(&s, SILENCE_MAX);
	client_repeats(&s, 8);
	nothing_happens_until(&s, SILENCE_MAX + 127750);
	s.gateway = gateway_obliges;
	clock_runs_until(&s, 2 * HOUR);
	ck_assert_uint_eq(s.event_count, 1);
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS("lease-look", N60_a_silent_restart_is_found,
			 N60_a_changed_address_is_found, N60_short_leases_need_no_look,
			 N60_no_look_without_need, N60_an_unanswered_look);
}
