/* SPDX-License-Identifier: MIT */
/* What the gateway grants is what counts: RFC 6886 section 3.3. */
#include "story.h"
#include "suite.h"

START_TEST(N26_assigned_port_is_told)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	clock_runs_until(&s, 20);
	gateway_grants(&s, 51234, 7200);
	client_asks_address(&s, 20);
	clock_runs_until(&s, 40);
	gateway_tells_address(&s, ADDRESS);
	struct event up = lease_comes_up(&s, 40, web, 51234);
	ck_assert_int_eq(up.before.status, NATPMP_PENDING);
	ck_assert_uint_eq(v4(up.now.external_address), ADDRESS);
	ck_assert_uint_eq(v4(up.now.internal_address), OWN);
	ck_assert_uint_eq(lease_lifetime(web), 7200);
	story_end(&s);
}

START_TEST(N26_suggestion_is_sent)
{
	struct story s;

	story_begin(&s);
	program_holds(&s, NATPMP_UDP, 6881, 51413, 600);
	client_asks(&s, 0, NATPMP_UDP, 6881, 51413, 600);
	story_end(&s);
}

/* No suggestion at all: 0 on the wire. The renewal suggests what was assigned. */
START_TEST(N26_no_suggestion_is_sent_as_0)
{
	struct story s;

	story_begin(&s);
	struct lease *dns = program_holds_any(&s, NATPMP_UDP, 40000, 7200);
	client_sends(&s, 0, "00 01 00 00 9c 40 00 00 00 00 1c 20");
	client_repeats(&s, 1);
	gateway_grants(&s, 51413, 7200);
	client_asks_address(&s, 250);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, 250, dns, 51413);
	client_asks(&s, HOUR, NATPMP_UDP, 40000, 51413, 7200);
	story_end(&s);
}

/* Nothing is told before a positive answer came, for that mapping and in full. */
START_TEST(H8_no_event_before_the_answer)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_says(&s, "00 82 00 00 ## ## ## ## 00 51 00 51 00 00 1c 20"); /* another port */
	gateway_says(&s, "00 81 00 00 ## ## ## ## 00 50 00 50 00 00 1c 20"); /* UDP */
	gateway_says(&s, "00 82 00 00 ## ## ## ## 00 50 00 50 00 00 1c");    /* cut */
	gateway_announces(&s, "00 82 00 00 ## ## ## ## 00 50 00 50 00 00 1c 20");
	client_repeats(&s, 2);
	ck_assert(!lease_is_granted(web));
	ck_assert_int_eq(web->told.status, NATPMP_PENDING);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 750);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, 750, web, 80);
	gateway_says(&s, "00 82 00 00 ## ## ## ## 00 50 00 50 00 00 1c 20"); /* late duplicates */
	gateway_says(&s, "00 82 00 02 ## ## ## ## 00 50 00 50 00 00 1c 20");
	nothing_happens_until(&s, HOUR - 1);
	story_end(&s);
}

START_TEST(N28_granted_lifetime_rules)
{
	static const struct {
		uint32_t asked, granted;
		uint64_t renewed; /* s */
	} table[] = {
		{7200, 60, 30},           {7200, 7199, 3599}, {60, 60, 30}, {7200, 2, 1}, {2, 2, 1},
		{60, 7200, 30}, /* more than asked for: not counted on */
		{7200, UINT32_MAX, 3600},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct story s;

		story_begin(&s);
		struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, table[i].asked);
		client_asks(&s, 0, NATPMP_TCP, 80, 80, table[i].asked);
		gateway_grants(&s, 80, table[i].granted);
		client_asks_address(&s, 0);
		gateway_tells_address(&s, ADDRESS);
		lease_comes_up(&s, 0, web, 80);
		ck_assert_uint_eq(lease_lifetime(web), table[i].granted);
		struct sent renewal = client_sends_something(&s);
		ck_assert_uint_eq(renewal.at / SECOND, table[i].renewed);
		story_end(&s);
	}
}

/* Asked for and granted for 136 years: no number overflows, and nothing is planned more than a day
 * ahead. */
START_TEST(N61_never_renewed_more_than_a_day_later)
{
	static const uint32_t lifetimes[] = {2 * 86400 + 2, INT32_MAX, UINT32_MAX};

	for (size_t i = 0; i < 3; i++) {
		struct story s;

		story_begin(&s);
		lease_is_up(&s, NATPMP_TCP, 80, lifetimes[i]);
		for (uint64_t day = 1; day <= 3; day++) {
			nothing_happens_until(&s, day * 24 * HOUR - 1);
			client_asks(&s, day * 24 * HOUR, NATPMP_TCP, 80, 80, lifetimes[i]);
			gateway_grants(&s, 80, lifetimes[i]);
			client_asks_address(&s, day * 24 * HOUR);
			gateway_tells_address(&s, ADDRESS);
		}
		story_end(&s);
	}
}

/* The same after a renewal that failed. */
START_TEST(N61_nor_tried_again_later)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, UINT32_MAX);
	for (uint64_t day = 1; day <= 3; day++) {
		client_asks(&s, day * 24 * HOUR, NATPMP_TCP, 80, 80, UINT32_MAX);
		gateway_refuses(&s, 4);
	}
	client_asks(&s, 4 * 24 * HOUR, NATPMP_TCP, 80, 80, UINT32_MAX);
	story_end(&s);
}

START_TEST(N28_two_seconds_for_a_minute)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 2);
	for (uint64_t at = 1; at <= 60; at++) {
		client_asks(&s, at * SECOND, NATPMP_TCP, 80, 80, 2);
		clock_runs_until(&s, at * SECOND + 5);
		gateway_grants(&s, 80, 2);
		if (at == 60) { /* a minute old: that is asked again beside it */
			client_asks_address(&s, at * SECOND + 5);
			gateway_tells_address(&s, ADDRESS);
		}
	}
	story_end(&s);
}

/* The gateway's time began before its answer arrived. Ours must end no later. */
START_TEST(N29_lifetime_counts_from_the_sending)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 60);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 60);
	client_repeats(&s, 3);
	clock_runs_until(&s, 3000);
	gateway_grants(&s, 80, 60);
	client_asks_address(&s, 3000);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, 3000, web, 80);
	client_asks(&s, 30000, NATPMP_TCP, 80, 80, 60);
	client_repeats(&s, 5);
	client_asks(&s, 45000, NATPMP_TCP, 80, 80, 60);
	client_repeats(&s, 4);
	client_asks(&s, 52500, NATPMP_TCP, 80, 80, 60);
	client_repeats(&s, 4);
	lease_goes_down(&s, 60000, web, NATPMP_E_TIMEOUT);
	client_asks(&s, 60000, NATPMP_TCP, 80, 80, 60);
	story_end(&s);
}

START_TEST(N23_port_or_lifetime_zero_grants_nothing)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 0, 7200);
	client_repeats(&s, 1);
	gateway_grants(&s, 80, 0);
	client_repeats(&s, 0);
	ck_assert(!lease_is_granted(web));
	ck_assert_int_eq(lease_excuse(web, &s.client.gateway, story_now(&s)), NATPMP_E_BAD_ANSWER);
	s.sent_told++; /* 0.75 s */
	lease_goes_down(&s, 7750, web, NATPMP_E_BAD_ANSWER);
	clock_runs_until(&s, 127749);
	s.sent_told = s.sent_count;
	/* no renewal is planned, but another try, as after silence */
	client_asks(&s, 127750 + 4000, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 131750);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, 131750, web, 80);
	story_end(&s);
}

/* Up, with an address unknown. */
START_TEST(N24_unusable_addresses_are_unknown)
{
	static const uint32_t unusable[] = {0, IP(127, 0, 0, 1), IP(224, 0, 0, 1), IP(240, 0, 0, 1),
					    UINT32_MAX};

	for (size_t i = 0; i < 5; i++) {
		struct story s;

		story_begin(&s);
		struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
		client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
		gateway_grants(&s, 80, 7200);
		client_asks_address(&s, 0);
		gateway_tells_address(&s, unusable[i]);
		ck_assert_uint_eq(v4(lease_comes_up(&s, 0, web, 80).now.external_address), 0);
		story_end(&s);
	}
}

/* Another NAT in front, or the provider's: told as it is. */
START_TEST(N55_private_addresses_are_told)
{
	static const uint32_t unreachable[] = {IP(10, 0, 0, 1), IP(100, 64, 9, 7)};

	for (size_t i = 0; i < 2; i++) {
		struct story s;

		story_begin(&s);
		struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
		client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
		gateway_grants(&s, 80, 7200);
		client_asks_address(&s, 0);
		gateway_tells_address(&s, unreachable[i]);
		ck_assert_uint_eq(v4(lease_comes_up(&s, 0, web, 80).now.external_address),
				  unreachable[i]);
		story_end(&s);
	}
}

/* Silent on opcode 0 only: nine sends of its own, and the mapping is up without. */
START_TEST(N54_silence_about_the_address)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 0);
	client_repeats(&s, 8);
	ck_assert_uint_eq(v4(lease_comes_up(&s, 7750, web, 80).now.external_address), 0);
	client_asks_address(&s, 157750); /* after the end of the series and 30 s */
	gateway_tells_address(&s, ADDRESS);
	ck_assert_uint_eq(v4(lease_comes_up(&s, 157750, web, 80).now.external_address), ADDRESS);
	story_end(&s);
}

/* Meanwhile others do not wait for it longer than for anything else. */
START_TEST(N54_mappings_work_without_the_address)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 0);
	client_repeats(&s, 2);
	clock_runs_until(&s, 1000);
	struct lease *dns = program_holds(&s, NATPMP_UDP, 53, 0, 7200);
	client_sends(&s, 1750, "00 00");
	client_sends(&s, 3750, "00 00");
	lease_comes_up(&s, 7750, web, 80);
	client_asks(&s, 7750, NATPMP_UDP, 53, 53, 7200);
	gateway_grants(&s, 53, 7200);
	lease_comes_up(&s, 7750, dns, 53);
	story_end(&s);
}

START_TEST(N54_refusal_to_tell_the_address)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 0);
	gateway_refuses(&s, 3);
	ck_assert_uint_eq(v4(lease_comes_up(&s, 0, web, 80).now.external_address), 0);
	for (unsigned i = 0; i < 4; i++) { /* 30 s, and twice as long each time */
		client_asks_address(&s, ((2U << i) - 1) * 30 * SECOND);
		gateway_refuses(&s, 3);
	}
	gateway_announces(&s, "00 80 00 00 ## ## ## ## cb 00 71 05");
	client_asks_address(&s, s.now);
	gateway_tells_address(&s, ADDRESS);
	ck_assert_uint_eq(v4(lease_comes_up(&s, s.now, web, 80).now.external_address), ADDRESS);
	story_end(&s);
}

/* Repeats change nothing, whether the gateway gives the same or a second mapping. */
START_TEST(N34_the_same_again)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	for (uint64_t at = HOUR; at <= 10 * HOUR; at += HOUR) {
		client_asks(&s, at, NATPMP_TCP, 80, 80, 7200);
		gateway_grants(&s, 80, 7200);
		gateway_grants(&s, 80, 7200);
		client_asks_address(&s, at);
		gateway_tells_address(&s, ADDRESS);
		gateway_tells_address(&s, ADDRESS);
	}
	story_end(&s);
}

/* One at a time in this context: the second one hears HELD. */
START_TEST(held_already)
{
	struct story s;
	struct lease lease;
	struct closing closing;
	struct wanted again = {.protocol = NATPMP_TCP, .internal_port = 80, .lifetime = 7200};
	struct wanted both = {.protocol = NATPMP_TCP_UDP, .internal_port = 80, .lifetime = 7200};

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	instant now = story_now(&s);
	ck_assert_int_eq(client_hold(&s.client, &lease, &again, now), NATPMP_E_HELD);
	ck_assert_int_eq(client_hold(&s.client, &lease, &both, now), NATPMP_E_HELD);
	ck_assert_int_eq(client_unmap(&s.client, &closing, NATPMP_TCP, 80, now), NATPMP_E_HELD);
	ck_assert_int_eq(client_unmap(&s.client, &closing, NATPMP_TCP, 0, now), NATPMP_E_HELD);
	ck_assert(!client_is_held(&s.client, NATPMP_UDP, 80));
	ck_assert(!client_is_held(&s.client, NATPMP_TCP, 81));
	nothing_happens_until(&s, 1000);
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS("lease-grant", N26_assigned_port_is_told, N26_suggestion_is_sent,
			 N26_no_suggestion_is_sent_as_0, H8_no_event_before_the_answer,
			 N28_granted_lifetime_rules, N61_never_renewed_more_than_a_day_later,
			 N61_nor_tried_again_later, N28_two_seconds_for_a_minute,
			 N29_lifetime_counts_from_the_sending,
			 N23_port_or_lifetime_zero_grants_nothing,
			 N24_unusable_addresses_are_unknown, N55_private_addresses_are_told,
			 N54_silence_about_the_address, N54_mappings_work_without_the_address,
			 N54_refusal_to_tell_the_address, N34_the_same_again, held_already);
}
