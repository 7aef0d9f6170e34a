/* SPDX-License-Identifier: MIT */
/* A mapping is renewed long before it ends, and tried for until it is back: RFC 6886 section
 * 3.3; the times of further tries are those of RFC 6887 section 11.2.1. */
#include "story.h"
#include "suite.h"

START_TEST(N30_renewed_at_half_with_the_assigned_port)
{
	struct story s;

	story_begin(&s);
	lease_is_up_on(&s, NATPMP_TCP, 80, 51234, 7200);
	nothing_happens_until(&s, HOUR - 1);
	client_asks(&s, HOUR, NATPMP_TCP, 80, 51234, 7200);
	clock_runs_until(&s, HOUR + 30);
	gateway_grants(&s, 51234, 7200);
	client_asks_address(&s, HOUR + 30);
	gateway_tells_address(&s, ADDRESS);
	client_asks(&s, 2 * HOUR, NATPMP_TCP, 80, 51234, 7200); /* counted from its sending */
	story_end(&s);
}

START_TEST(N30_lifetime_changes_at_a_renewal)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	client_asks(&s, HOUR, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 60);
	client_asks_address(&s, HOUR);
	gateway_tells_address(&s, ADDRESS);
	client_asks(&s, HOUR + 30 * SECOND, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks(&s, HOUR + 30 * SECOND + HOUR, NATPMP_TCP, 80, 80, 7200);
	story_end(&s);
}

/* Silent from the first grant on: T/2 and its series, 3/4 and its series, 7/8, ..., each beginning
 * anew what is left of the one before; down at T and not before; tried on; up again as soon as it
 * answers. */
START_TEST(N31_silence_for_7200_s)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	client_asks(&s, 3600 * SECOND, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 8);
	client_asks(&s, 5400 * SECOND, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 8);
	client_asks(&s, 6300 * SECOND, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 8);
	client_asks(&s, 6750 * SECOND, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 8);
	client_asks(&s, 6975 * SECOND, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 8); /* the last 63.75 s after the first */
	client_asks(&s, 7087500, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 7);
	client_asks(&s, 7143750, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 6);
	client_asks(&s, 7171875, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 5);
	client_asks(&s, 7185938, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 4); /* up to 3.75 s after */
	client_asks(&s, 7192969, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 4);
	struct event down = lease_goes_down(&s, 7200 * SECOND, web, NATPMP_E_TIMEOUT);
	ck_assert_int_eq(down.before.status, NATPMP_OK);
	ck_assert_uint_eq(down.now.external_port, 80); /* as last granted */
	client_asks(&s, 7200 * SECOND, NATPMP_TCP, 80, 80, 7200);
	while (s.now < 10 * HOUR) /* for hours; bounded, see lease_crowd.c */
		client_sends_something(&s);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, s.now);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, s.now, web, 80);
	story_end(&s);
}

START_TEST(N31_silence_for_60_s)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 60);
	client_asks(&s, 30 * SECOND, NATPMP_TCP, 80, 80, 60);
	client_repeats(&s, 5);
	client_asks(&s, 45 * SECOND, NATPMP_TCP, 80, 80, 60);
	client_repeats(&s, 4);
	client_asks(&s, 52500, NATPMP_TCP, 80, 80, 60);
	client_repeats(&s, 4);
	lease_goes_down(&s, 60 * SECOND, web, NATPMP_E_TIMEOUT);
	client_asks(&s, 60 * SECOND, NATPMP_TCP, 80, 80, 60);
	client_repeats(&s, 4);
	/* What was granted for a short time is asked for in short turns, a second apart at first.
	 */
	client_asks(&s, 68750, NATPMP_TCP, 80, 80, 60);
	gateway_grants(&s, 80, 60);
	lease_comes_up(&s, 68750, web, 80);
	client_asks_address(&s, 68750);
	gateway_tells_address(&s, ADDRESS);
	/* That may have been the answer to the first of all, at 30 s: it is renewed at once. */
	client_asks(&s, 68750, NATPMP_TCP, 80, 80, 60);
	story_skip(&s);
	story_end(&s);
}

/* The series began again at 3/4; what is answered then may be the first send, at half the time. */
START_TEST(N29_an_answer_to_the_series_before)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 60);
	client_asks(&s, 30 * SECOND, NATPMP_TCP, 80, 80, 60);
	client_repeats(&s, 5);
	client_asks(&s, 45 * SECOND, NATPMP_TCP, 80, 80, 60);
	clock_runs_until(&s, 45 * SECOND + 100);
	gateway_grants(&s, 80, 60);
	client_asks(&s, 60 * SECOND, NATPMP_TCP, 80, 80, 60); /* half of the time since then */
	story_end(&s);
}

/* It cannot be told what is answered: the renewal of a mapping that is in force, by a shorter one
 * that may be over already, is no event. */
START_TEST(N29_over_when_it_is_granted)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	client_asks(&s, HOUR, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 7);
	gateway_grants(&s, 80, 20); /* after 31.75 s */
	client_asks(&s, HOUR + 33750, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 20);
	client_asks_address(&s, HOUR + 33750);
	gateway_tells_address(&s, ADDRESS);
	client_asks(&s, HOUR + 43750, NATPMP_TCP, 80, 80, 7200);
	story_end(&s);
}

/* Another one waits behind: so the series is short, and comes again at 3/4 and 7/8. */
START_TEST(N31_never_closer_than_4_s)
{
	struct story s;
	uint64_t begun[3] = {0}, step[3] = {0};

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 120);
	lease_is_up(&s, NATPMP_UDP, 53, 120);
	while (s.now < 120 * SECOND) {
		struct sent sent = client_sends_something(&s);
		if (sent.len != 12)
			continue;
		/* either the next of a series, or a new one */
		unsigned opcode = sent.bytes[1];
		if (sent.at == begun[opcode] + 500 * step[opcode] - 250) {
			step[opcode] *= 2;
			continue;
		}
		ck_assert_msg(sent.at - begun[opcode] >= 4000, "begins again after %u ms",
			      (unsigned)(sent.at - begun[opcode]));
		begun[opcode] = sent.at;
		step[opcode] = 1;
	}
	clock_runs_until(&s, 130 * SECOND);
	s.event_told = s.event_count;
	s.sent_told = s.sent_count;
	story_end(&s);
}

/* Refused by ICMP for two minutes while the lease still runs: no event. */
START_TEST(N31_a_restarting_gateway_refuses_for_a_while)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 128);
	client_asks(&s, 64 * SECOND, NATPMP_TCP, 80, 80, 128);
	request_bounces(&s, NATPMP_E_REFUSED);
	client_asks(&s, 96 * SECOND, NATPMP_TCP, 80, 80, 128);
	request_bounces(&s, NATPMP_E_REFUSED);
	client_asks(&s, 112 * SECOND, NATPMP_TCP, 80, 80, 128);
	request_bounces(&s, NATPMP_E_REFUSED);
	client_asks(&s, 120 * SECOND, NATPMP_TCP, 80, 80, 128);
	gateway_grants(&s, 80, 128);
	client_asks_address(&s, 120 * SECOND);
	gateway_tells_address(&s, ADDRESS);
	/* The sends that were refused were not answered: the lifetime counts from the last one. */
	client_asks(&s, (120 + 64) * SECOND, NATPMP_TCP, 80, 80, 128);
	story_end(&s);
}

/* A hundred refused packets in a row: down at the end of the lease, and back up. */
START_TEST(N31_a_hundred_refused_packets)
{
	struct story s;
	int refused = 0;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 600);
	while (refused < 100) {
		client_sends_something(&s);
		request_bounces(&s, NATPMP_E_REFUSED);
		refused++;
	}
	ck_assert_uint_gt(s.now, 600 * SECOND);
	lease_goes_down(&s, 600 * SECOND, web, NATPMP_E_REFUSED);
	client_asks(&s, s.now + 64 * SECOND, NATPMP_TCP, 80, 80, 600);
	gateway_grants(&s, 80, 600);
	client_asks_address(&s, s.now);
	gateway_tells_address(&s, ADDRESS);
	struct event up = lease_comes_up(&s, s.now, web, 80);
	ck_assert_uint_eq(up.now.failures, 100);
	story_end(&s);
}

START_TEST(N32_changed_port_is_one_event)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	client_asks(&s, HOUR, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 8080, 7200);
	struct event event = lease_comes_up(&s, HOUR, web, 8080);
	ck_assert_int_eq(event.before.status, NATPMP_OK);
	ck_assert_uint_eq(event.before.external_port, 80);
	client_asks_address(&s, HOUR);
	gateway_tells_address(&s, ADDRESS);
	client_asks(&s, 2 * HOUR, NATPMP_TCP, 80, 8080, 7200);
	gateway_grants(&s, 8080, 7200);
	client_asks_address(&s, 2 * HOUR);
	gateway_tells_address(&s, ADDRESS);
	story_end(&s);
}

/* A suspended machine: past its end it is lost, said once, and asked for at once. */
START_TEST(N29_asleep_past_the_end)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	program_stalls_until(&s, 72 * HOUR);
	lease_goes_down(&s, 72 * HOUR, web, NATPMP_E_TIMEOUT);
	client_asks(&s, 72 * HOUR, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 72 * HOUR);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, 72 * HOUR, web, 80);
	story_end(&s);
}

/* Asleep for a part of it only: renewed on waking up, nothing told. */
START_TEST(N29_asleep_past_the_renewal)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	program_stalls_until(&s, 7199 * SECOND);
	client_asks(&s, 7199 * SECOND, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 7199 * SECOND);
	gateway_tells_address(&s, ADDRESS);
	nothing_happens_until(&s, 7199 * SECOND + HOUR - 1);
	story_end(&s);
}

/* Nothing at all happens between renewals. */
START_TEST(H13_no_deadline_before_the_renewal)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 480);
	ck_assert_uint_eq(next_deadline(&s), 240 * SECOND);
	story_end(&s);
}

/* A month, renewed 720 times, by a gateway that is true to the RFC. */
START_TEST(N30_a_month)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	size_t before = s.sent_count;
	s.gateway = gateway_obliges;
	clock_runs_until(&s, 30ULL * 24 * HOUR);
	size_t renewals = 0;
	for (size_t i = before; i < s.sent_count; i++)
		renewals += s.sent[i].len == 12;
	ck_assert_uint_eq(renewals, 720);
	/* beside each the address, and that alone after five silent minutes in between (N60) */
	ck_assert_uint_eq(s.sent_count - before, 13 * 720);
	ck_assert_int_eq(web->told.status, NATPMP_OK);
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS("lease-renewal", N30_renewed_at_half_with_the_assigned_port,
			 N30_lifetime_changes_at_a_renewal, N31_silence_for_7200_s,
			 N31_silence_for_60_s, N29_an_answer_to_the_series_before,
			 N29_over_when_it_is_granted, N31_never_closer_than_4_s,
			 N31_a_restarting_gateway_refuses_for_a_while,
			 N31_a_hundred_refused_packets, N32_changed_port_is_one_event,
			 N29_asleep_past_the_end, N29_asleep_past_the_renewal,
			 H13_no_deadline_before_the_renewal, N30_a_month);
}
