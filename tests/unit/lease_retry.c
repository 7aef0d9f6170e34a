/* SPDX-License-Identifier: MIT */
/* What is done about a no, and about silence. The RFC names no times; these are ours. */
#include <stdlib.h>

#include "story.h"
#include "suite.h"

/* Held, and refused at once. */
static struct lease *refused(struct story *s, uint16_t result, int status)
{
	story_begin(s);
	struct lease *web = program_holds(s, NATPMP_TCP, 80, 0, 7200);
	client_asks(s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_refuses(s, result);
	struct event down = lease_goes_down(s, 0, web, status);
	ck_assert_int_eq(down.before.status, NATPMP_PENDING);
	return web;
}

static void granted_at_last(struct story *s, const struct lease *web)
{
	uint64_t at = s->now;
	bool asks_address = external_is_stale(&s->client.external, story_now(s));

	gateway_grants(s, 80, 7200);
	if (asks_address) {
		client_asks_address(s, at);
		gateway_tells_address(s, ADDRESS);
	}
	lease_comes_up(s, at, web, 80);
	s->gateway = gateway_obliges;
	clock_runs_until(s, at + 100);
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
			nothing_happens_until(&s, at - 1);
			client_asks(&s, at, NATPMP_TCP, 80, 80, 7200);
			if (n < 8)
				gateway_refuses(&s, table[i].result);
		}
		granted_at_last(&s, web);
	}
}

START_TEST(network_failure_is_tried_every_30_s)
{
	struct story s;
	const struct lease *web = refused(&s, 3, NATPMP_E_NETWORK_FAILURE);

	for (uint64_t at = 30 * SECOND; at <= 300 * SECOND; at += 30 * SECOND) {
		client_asks(&s, at, NATPMP_TCP, 80, 80, 7200);
		gateway_refuses(&s, 3);
	}
	client_asks(&s, 330 * SECOND, NATPMP_TCP, 80, 80, 7200);
	granted_at_last(&s, web);
}

START_TEST(network_failure_ends_with_an_announced_address)
{
	struct story s;
	const struct lease *web = refused(&s, 3, NATPMP_E_NETWORK_FAILURE);

	clock_runs_until(&s, 10 * SECOND);
	gateway_announces(&s, "00 80 00 03 ## ## ## ## 00 00 00 00"); /* still none */
	nothing_happens_until(&s, 12 * SECOND);
	gateway_announces(&s, "00 80 00 00 ## ## ## ## cb 00 71 05");
	client_asks_address(&s, 12 * SECOND); /* anybody can have sent that */
	gateway_tells_address(&s, ADDRESS);
	client_asks(&s, 12 * SECOND, NATPMP_TCP, 80, 80, 7200);
	granted_at_last(&s, web);
}

START_TEST(no_resources_waits_twice_as_long_each_time)
{
	struct story s;
	const struct lease *web = refused(&s, 4, NATPMP_E_NO_RESOURCES);
	uint64_t at = 0;

	for (size_t i = 0; i < 9; i++) {
		at += waits[i] * SECOND;
		client_asks(&s, at, NATPMP_TCP, 80, 80, 7200);
		if (i < 8)
			gateway_refuses(&s, 4);
	}
	granted_at_last(&s, web);
}

/* Another network may say something else: no old verdict counts there. */
START_TEST(N11_another_link_is_asked_at_once)
{
	struct story s;
	const struct lease *web = refused(&s, 2, NATPMP_E_NOT_AUTHORIZED);

	clock_runs_until(&s, 20 * SECOND);
	link_changes(&s, OTHER_GATEWAY, OTHER_OWN);
	client_asks(&s, 20 * SECOND, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 20 * SECOND);
	gateway_tells_address(&s, ADDRESS);
	ck_assert_uint_eq(v4(lease_comes_up(&s, 20 * SECOND, web, 80).now.internal_address),
			  IP(10, 0, 0, 7));
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
		struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 64);
		client_asks(&s, 32 * SECOND, NATPMP_TCP, 80, 80, 64);
		gateway_refuses(&s, table[i].result);
		client_asks(&s, 48 * SECOND, NATPMP_TCP, 80, 80, 64);
		gateway_refuses(&s, table[i].result);
		client_asks(&s, 56 * SECOND, NATPMP_TCP, 80, 80, 64);
		gateway_refuses(&s, table[i].result);
		client_asks(&s, 60 * SECOND, NATPMP_TCP, 80, 80, 64);
		gateway_refuses(&s, table[i].result);
		nothing_happens_until(&s, 64 * SECOND - 1);
		lease_goes_down(&s, 64 * SECOND, web, table[i].status);
		clock_runs_until(&s, 64 * SECOND);
		s.sent_told = s.sent_count; /* asked once more at its end */
		story_end(&s);
	}
}

START_TEST(N9_refused_by_icmp_at_first)
{
	struct story s;
	uint64_t at = 0;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	for (unsigned i = 0; i < 10; i++) {
		client_asks(&s, at, NATPMP_TCP, 80, 80, 7200);
		request_bounces(&s, NATPMP_E_REFUSED);
		if (i == 0)
			lease_goes_down(&s, 0, web, NATPMP_E_REFUSED);
		at += (i < 6 ? 1U << i : 64) * SECOND;
	}
	client_asks(&s, at, NATPMP_TCP, 80, 80, 7200);
	granted_at_last(&s, web);
}

/* An announcement says that there is a gateway now. */
START_TEST(N11_announcement_ends_the_pause)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	uint64_t at = 0;
	for (unsigned i = 0; i < 8; i++) {
		client_asks(&s, at, NATPMP_TCP, 80, 80, 7200);
		request_bounces(&s, NATPMP_E_REFUSED);
		at += (i < 6 ? 1U << i : 64) * SECOND;
	}
	lease_goes_down(&s, 0, web, NATPMP_E_REFUSED);
	clock_runs_until(&s, at - 30 * SECOND);
	gateway_announces(&s, "00 80 00 00 ## ## ## ## cb 00 71 05");
	client_asks_address(&s, at - 30 * SECOND);
	gateway_tells_address(&s, ADDRESS);
	client_asks(&s, at - 30 * SECOND, NATPMP_TCP, 80, 80, 7200);
	granted_at_last(&s, web);
}

START_TEST(N4_silence_is_told_after_five_sends)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 8);
	lease_goes_down(&s, 7750, web, NATPMP_E_TIMEOUT);
	/* then, for good, series after series; never two of them close together */
	uint64_t last = 63750;
	while (s.now < 24 * HOUR) {
		struct sent sent = client_sends_something(&s);
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
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	request_bounces(&s, NATPMP_E_UNREACHABLE);
	nothing_happens_until(&s, 249);
	client_repeats(&s, 6);
	lease_goes_down(&s, 7750, web, NATPMP_E_UNREACHABLE);
	granted_at_last(&s, web);
}

/* Another reason is news, the same one again is none. */
START_TEST(reasons_change)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	request_bounces(&s, NATPMP_E_REFUSED);
	lease_goes_down(&s, 0, web, NATPMP_E_REFUSED);
	client_asks(&s, 1000, NATPMP_TCP, 80, 80, 7200);
	request_bounces(&s, NATPMP_E_REFUSED);
	client_asks(&s, 3000, NATPMP_TCP, 80, 80, 7200);
	gateway_refuses(&s, 4);
	lease_goes_down(&s, 3000, web, NATPMP_E_NO_RESOURCES);
	/* Another kind of failure begins with its first delay; another no goes on doubling. */
	client_asks(&s, 33 * SECOND, NATPMP_TCP, 80, 80, 7200);
	gateway_refuses(&s, 2);
	lease_goes_down(&s, 33 * SECOND, web, NATPMP_E_NOT_AUTHORIZED);
	client_asks(&s, 93 * SECOND, NATPMP_TCP, 80, 80, 7200);
	granted_at_last(&s, web);
}

START_TEST(result_belongs_to_the_reason)
{
	struct story s;
	const struct lease *web = refused(&s, 4, NATPMP_E_NO_RESOURCES);
	const struct retries *retries = &web->grants[0]->retries;

	ck_assert_uint_eq(retries->result, 4);
	clock_runs_until(&s, MINUTE); /* asked again, and not answered */
	story_skip(&s);
	ck_assert_int_eq(web->told.status, NATPMP_E_TIMEOUT);
	ck_assert_int_eq(retries->status, NATPMP_E_TIMEOUT);
	ck_assert_uint_eq(retries->result, 0);
	story_end(&s);
}

/* --- of a blocking call: one try, and what to say when its time is over --- */

START_TEST(N9_blocking_call_is_refused_at_once)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	request_bounces(&s, NATPMP_E_REFUSED);
	ck_assert_int_eq(web->status, NATPMP_E_REFUSED);
	program_leaves(&s, web);
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

START_TEST(N9_next_blocking_call_does_not_wait)
{
	struct story s;

	story_begin(&s);
	for (int i = 0; i < 5; i++) {
		struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 7200);
		client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
		request_bounces(&s, NATPMP_E_REFUSED);
		ck_assert_int_eq(web->status, NATPMP_E_REFUSED);
		program_leaves(&s, web);
	}
	story_end(&s);
}

START_TEST(N7_blocking_call_with_the_whole_series)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 8);
	nothing_happens_until(&s, 127749);
	ck_assert_int_eq(web->status, NATPMP_PENDING);
	ck_assert_int_eq(lease_excuse(web, &s.client.gateway, story_now(&s)), NATPMP_E_TIMEOUT);
	clock_runs_until(&s, 127750);
	ck_assert_int_eq(web->status, NATPMP_E_NO_SERVICE);
	s.sent_told = s.sent_count; /* asked again, until the call returns */
	ck_assert_int_eq(lease_excuse(web, &s.client.gateway, story_now(&s)), NATPMP_E_NO_SERVICE);
	story_end(&s);
}

START_TEST(N10_blocking_call_excuses_itself_with_the_hint)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	request_bounces(&s, NATPMP_E_UNREACHABLE);
	ck_assert_int_eq(web->status, NATPMP_PENDING);
	ck_assert_int_eq(lease_excuse(web, &s.client.gateway, story_now(&s)), NATPMP_E_UNREACHABLE);
	story_end(&s);
}

START_TEST(N19_blocking_call_fails_with_the_result)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_refuses(&s, 256);
	ck_assert_int_eq(web->status, NATPMP_E_RESULT);
	program_leaves(&s, web);
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

/* Others wait behind it, so it made way; its caller waits on, and so it is asked again. */
START_TEST(N5_blocking_call_goes_on_after_making_way)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	struct lease *other = program_maps(&s, NATPMP_TCP, 81, 0, 7200);
	client_repeats(&s, 4);
	client_asks(&s, 7750, NATPMP_TCP, 81, 81, 7200);
	ck_assert_int_eq(web->status, NATPMP_PENDING);
	gateway_refuses(&s, 2);
	ck_assert_int_eq(other->status, NATPMP_E_NOT_AUTHORIZED);
	client_asks(&s, 7750, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 8); /* nobody waits now */
	program_leaves(&s, other);
	clock_runs_until(&s, 7750 + 127750);
	ck_assert_int_eq(web->status, NATPMP_E_NO_SERVICE);
	s.sent_told = s.sent_count;
	story_end(&s);
}

START_TEST(N5_blocking_deletion_goes_on_after_making_way)
{
	struct story s;

	story_begin(&s);
	struct closing *web = program_unmaps(&s, NATPMP_TCP, 80);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	program_maps(&s, NATPMP_TCP, 81, 0, 7200);
	client_repeats(&s, 4);
	client_asks(&s, 7750, NATPMP_TCP, 81, 81, 7200);
	ck_assert(web->left);
	gateway_refuses(&s, 2);
	client_deletes(&s, 7750, NATPMP_TCP, 80);
	gateway_confirms(&s);
	ck_assert(!web->left);
	ck_assert_int_eq(web->status, NATPMP_OK);
	story_end(&s);
}

START_TEST(N54_question_for_the_address_goes_on_after_making_way)
{
	struct story s;

	story_begin(&s);
	program_asks_address(&s);
	client_asks_address(&s, 0);
	program_maps(&s, NATPMP_TCP, 81, 0, 7200);
	client_repeats(&s, 4);
	client_asks(&s, 7750, NATPMP_TCP, 81, 81, 7200);
	gateway_refuses(&s, 2);
	ck_assert_uint_eq(s.client.external.answers, 0);
	client_asks_address(&s, 7750);
	gateway_tells_address(&s, ADDRESS);
	ck_assert_uint_eq(s.client.external.answers, 1);
	program_stops_asking_address(&s);
	story_end(&s);
}

/* A dead gateway, and a hold that waits for the end of a pause: that is nobody to make way for. */
START_TEST(N7_blocking_call_beside_a_hold_that_is_down)
{
	struct story s;

	story_begin(&s);
	program_holds(&s, NATPMP_UDP, 53, 0, 7200);
	clock_runs_until(&s, 300 * SECOND);
	story_skip(&s);
	struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 7200);
	uint64_t began = 0;
	while (web->status == NATPMP_PENDING && s.now < 600 * SECOND) {
		struct sent sent = client_sends_something(&s);
		if (sent.bytes[1] == NATPMP_TCP && !began)
			began = sent.at;
		if (began)
			ck_assert_int_eq(sent.bytes[1], NATPMP_TCP);
		ck_assert_uint_le(s.sent_count, 100);
		if (began && sent.at == began + 63750)
			break;
	}
	nothing_happens_until(&s, began + 127749);
	ck_assert_int_eq(web->status, NATPMP_PENDING);
	clock_runs_until(&s, began + 127750);
	ck_assert_int_eq(web->status, NATPMP_E_NO_SERVICE);
	s.sent_told = s.sent_count;
	story_end(&s);
}

/* The last wait of the series is cut short for a newcomer: no conclusion from that. */
START_TEST(N7_no_conclusion_before_the_end_of_the_series)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 8);
	clock_runs_until(&s, 64 * SECOND);
	program_holds(&s, NATPMP_UDP, 53, 0, 7200);
	client_asks(&s, 64 * SECOND, NATPMP_UDP, 53, 53, 7200);
	ck_assert_int_eq(web->status, NATPMP_PENDING);
	s.gateway = gateway_obliges;
	gateway_grants(&s, 53, 7200);
	clock_runs_until(&s, 72 * SECOND);
	ck_assert(lease_is_granted(web));
	s.event_told = s.event_count;
	story_end(&s);
}

START_TEST(N10_hint_is_kept_when_it_makes_way)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	request_bounces(&s, NATPMP_E_UNREACHABLE);
	clock_runs_until(&s, 5 * SECOND);
	program_holds(&s, NATPMP_UDP, 53, 0, 7200);
	clock_runs_until(&s, 10 * SECOND);
	ck_assert_int_eq(lease_excuse(web, &s.client.gateway, story_now(&s)), NATPMP_E_UNREACHABLE);
	story_skip(&s);
	story_end(&s);
}

/* The gateway is there, and deaf to the call only: who stood in line is not to wait for two
 * minutes. */
START_TEST(N5_deaf_to_a_blocking_call_only)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	program_maps(&s, NATPMP_TCP, 81, 0, 7200);
	struct lease *dns = program_holds(&s, NATPMP_UDP, 53, 0, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, 0, web, 80);
	client_asks(&s, 0, NATPMP_TCP, 81, 81, 7200);
	client_repeats(&s, 4);
	client_asks(&s, 7750, NATPMP_UDP, 53, 53, 7200);
	gateway_grants(&s, 53, 7200);
	lease_comes_up(&s, 7750, dns, 53);
	client_asks(&s, 7750, NATPMP_TCP, 81, 81, 7200);
	story_end(&s);
}

/* A renewal got a no, and is to be tried again in time. */
START_TEST(N5_deaf_to_a_blocking_call_beside_a_renewal)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 60);
	client_asks(&s, 30 * SECOND, NATPMP_TCP, 80, 80, 60);
	gateway_refuses(&s, 4);
	clock_runs_until(&s, 40 * SECOND);
	program_maps(&s, NATPMP_TCP, 81, 0, 7200);
	client_asks(&s, 40 * SECOND, NATPMP_TCP, 81, 81, 7200);
	client_repeats(&s, 4);
	client_asks(&s, 47750, NATPMP_TCP, 80, 80, 60);
	gateway_grants(&s, 80, 60);
	client_asks(&s, 47750, NATPMP_TCP, 81, 81, 7200);
	story_end(&s);
}

/* Down because the lease is over, while it stood in line behind one that is refused. */
START_TEST(N9_refused_while_it_stands_in_line)
{
	struct story s;

	story_begin(&s);
	for (uint16_t port = 80; port < 86; port++)
		lease_is_up(&s, NATPMP_TCP, port, 8);
	while (s.now < 8 * SECOND) {
		client_sends_something(&s);
		if (s.now < 8 * SECOND)
			request_bounces(&s, NATPMP_E_REFUSED);
	}
	clock_runs_until(&s, 8 * SECOND);
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
	program_asks_address(&s);
	client_asks_address(&s, 0);
	program_holds(&s, NATPMP_TCP, 81, 0, 7200);
	client_repeats(&s, 4);
	client_asks(&s, 7750, NATPMP_TCP, 81, 81, 7200);
	program_stops_asking_address(&s);
	program_holds(&s, NATPMP_TCP, 82, 0, 7200);
	program_asks_address(&s);
	gateway_grants(&s, 81, 7200);
	client_asks_address(&s, 7750);
	program_stops_asking_address(&s);
	s.event_told = s.event_count;
	story_end(&s);
}

/* Two wait for the address, and one of them gives up: the blocked mapping still gets it. */
START_TEST(N54_one_of_two_gives_up_waiting_for_the_address)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 79, 7200);
	uint64_t at = s.now;
	struct lease *web = program_maps(&s, NATPMP_TCP, 80, 80, 7200);
	client_asks(&s, at, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, at);
	program_asks_address(&s);
	program_stops_asking_address(&s);
	clock_runs_until(&s, at + 100);
	ck_assert_int_eq(web->status, NATPMP_PENDING);
	gateway_tells_address(&s, ADDRESS);
	ck_assert_int_eq(web->status, NATPMP_OK);
	ck_assert_uint_eq(ip_to_v4(&web->told.external_address), ADDRESS);
	s.event_told = s.event_count;
	story_end(&s);
}

/* Who asked for the address has gone; it is not to be waited for, even if there are holds. */
START_TEST(N54_abandoned_question_for_the_address)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	program_asks_address(&s);
	program_asks_address(&s); /* two of them */
	client_asks_address(&s, 0);
	client_asks_address(&s, 250);
	program_stops_asking_address(&s);
	client_asks_address(&s, 750); /* on behalf of the other one */
	program_stops_asking_address(&s);
	program_maps(&s, NATPMP_TCP, 81, 0, 7200);
	client_asks(&s, 750, NATPMP_TCP, 81, 81, 7200);
	story_end(&s);
}

/* But those that are held want to know it, whoever else does not. */
START_TEST(N54_holds_want_the_address_all_the_same)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 0);
	program_asks_address(&s);
	program_stops_asking_address(&s);
	client_repeats(&s, 1);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, 250, web, 80);
	story_end(&s);
}

/* The steps of the series are wide by now: who has only a second is not to wait for the next. */
START_TEST(N54_blocking_question_begins_the_series_again)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 0);
	client_repeats(&s, 6);
	lease_comes_up(&s, 7750, web, 80);
	clock_runs_until(&s, 20 * SECOND);
	program_asks_address(&s);
	client_asks_address(&s, 20 * SECOND);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, 20 * SECOND, web, 80);
	program_stops_asking_address(&s);
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
		reasons_change, result_belongs_to_the_reason, N9_blocking_call_is_refused_at_once,
		N9_next_blocking_call_does_not_wait, N7_blocking_call_with_the_whole_series,
		N10_blocking_call_excuses_itself_with_the_hint,
		N19_blocking_call_fails_with_the_result, N5_blocking_call_goes_on_after_making_way,
		N5_blocking_deletion_goes_on_after_making_way,
		N54_question_for_the_address_goes_on_after_making_way,
		N54_one_of_two_gives_up_waiting_for_the_address,
		N54_abandoned_question_for_the_address, N54_holds_want_the_address_all_the_same,
		N54_blocking_question_begins_the_series_again,
		N7_blocking_call_beside_a_hold_that_is_down,
		N7_no_conclusion_before_the_end_of_the_series, N10_hint_is_kept_when_it_makes_way,
		N9_refused_while_it_stands_in_line, N54_question_for_the_address_is_a_new_one,
		N5_deaf_to_a_blocking_call_only, N5_deaf_to_a_blocking_call_beside_a_renewal);
}
