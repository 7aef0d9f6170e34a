/* SPDX-License-Identifier: MIT */
/* What is done about a no, and about silence. The RFC names no times; these are ours. */
#include <stdlib.h>

#include "story.h"
#include "suite.h"

/* Held, and refused at once. */
static struct lease *refused(struct story *s, uint16_t result, int status)
{
	story_begin(s);
	struct lease *web = holds(s, NATPMP_TCP, 80, 0, 7200);
	asks(s, 0, NATPMP_TCP, 80, 80, 7200);
	refuses(s, result);
	struct event down = goes_down(s, 0, web, status);
	ck_assert_int_eq(down.before.status, NATPMP_PENDING);
	return web;
}

static void granted_at_last(struct story *s, const struct lease *web)
{
	uint64_t at = s->now;

	grants(s, 80, 7200);
	if (!s->leases.address_settled) {
		asks_address(s, at);
		tells_address(s, ADDRESS);
	}
	comes_up(s, at, web, 80);
	s->gateway = obliging;
	runs_until(s, at + 100);
	story_end(s);
}

/* How long between tries of what was refused, s. */
static const unsigned waits[] = {30, 60, 120, 240, 480, 960, 1800, 1800, 1800};

/* A clear no is asked about again, seldom in the end, and told once. */
START_TEST(N19_fatal_results_wait_up_to_30_minutes)
{
	static const struct {
		uint16_t result;
		int status;
	} table[] = {
		{1, NATPMP_E_VERSION},    {2, NATPMP_E_NOT_AUTHORIZED}, {5, NATPMP_E_OPCODE},
		{6, NATPMP_E_RESULT},     {255, NATPMP_E_RESULT},       {256, NATPMP_E_RESULT},
		{65535, NATPMP_E_RESULT},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct story s;
		const struct lease *web = refused(&s, table[i].result, table[i].status);

		uint64_t at = 0;
		for (size_t n = 0; n < 9; n++) {
			at += waits[n] * SECOND;
			quiet_until(&s, at - 1);
			asks(&s, at, NATPMP_TCP, 80, 80, 7200);
			if (n < 8)
				refuses(&s, table[i].result);
		}
		granted_at_last(&s, web);
	}
}

START_TEST(network_failure_is_tried_every_30_s)
{
	struct story s;
	const struct lease *web = refused(&s, 3, NATPMP_E_NETWORK_FAILURE);

	for (uint64_t at = 30 * SECOND; at <= 300 * SECOND; at += 30 * SECOND) {
		asks(&s, at, NATPMP_TCP, 80, 80, 7200);
		refuses(&s, 3);
	}
	asks(&s, 330 * SECOND, NATPMP_TCP, 80, 80, 7200);
	granted_at_last(&s, web);
}

START_TEST(network_failure_ends_with_an_announced_address)
{
	struct story s;
	const struct lease *web = refused(&s, 3, NATPMP_E_NETWORK_FAILURE);

	runs_until(&s, 10 * SECOND);
	announces(&s, "00 80 00 03 ## ## ## ## 00 00 00 00"); /* still none */
	quiet_until(&s, 12 * SECOND);
	announces(&s, "00 80 00 00 ## ## ## ## cb 00 71 05");
	asks(&s, 12 * SECOND, NATPMP_TCP, 80, 80, 7200);
	granted_at_last(&s, web);
}

START_TEST(no_resources_waits_twice_as_long_each_time)
{
	struct story s;
	const struct lease *web = refused(&s, 4, NATPMP_E_NO_RESOURCES);
	uint64_t at = 0;

	for (size_t i = 0; i < 9; i++) {
		at += waits[i] * SECOND;
		asks(&s, at, NATPMP_TCP, 80, 80, 7200);
		if (i < 8)
			refuses(&s, 4);
	}
	granted_at_last(&s, web);
}

/* Another network may say something else: no old verdict counts there. */
START_TEST(N11_another_link_is_asked_at_once)
{
	struct story s;
	const struct lease *web = refused(&s, 2, NATPMP_E_NOT_AUTHORIZED);

	runs_until(&s, 20 * SECOND);
	links(&s, NATPMP_OK, IP(10, 0, 0, 7));
	asks(&s, 20 * SECOND, NATPMP_TCP, 80, 80, 7200);
	grants(&s, 80, 7200);
	asks_address(&s, 20 * SECOND);
	tells_address(&s, ADDRESS);
	ck_assert_uint_eq(comes_up(&s, 20 * SECOND, web, 80).now.internal_address, IP(10, 0, 0, 7));
	story_end(&s);
}

/* A no to a renewal: the mapping stands until it ends; more tries, no event before. */
START_TEST(N31_refused_renewals)
{
	static const struct {
		uint16_t result;
		int status;
	} table[] = {
		{2, NATPMP_E_NOT_AUTHORIZED},
		{3, NATPMP_E_NETWORK_FAILURE},
		{4, NATPMP_E_NO_RESOURCES},
		{9, NATPMP_E_RESULT},
	};

	for (size_t i = 0; i < 4; i++) {
		struct story s;

		story_begin(&s);
		struct lease *web = is_up(&s, NATPMP_TCP, 80, 64);
		asks(&s, 32 * SECOND, NATPMP_TCP, 80, 80, 64);
		refuses(&s, table[i].result);
		asks(&s, 48 * SECOND, NATPMP_TCP, 80, 80, 64);
		refuses(&s, table[i].result);
		asks(&s, 56 * SECOND, NATPMP_TCP, 80, 80, 64);
		refuses(&s, table[i].result);
		asks(&s, 60 * SECOND, NATPMP_TCP, 80, 80, 64);
		refuses(&s, table[i].result);
		quiet_until(&s, 64 * SECOND - 1);
		goes_down(&s, 64 * SECOND, web, table[i].status);
		runs_until(&s, 64 * SECOND);
		s.sent_told = s.sent_count; /* asked once more at its end */
		story_end(&s);
	}
}

START_TEST(N9_refused_by_icmp_at_first)
{
	struct story s;
	uint64_t at = 0;

	story_begin(&s);
	struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
	for (unsigned i = 0; i < 10; i++) {
		asks(&s, at, NATPMP_TCP, 80, 80, 7200);
		bounces(&s, NATPMP_E_REFUSED);
		if (i == 0)
			goes_down(&s, 0, web, NATPMP_E_REFUSED);
		at += (i < 6 ? 1U << i : 64) * SECOND;
	}
	asks(&s, at, NATPMP_TCP, 80, 80, 7200);
	granted_at_last(&s, web);
}

/* An announcement says that there is a gateway now. */
START_TEST(N11_announcement_ends_the_pause)
{
	struct story s;

	story_begin(&s);
	struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
	uint64_t at = 0;
	for (unsigned i = 0; i < 8; i++) {
		asks(&s, at, NATPMP_TCP, 80, 80, 7200);
		bounces(&s, NATPMP_E_REFUSED);
		at += (i < 6 ? 1U << i : 64) * SECOND;
	}
	goes_down(&s, 0, web, NATPMP_E_REFUSED);
	runs_until(&s, at - 30 * SECOND);
	announces(&s, "00 80 00 00 ## ## ## ## cb 00 71 05");
	asks(&s, at - 30 * SECOND, NATPMP_TCP, 80, 80, 7200);
	granted_at_last(&s, web);
}

START_TEST(N4_silence_is_told_after_five_sends)
{
	struct story s;

	story_begin(&s);
	struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	repeats(&s, 8);
	goes_down(&s, 7750, web, NATPMP_E_TIMEOUT);
	/* then, for good, series after series; never two of them close together */
	uint64_t last = 63750;
	while (s.now < 24 * HOUR) {
		struct sent sent = sends_something(&s);
		ck_assert_uint_ge(sent.at - last, 250);
		last = sent.at;
	}
	ck_assert_uint_lt(s.sent_count, 24 * 3600 * 9 / 127);
	granted_at_last(&s, web);
}

START_TEST(N10_unreachable_is_a_reason_and_no_end)
{
	struct story s;

	story_begin(&s);
	struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	bounces(&s, NATPMP_E_UNREACHABLE);
	quiet_until(&s, 249);
	repeats(&s, 6);
	goes_down(&s, 7750, web, NATPMP_E_UNREACHABLE);
	granted_at_last(&s, web);
}

/* Another reason is news, the same one again is none. */
START_TEST(reasons_change)
{
	struct story s;

	story_begin(&s);
	struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	bounces(&s, NATPMP_E_REFUSED);
	goes_down(&s, 0, web, NATPMP_E_REFUSED);
	asks(&s, 1000, NATPMP_TCP, 80, 80, 7200);
	bounces(&s, NATPMP_E_REFUSED);
	asks(&s, 3000, NATPMP_TCP, 80, 80, 7200);
	refuses(&s, 4);
	goes_down(&s, 3000, web, NATPMP_E_NO_RESOURCES);
	struct sent again = sends_something(&s);
	ck_assert_uint_ge(again.at, 33 * SECOND);
	refuses(&s, 2);
	goes_down(&s, again.at, web, NATPMP_E_NOT_AUTHORIZED);
	asks(&s, again.at + waits[3] * SECOND, NATPMP_TCP, 80, 80, 7200);
	granted_at_last(&s, web);
}

/* --- of a blocking call: one try, and what to say when its time is over --- */

START_TEST(N9_blocking_call_is_refused_at_once)
{
	struct story s;

	story_begin(&s);
	struct lease *web = holds_once(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	bounces(&s, NATPMP_E_REFUSED);
	ck_assert_int_eq(web->down, NATPMP_E_REFUSED);
	quiet_until(&s, HOUR);
	story_end(&s);
}

START_TEST(N9_next_blocking_call_does_not_wait)
{
	struct story s;

	story_begin(&s);
	for (int i = 0; i < 5; i++) {
		struct lease *web = holds_once(&s, NATPMP_TCP, 80, 0, 7200);
		asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
		bounces(&s, NATPMP_E_REFUSED);
		ck_assert_int_eq(web->down, NATPMP_E_REFUSED);
		leases_drop(&s.leases, web);
		free(web);
	}
	story_end(&s);
}

START_TEST(N7_blocking_call_with_the_whole_series)
{
	struct story s;

	story_begin(&s);
	struct lease *web = holds_once(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	repeats(&s, 8);
	quiet_until(&s, 127749);
	ck_assert_int_eq(web->down, NATPMP_OK);
	ck_assert_int_eq(lease_excuse(&s.leases, web), NATPMP_E_TIMEOUT);
	quiet_until(&s, 127750);
	ck_assert_int_eq(web->down, NATPMP_E_NO_SERVICE);
	ck_assert_int_eq(lease_excuse(&s.leases, web), NATPMP_E_NO_SERVICE);
	story_end(&s);
}

START_TEST(N10_blocking_call_excuses_itself_with_the_hint)
{
	struct story s;

	story_begin(&s);
	struct lease *web = holds_once(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	bounces(&s, NATPMP_E_UNREACHABLE);
	ck_assert_int_eq(web->down, NATPMP_OK);
	ck_assert_int_eq(lease_excuse(&s.leases, web), NATPMP_E_UNREACHABLE);
	story_end(&s);
}

START_TEST(N19_blocking_call_fails_with_the_result)
{
	struct story s;

	story_begin(&s);
	struct lease *web = holds_once(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	refuses(&s, 256);
	ck_assert_int_eq(web->down, NATPMP_E_RESULT);
	quiet_until(&s, HOUR);
	story_end(&s);
}

/* Others wait behind it, so it made way; its caller waits on, and so it is asked again. */
START_TEST(N5_blocking_call_goes_on_after_making_way)
{
	struct story s;

	story_begin(&s);
	struct lease *web = holds_once(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	struct lease *other = holds_once(&s, NATPMP_TCP, 81, 0, 7200);
	repeats(&s, 4);
	asks(&s, 7750, NATPMP_TCP, 81, 81, 7200);
	ck_assert_int_eq(web->down, NATPMP_OK);
	refuses(&s, 2);
	ck_assert_int_eq(other->down, NATPMP_E_NOT_AUTHORIZED);
	asks(&s, 7750, NATPMP_TCP, 80, 80, 7200);
	repeats(&s, 8); /* nobody waits now */
	quiet_until(&s, 7750 + 127750);
	ck_assert_int_eq(web->down, NATPMP_E_NO_SERVICE);
	story_end(&s);
}

START_TEST(N5_blocking_deletion_goes_on_after_making_way)
{
	struct story s;

	story_begin(&s);
	struct lease *web = unmaps(&s, NATPMP_TCP, 80);
	deletes(&s, 0, NATPMP_TCP, 80);
	holds_once(&s, NATPMP_TCP, 81, 0, 7200);
	repeats(&s, 4);
	asks(&s, 7750, NATPMP_TCP, 81, 81, 7200);
	ck_assert(!web->finished);
	refuses(&s, 2);
	deletes(&s, 7750, NATPMP_TCP, 80);
	confirms(&s);
	ck_assert(web->finished);
	ck_assert_int_eq(web->close_status, NATPMP_OK);
	story_end(&s);
}

START_TEST(N54_question_for_the_address_goes_on_after_making_way)
{
	struct story s;

	story_begin(&s);
	leases_ask_address(&s.leases, 10000000);
	asks_address(&s, 0);
	holds_once(&s, NATPMP_TCP, 81, 0, 7200);
	repeats(&s, 4);
	asks(&s, 7750, NATPMP_TCP, 81, 81, 7200);
	refuses(&s, 2);
	ck_assert_uint_eq(s.leases.address_serial, 0);
	asks_address(&s, 7750);
	tells_address(&s, ADDRESS);
	ck_assert_uint_eq(s.leases.address_serial, 1);
	leases_forget_address(&s.leases);
	story_end(&s);
}

/* A dead gateway, and a hold that waits for the end of a pause: that is nobody to make way for. */
START_TEST(N7_blocking_call_beside_a_hold_that_is_down)
{
	struct story s;

	story_begin(&s);
	holds(&s, NATPMP_UDP, 53, 0, 7200);
	runs_until(&s, 300 * SECOND);
	s.sent_told = s.sent_count;
	s.event_told = s.event_count;
	struct lease *web = holds_once(&s, NATPMP_TCP, 80, 0, 7200);
	uint64_t began = 0;
	while (web->down == NATPMP_OK && s.now < 600 * SECOND) {
		struct sent sent = sends_something(&s);
		if (sent.bytes[1] == NATPMP_TCP && !began)
			began = sent.at;
		if (began)
			ck_assert_int_eq(sent.bytes[1], NATPMP_TCP);
		ck_assert_uint_le(s.sent_count, 100);
		if (began && sent.at == began + 63750)
			break;
	}
	quiet_until(&s, began + 127749);
	ck_assert_int_eq(web->down, NATPMP_OK);
	runs_until(&s, began + 127750);
	ck_assert_int_eq(web->down, NATPMP_E_NO_SERVICE);
	s.sent_told = s.sent_count;
	story_end(&s);
}

/* The last wait of the series is cut short for a newcomer: no conclusion from that. */
START_TEST(N7_no_conclusion_before_the_end_of_the_series)
{
	struct story s;

	story_begin(&s);
	struct lease *web = holds_once(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	repeats(&s, 8);
	runs_until(&s, 64 * SECOND);
	holds(&s, NATPMP_UDP, 53, 0, 7200);
	asks(&s, 64 * SECOND, NATPMP_UDP, 53, 53, 7200);
	ck_assert_int_eq(web->down, NATPMP_OK);
	s.gateway = obliging;
	grants(&s, 53, 7200);
	runs_until(&s, 72 * SECOND);
	ck_assert(lease_granted(web));
	s.event_told = s.event_count;
	story_end(&s);
}

START_TEST(N10_hint_is_kept_when_it_makes_way)
{
	struct story s;

	story_begin(&s);
	struct lease *web = holds_once(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	bounces(&s, NATPMP_E_UNREACHABLE);
	runs_until(&s, 5 * SECOND);
	holds(&s, NATPMP_UDP, 53, 0, 7200);
	runs_until(&s, 10 * SECOND);
	ck_assert_int_eq(lease_excuse(&s.leases, web), NATPMP_E_UNREACHABLE);
	s.sent_told = s.sent_count;
	s.event_told = s.event_count;
	story_end(&s);
}

/* The gateway is there, and deaf to the call only: who stood in line is not to wait for two
 * minutes. */
START_TEST(N5_deaf_to_a_blocking_call_only)
{
	struct story s;

	story_begin(&s);
	struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	holds_once(&s, NATPMP_TCP, 81, 0, 7200);
	struct lease *dns = holds(&s, NATPMP_UDP, 53, 0, 7200);
	grants(&s, 80, 7200);
	asks_address(&s, 0);
	tells_address(&s, ADDRESS);
	comes_up(&s, 0, web, 80);
	asks(&s, 0, NATPMP_TCP, 81, 81, 7200);
	repeats(&s, 4);
	asks(&s, 7750, NATPMP_UDP, 53, 53, 7200);
	grants(&s, 53, 7200);
	comes_up(&s, 7750, dns, 53);
	asks(&s, 7750, NATPMP_TCP, 81, 81, 7200);
	story_end(&s);
}

/* A renewal got a no, and is to be tried again in time. */
START_TEST(N5_deaf_to_a_blocking_call_beside_a_renewal)
{
	struct story s;

	story_begin(&s);
	is_up(&s, NATPMP_TCP, 80, 60);
	asks(&s, 30 * SECOND, NATPMP_TCP, 80, 80, 60);
	refuses(&s, 4);
	runs_until(&s, 40 * SECOND);
	holds_once(&s, NATPMP_TCP, 81, 0, 7200);
	asks(&s, 40 * SECOND, NATPMP_TCP, 81, 81, 7200);
	repeats(&s, 4);
	asks(&s, 47750, NATPMP_TCP, 80, 80, 60);
	grants(&s, 80, 60);
	asks(&s, 47750, NATPMP_TCP, 81, 81, 7200);
	story_end(&s);
}

/* Down because the lease is over, while it stood in line behind one that is refused. */
START_TEST(N9_refused_while_it_stands_in_line)
{
	struct story s;

	story_begin(&s);
	for (uint16_t port = 80; port < 86; port++)
		is_up(&s, NATPMP_TCP, port, 8);
	while (s.now < 8 * SECOND) {
		sends_something(&s);
		if (s.now < 8 * SECOND)
			bounces(&s, NATPMP_E_REFUSED);
	}
	runs_until(&s, 8 * SECOND);
	s.sent_told = s.sent_count;
	ck_assert_uint_eq(s.event_count - s.event_told, 6);
	for (; s.event_told < s.event_count; s.event_told++)
		ck_assert_int_eq(s.events[s.event_told].now.status, NATPMP_E_REFUSED);
	story_end(&s);
}

/* It made way once and was taken back; the next who asks is not the last in line for that. */
START_TEST(N54_question_for_the_address_is_a_new_one)
{
	struct story s;

	story_begin(&s);
	leases_ask_address(&s.leases, 10000000);
	asks_address(&s, 0);
	holds(&s, NATPMP_TCP, 81, 0, 7200);
	repeats(&s, 4);
	asks(&s, 7750, NATPMP_TCP, 81, 81, 7200);
	leases_forget_address(&s.leases);
	ck_assert(!s.leases.address_request.made_way);
	holds(&s, NATPMP_TCP, 82, 0, 7200);
	leases_ask_address(&s.leases, 10000000 + s.now);
	grants(&s, 81, 7200);
	asks_address(&s, 7750);
	leases_forget_address(&s.leases);
	s.event_told = s.event_count;
	story_end(&s);
}

/* Who asked for the address has gone; it is not to be waited for, even if there are holds. */
START_TEST(N54_abandoned_question_for_the_address)
{
	struct story s;

	story_begin(&s);
	is_up(&s, NATPMP_TCP, 80, 7200);
	leases_ask_address(&s.leases, 10000000);
	leases_ask_address(&s.leases, 10000000); /* two of them */
	asks_address(&s, 0);
	asks_address(&s, 250);
	leases_forget_address(&s.leases);
	asks_address(&s, 750); /* on behalf of the other one */
	leases_forget_address(&s.leases);
	holds_once(&s, NATPMP_TCP, 81, 0, 7200);
	asks(&s, 750, NATPMP_TCP, 81, 81, 7200);
	story_end(&s);
}

/* But those that are held want to know it, whoever else does not. */
START_TEST(N54_holds_want_the_address_all_the_same)
{
	struct story s;

	story_begin(&s);
	struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	grants(&s, 80, 7200);
	asks_address(&s, 0);
	leases_ask_address(&s.leases, 10000000);
	leases_forget_address(&s.leases);
	repeats(&s, 1);
	tells_address(&s, ADDRESS);
	comes_up(&s, 250, web, 80);
	story_end(&s);
}

/* The steps of the series are wide by now: who has only a second is not to wait for the next. */
START_TEST(N54_blocking_question_begins_the_series_again)
{
	struct story s;

	story_begin(&s);
	struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	grants(&s, 80, 7200);
	asks_address(&s, 0);
	repeats(&s, 6);
	comes_up(&s, 7750, web, 80);
	runs_until(&s, 20 * SECOND);
	leases_ask_address(&s.leases, 10000000 + s.now);
	asks_address(&s, 20 * SECOND);
	tells_address(&s, ADDRESS);
	comes_up(&s, 20 * SECOND, web, 80);
	leases_forget_address(&s.leases);
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS(
		"lease-retry", N19_fatal_results_wait_up_to_30_minutes,
		network_failure_is_tried_every_30_s, network_failure_ends_with_an_announced_address,
		no_resources_waits_twice_as_long_each_time, N11_another_link_is_asked_at_once,
		N31_refused_renewals, N9_refused_by_icmp_at_first, N11_announcement_ends_the_pause,
		N4_silence_is_told_after_five_sends, N10_unreachable_is_a_reason_and_no_end,
		reasons_change, N9_blocking_call_is_refused_at_once,
		N9_next_blocking_call_does_not_wait, N7_blocking_call_with_the_whole_series,
		N10_blocking_call_excuses_itself_with_the_hint,
		N19_blocking_call_fails_with_the_result, N5_blocking_call_goes_on_after_making_way,
		N5_blocking_deletion_goes_on_after_making_way,
		N54_question_for_the_address_goes_on_after_making_way,
		N54_abandoned_question_for_the_address, N54_holds_want_the_address_all_the_same,
		N54_blocking_question_begins_the_series_again,
		N7_blocking_call_beside_a_hold_that_is_down,
		N7_no_conclusion_before_the_end_of_the_series, N10_hint_is_kept_when_it_makes_way,
		N9_refused_while_it_stands_in_line, N54_question_for_the_address_is_a_new_one,
		N5_deaf_to_a_blocking_call_only, N5_deaf_to_a_blocking_call_beside_a_renewal);
}
