/* SPDX-License-Identifier: MIT */
/* The first verdict about a hold: yes or no as soon as there is one, silence when its time to open
 * is over. */
#include "story.h"
#include "suite.h"

/* Heard after 15.75 s, in time: nothing was told before. */
START_TEST(silence_is_no_verdict_in_time)
{
	struct story s;

	story_begin(&s);
	s.patience = 20 * SECOND;
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 6); /* the last after 15.75 s */
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 15750);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, 15750, web, 80);
	nothing_happens_until(&s, 15750 + 1000);                   /* nor afterwards */
	ck_assert_uint_eq(next_deadline(&s), 15750 + SILENCE_MAX); /* H13, N60 */
	story_end(&s);
}

/* Sent once and so many times more until then; the next one of the series is answered. */
static void silence_is_told(uint64_t patience, unsigned repeated, uint64_t answered)
{
	struct story s;

	story_begin(&s);
	s.patience = patience;
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, repeated);
	struct event down = lease_goes_down(&s, patience, web, NATPMP_E_TIMEOUT);
	ck_assert_int_eq(down.before.status, NATPMP_PENDING);
	client_asks(&s, answered, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, answered);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, answered, web, 80);
	story_end(&s);
}

START_TEST(silence_is_told_when_it_is_over)
{
	silence_is_told(20 * SECOND, 6, 31750);
}

/* Sooner than five sends. */
START_TEST(silence_is_told_after_2_s)
{
	silence_is_told(2 * SECOND, 3, 3750);
}

START_TEST(hints_are_told_when_it_is_over)
{
	struct story s;

	story_begin(&s);
	s.patience = 5 * SECOND;
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	request_bounces(&s, NATPMP_E_UNREACHABLE);
	client_repeats(&s, 4);
	lease_goes_down(&s, 5 * SECOND, web, NATPMP_E_UNREACHABLE);
	story_end(&s);
}

START_TEST(a_no_is_told_at_once)
{
	struct story s;

	story_begin(&s);
	s.patience = 20 * SECOND;
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_refuses(&s, 2);
	lease_goes_down(&s, 0, web, NATPMP_E_NOT_AUTHORIZED);

	struct lease *dns = program_holds(&s, NATPMP_UDP, 53, 0, 7200);
	client_asks(&s, 0, NATPMP_UDP, 53, 53, 7200);
	request_bounces(&s, NATPMP_E_REFUSED);
	lease_goes_down(&s, 0, dns, NATPMP_E_REFUSED);
	story_end(&s);
}

/* Granted after 20 ms, and the address is never told: open, all the same, and in time. */
START_TEST(N54_open_without_an_address)
{
	struct story s;

	story_begin(&s);
	s.patience = 7750;
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	clock_runs_until(&s, 20);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 20);
	client_repeats(&s, 4);
	struct event up = lease_comes_up(&s, ADDRESS_PATIENCE, web, 80);
	ck_assert_uint_eq(v4(up.now.external_address), 0);
	ck_assert_uint_eq(v4(up.now.internal_address), OWN);
	client_asks_address(&s, 7770);
	gateway_tells_address(&s, ADDRESS);
	up = lease_comes_up(&s, 7770, web, 80);
	ck_assert_uint_eq(v4(up.now.external_address), ADDRESS);
	story_end(&s);
}

/* Five hundred that take 25 s in all: who stands in line is not down. */
START_TEST(in_line_is_not_down)
{
	struct story s;

	story_begin(&s);
	s.patience = 2 * SECOND;
	s.at_once = true;
	for (uint16_t port = 1000; port < 1500; port++)
		program_holds(&s, NATPMP_TCP, port, 0, 7200);
	gateway_obliges_until(&s, 50, MINUTE);
	ck_assert_uint_eq(s.event_count, 500);
	for (size_t i = 0; i < s.event_count; i++)
		ck_assert_int_eq(s.events[i].now.status, NATPMP_OK);
	ck_assert_uint_gt(s.events[499].at, 25 * SECOND);
	s.event_told = s.event_count;
	story_end(&s);
}

/* The time to open is over for sixty, and one of them was asked for just now. */
START_TEST(in_flight_since_a_moment_is_not_down)
{
	struct story s;

	story_begin(&s);
	s.patience = SECOND;
	s.at_once = true;
	for (uint16_t port = 1000; port < 1060; port++)
		program_holds(&s, NATPMP_TCP, port, 0, 7200);
	gateway_obliges_until(&s, 70, MINUTE);
	ck_assert_uint_eq(s.event_count, 60);
	for (size_t i = 0; i < s.event_count; i++)
		ck_assert_int_eq(s.events[i].now.status, NATPMP_OK);
	s.event_told = s.event_count;
	story_end(&s);
}

/* But when it has had its time, and others were answered meanwhile, it is. */
START_TEST(in_flight_for_long_is_down)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	s.patience = 2 * SECOND;
	struct lease *dns = program_holds(&s, NATPMP_UDP, 53, 0, 7200);
	client_asks(&s, 0, NATPMP_UDP, 53, 53, 7200);
	client_repeats(&s, 3);
	lease_goes_down(&s, 2 * SECOND, dns, NATPMP_E_TIMEOUT);
	ck_assert_int_eq(web->told.status, NATPMP_OK);
	story_end(&s);
}

/* It answers; there is only no equal port to be had in time. */
START_TEST(ports_differ_is_no_silence)
{
	struct story s;

	story_begin(&s);
	s.patience = SECOND;
	struct lease *both = program_holds(&s, NATPMP_TCP_UDP, 6881, 0, 7200);
	client_asks(&s, 0, NATPMP_UDP, 6881, 6881, 7200);
	gateway_grants(&s, 6881, 7200);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	client_asks(&s, 0, NATPMP_TCP, 6881, 6881, 7200);
	clock_runs_until(&s, 200);
	gateway_grants(&s, 51413, 7200);
	client_deletes(&s, 200, NATPMP_UDP, 6881);
	client_repeats(&s, 2);
	lease_goes_down(&s, SECOND, both, NATPMP_E_PORTS_DIFFER);
	story_end(&s);
}

/* While what was granted waits for the end of a recovery's delay, the gateway answers well enough.
 */
START_TEST(waiting_for_a_recovery_is_not_down)
{
	struct story s;

	story_begin(&s);
	s.patience = 500;
	struct lease *both = program_holds(&s, NATPMP_TCP_UDP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_UDP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_reboots(&s);
	gateway_announces(&s, "00 80 00 00 00 00 00 00 cb 00 71 05");
	gateway_grants(&s, 80, 7200);
	struct sent again = client_sends_something(&s);
	ck_assert_uint_gt(again.at, 500); /* else this seed proves nothing */
	ck_assert_uint_eq(again.bytes[1], NATPMP_UDP);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, again.at);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, again.at, both, 80);
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS("lease-opening", silence_is_no_verdict_in_time,
			 silence_is_told_when_it_is_over, silence_is_told_after_2_s,
			 hints_are_told_when_it_is_over, a_no_is_told_at_once,
			 N54_open_without_an_address, in_line_is_not_down,
			 in_flight_since_a_moment_is_not_down, in_flight_for_long_is_down,
			 ports_differ_is_no_silence, waiting_for_a_recovery_is_not_down);
}
