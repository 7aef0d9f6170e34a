/* SPDX-License-Identifier: MIT */
/* What the simulation found, each told once more as a story: short, and always the same. */
#include "story.h"
#include "suite.h"
#include "../unit/link_v4.h"

enum { MANY = 3000, DEAF_PORT = 80 };

/* --- one wake-up --- */

/* Two packets are there when the program looks: a grant, and that the gateway forgot it since. */
START_TEST(grant_and_restart_in_one_wake_up)
{
	struct story s;
	uint8_t bytes[RESPONSE_MAX];
	size_t len;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	client_asks(&s, HOUR, NATPMP_TCP, 80, 80, 7200);
	len = from_hex("00 82 00 00 ## ## ## ## 00 50 00 50 00 00 1c 20", gateway_clock_shows(&s),
		       bytes, sizeof(bytes));
	client_on_packet(&s.client, story_now(&s), story_now(&s), bytes, len);
	gateway_reboots(&s);
	gateway_announces(&s, "00 80 00 00 ## ## ## ## cb 00 71 05");

	struct sent again = client_sends_something(&s);
	while (again.len == 2) { /* the address may be asked for as well */
		gateway_tells_address(&s, ADDRESS);
		again = client_sends_something(&s);
	}
	ck_assert_uint_le(again.at, HOUR + 5 * SECOND);
	ck_assert_uint_eq(again.bytes[5], 80);
	story_end(&s);
}

/* --- links --- */

/* What still comes in on the old socket does not make it send when there is no gateway. */
START_TEST(late_answer_without_a_gateway)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	client_asks(&s, HOUR, NATPMP_TCP, 80, 80, 7200);
	link_is_lost(&s);
	gateway_says(&s, "00 82 00 00 ## ## ## ## 00 50 00 50 00 00 1c 20");
	lease_goes_down(&s, HOUR, web, NATPMP_E_NO_GATEWAY);
	nothing_happens_until(&s, 3 * HOUR);
	story_end(&s);
}

/* The old gateway's external address is not the new one's. */
START_TEST(address_is_forgotten_on_another_link)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	client_on_link_v4(&s.client, story_now(&s), NATPMP_OK, OTHER_GATEWAY, OTHER_OWN);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 0);
	for (int i = 0; i < 4; i++)
		client_sends_something(&s); /* and again, unanswered */
	struct event up = lease_comes_up(&s, 7750, web, 80);
	ck_assert_uint_eq(ip_to_v4(&up.now.external_address), 0);
	ck_assert_uint_eq(ip_to_v4(&up.now.internal_address), OTHER_OWN);
	client_sends_something(&s);
	story_end(&s);
}

/* The new gateway's address is no news for a mapping that it has not granted yet. */
START_TEST(events_tell_nothing_but_the_truth)
{
	struct story s;

	story_begin(&s);
	struct lease *one = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	struct lease *two = lease_is_up(&s, NATPMP_TCP, 81, 7200);
	client_on_link_v4(&s.client, story_now(&s), NATPMP_OK, OTHER_GATEWAY, OTHER_OWN);
	struct sent first = client_sends_something(&s);
	gateway_grants(&s, (uint16_t)(first.bytes[5] + 1000), 7200);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, 0, first.bytes[5] == 80 ? one : two, first.bytes[5] + 1000);
	struct sent second = client_sends_something(&s);
	ck_assert_uint_eq(s.event_count, s.event_told);
	gateway_grants(&s, (uint16_t)(second.bytes[5] + 1000), 7200);
	lease_comes_up(&s, 0, second.bytes[5] == 80 ? one : two, second.bytes[5] + 1000);
	story_end(&s);
}

/* --- both protocols --- */

/* After a restart UDP gets another port: TCP asks for that, and nothing is deleted for it. */
START_TEST(second_half_follows_the_first)
{
	struct story s;

	story_begin(&s);
	struct lease *both = lease_is_up(&s, NATPMP_TCP_UDP, 6881, 7200);
	clock_runs_until(&s, MINUTE);
	gateway_reboots(&s);
	gateway_announces(&s, "00 80 00 00 ## ## ## ## cb 00 71 05");
	struct sent again = client_sends_something(&s);
	ck_assert_uint_eq(again.bytes[1], NATPMP_UDP);
	gateway_grants(&s, 7000, 7200);
	again = client_sends_something(&s);
	if (again.len == 2) {
		gateway_tells_address(&s, ADDRESS);
		again = client_sends_something(&s);
	}
	ck_assert_uint_eq(again.bytes[1], NATPMP_TCP);
	ck_assert_int_eq(again.bytes[6] << 8 | again.bytes[7], 7000);
	gateway_grants(&s, 7000, 7200);
	if (s.sent_count > s.sent_told) {
		client_sends_something(&s);
		gateway_tells_address(&s, ADDRESS);
	}
	lease_comes_up(&s, again.at, both, 7000);
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

/* The first half is up, the second is refused: that is the reason, whatever became of the first. */
START_TEST(the_half_that_fails_gives_the_reason)
{
	struct story s;

	story_begin(&s);
	struct lease *both = program_holds(&s, NATPMP_TCP_UDP, 6881, 0, 120);
	client_asks(&s, 0, NATPMP_UDP, 6881, 6881, 120);
	gateway_grants(&s, 6881, 120);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	client_asks(&s, 0, NATPMP_TCP, 6881, 6881, 120);
	gateway_refuses(&s, 2);
	lease_goes_down(&s, 0, both, NATPMP_E_NOT_AUTHORIZED);
	client_asks(&s, 30 * SECOND, NATPMP_TCP, 6881, 6881, 120);
	gateway_refuses(&s, 2);
	client_asks(&s, MINUTE, NATPMP_UDP, 6881, 6881, 120);
	request_bounces(&s, NATPMP_E_REFUSED); /* in force, so no news */
	client_asks(&s, 90 * SECOND, NATPMP_UDP, 6881, 6881, 120);
	gateway_grants(&s, 6881, 120);
	if (s.sent_count > s.sent_told) {
		client_sends_something(&s);
		gateway_tells_address(&s, ADDRESS);
	}
	s.sent_told = s.sent_count; /* the other half is tried again, too */
	story_end(&s);
}

/* --- closing --- */

/* Granted perhaps by the first send, whose answer was lost: no to the second says nothing. */
START_TEST(refused_after_a_resend_is_deleted_all_the_same)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	client_asks(&s, 250, NATPMP_TCP, 80, 80, 7200);
	gateway_refuses(&s, 4);
	lease_goes_down(&s, 250, web, NATPMP_E_NO_RESOURCES);
	program_releases(&s, web);
	client_deletes(&s, 250, NATPMP_TCP, 80);
	gateway_confirms(&s);
	story_end(&s);
}

/* Held and released again while the deletion is in flight: that one is of the same mapping, so
 * there is no other. */
START_TEST(held_and_released_during_its_deletion)
{
	struct story s;

	story_begin(&s);
	program_releases(&s, lease_is_up(&s, NATPMP_TCP, 80, 7200));
	client_deletes(&s, 0, NATPMP_TCP, 80);
	program_releases(&s, program_holds(&s, NATPMP_TCP, 80, 0, 7200));
	gateway_confirms(&s);
	nothing_happens_until(&s, HOUR);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP_UDP, 80));
	story_end(&s);
}

/* A deletion has its deadline, new mappings have none: it goes first. */
START_TEST(deletion_goes_ahead_of_a_crowd)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	for (int i = 0; i < MANY; i++)
		program_holds(&s, NATPMP_TCP, (uint16_t)(1000 + i), 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 1000, 1000, 7200);
	program_releases(&s, web);
	gateway_grants(&s, 1000, 7200);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	story_skip(&s);
	story_end(&s);
}

/* --- a gateway that does not answer --- */

static void answer_others(struct story *s, const struct sent *sent)
{
	if (sent->len == 2 || sent->bytes[5] != DEAF_PORT)
		gateway_obliges(s, sent);
}

/* After hours of silence all have failed often, and one has not: it takes its turn as they do. */
START_TEST(those_who_failed_take_turns)
{
	struct story s;
	struct lease *leases[20];

	story_begin(&s);
	for (uint16_t i = 0; i < 20; i++)
		leases[i] = program_holds(&s, NATPMP_TCP, (uint16_t)(100 + i), 0, 7200);
	clock_runs_until(&s, 6 * HOUR);
	program_holds(&s, NATPMP_TCP, DEAF_PORT, 0, 7200);
	clock_runs_until(&s, 6 * HOUR + 10 * SECOND);
	s.gateway = answer_others;
	clock_runs_until(&s, 6 * HOUR + 150 * SECOND);
	for (size_t i = 0; i < 20; i++)
		ck_assert_int_eq(leases[i]->told.status, NATPMP_OK);
	s.event_told = s.event_count;
	story_end(&s);
}

/* Nobody waits for hours to be told what is known. */
START_TEST(silence_is_told_to_who_comes_later)
{
	struct story s;

	story_begin(&s);
	for (uint16_t i = 0; i < 100; i++)
		program_holds(&s, NATPMP_TCP, (uint16_t)(100 + i), 0, 7200);
	clock_runs_until(&s, HOUR);
	s.event_told = s.event_count;
	struct lease *leases[3];
	for (uint16_t i = 0; i < 3; i++) {
		leases[i] = program_holds(&s, NATPMP_TCP, (uint16_t)(1 + i), 0, 7200);
		clock_runs_until(&s, HOUR + SECOND);
	}
	clock_runs_until(&s, HOUR + 3 * 7750);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(leases[i]->told.status, NATPMP_E_TIMEOUT);
	story_skip(&s);
	story_end(&s);
}

/* Out of resources is not the same as silent, and is not tried again because that ends. */
START_TEST(silence_is_no_reason_for_who_has_one)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_refuses(&s, 4);
	lease_goes_down(&s, 0, web, NATPMP_E_NO_RESOURCES);
	clock_runs_until(&s, SECOND);
	struct lease *other = program_holds(&s, NATPMP_TCP, 81, 0, 7200);
	client_asks(&s, SECOND, NATPMP_TCP, 81, 81, 7200);
	client_repeats(&s, 5);
	lease_goes_down(&s, 8750, other, NATPMP_E_TIMEOUT);
	ck_assert_int_eq(web->told.status, NATPMP_E_NO_RESOURCES);
	story_end(&s);
}

/* It is back, and says so: the request in flight does not wait out its minute. */
START_TEST(announcement_begins_the_series_anew)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	client_asks(&s, HOUR, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 8);
	gateway_announces(&s, "00 80 00 00 ## ## ## ## cb 00 71 05");
	uint64_t back = HOUR + 63750;
	client_asks(&s, back, NATPMP_TCP, 80, 80, 7200);
	client_asks(&s, back + 250, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	s.sent_told = s.sent_count;
	ck_assert_int_eq(web->told.status, NATPMP_OK);
	story_end(&s);
}

/* Success with lifetime 0 says something about that answer, nothing about whether one is there. */
START_TEST(bad_answer_is_no_verdict_on_the_gateway)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 300);
	client_asks(&s, 150 * SECOND, NATPMP_TCP, 80, 80, 300);
	gateway_says(&s, "00 82 00 00 ## ## ## ## 00 50 00 00 00 00 00 00");
	gateway_reboots(&s);
	gateway_says(&s, "00 81 00 03 ## ## ## ## 00 50 00 00 00 00 00 00");
	client_repeats(&s, 8);
	client_asks(&s, 225 * SECOND, NATPMP_TCP, 80, 80, 300); /* 3/4 of its time */
	client_repeats(&s, 4);
	lease_goes_down(&s, 225 * SECOND + 7750, web, NATPMP_E_TIMEOUT);
	client_asks(&s, 225 * SECOND + 7750, NATPMP_TCP, 80, 80, 300);
	story_end(&s);
}

/* A renewal has half a day, and stands in line; the gateway restarts, and it has none any more. */
START_TEST(renewal_in_the_queue_and_a_restart)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 24 * HOUR / SECOND);
	clock_runs_until(&s, 12 * HOUR - SECOND);
	program_holds(&s, NATPMP_UDP, 53, 0, 7200);
	client_asks(&s, 12 * HOUR - SECOND, NATPMP_UDP, 53, 53, 7200);
	client_repeats(&s, 2);
	clock_runs_until(&s, 12 * HOUR);
	ck_assert_int_eq(web->grants[0]->question.state, QUESTION_WAITING);
	gateway_reboots(&s);
	gateway_announces(&s, "00 80 00 00 ## ## ## ## cb 00 71 05");
	client_asks(&s, 12 * HOUR + 750, NATPMP_UDP, 53, 53, 7200);
	client_asks(&s, 12 * HOUR + 2750, NATPMP_UDP, 53, 53, 7200);
	clock_runs_until(&s, 12 * HOUR + 6 * SECOND); /* after the delay */
	s.at_once = true;
	for (uint16_t i = 0; i < 400; i++)
		program_holds(&s, NATPMP_TCP, (uint16_t)(1000 + i), 0, 7200);
	gateway_grants(&s, 53, 7200);
	gateway_obliges_until(&s, 250, 12 * HOUR + 10 * SECOND);
	ck_assert(lease_holds_good(&s, web));
	story_skip(&s);
	story_end(&s);
}

/* --- announcements --- */

START_TEST(flood_of_pcp_announcements)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, MINUTE);
	s.gateway = gateway_obliges;
	for (int i = 0; i < 1000; i++) {
		gateway_announces(
			&s,
			"02 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
		clock_runs_until(&s, s.now + 10);
	}
	ck_assert_uint_le(s.sent_count, 2 + 11); /* ten seconds: one in each at most */
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS(
		"sim-found", grant_and_restart_in_one_wake_up, late_answer_without_a_gateway,
		address_is_forgotten_on_another_link, events_tell_nothing_but_the_truth,
		second_half_follows_the_first, the_half_that_fails_gives_the_reason,
		refused_after_a_resend_is_deleted_all_the_same,
		held_and_released_during_its_deletion, deletion_goes_ahead_of_a_crowd,
		those_who_failed_take_turns, silence_is_told_to_who_comes_later,
		silence_is_no_reason_for_who_has_one, bad_answer_is_no_verdict_on_the_gateway,
		renewal_in_the_queue_and_a_restart, announcement_begins_the_series_anew,
		flood_of_pcp_announcements);
}
