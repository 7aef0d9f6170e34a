/* SPDX-License-Identifier: MIT */
/* Mappings are deleted: RFC 6886 sections 3.4 and 3.1. */
#include "story.h"
#include "suite.h"

START_TEST(N35_deletion_bytes)
{
	struct story s;

	story_begin(&s);
	struct lease *udp = is_up_on(&s, NATPMP_UDP, 40000, 51413, 7200);
	releases(&s, udp);
	sends(&s, 0, "00 01 00 00 9c 40 00 00 00 00 00 00");
	confirms(&s);
	ck_assert_uint_eq(s.reaped, 1);
	quiet_until(&s, 3 * HOUR);
	story_end(&s);
}

START_TEST(N36_result_0_is_enough)
{
	struct story s;

	story_begin(&s);
	struct lease *udp = is_up(&s, NATPMP_UDP, 40000, 7200);
	releases(&s, udp);
	deletes(&s, 0, NATPMP_UDP, 40000);
	grants(&s, 40000, 0); /* the external port echoed, as some do */
	ck_assert_uint_eq(s.reaped, 1);

	const struct lease *unknown = unmaps(&s, NATPMP_TCP, 22); /* never opened by us */
	deletes(&s, 0, NATPMP_TCP, 22);
	confirms(&s);
	ck_assert(unknown->finished);
	ck_assert_int_eq(unknown->close_status, NATPMP_OK);
	quiet_until(&s, HOUR);
	story_end(&s);
}

START_TEST(N37_refused_deletion_is_reported_and_not_retried)
{
	static const struct {
		uint16_t result;
		int status;
	} table[] = {
		{2, NATPMP_E_NOT_AUTHORIZED}, {4, NATPMP_E_NO_RESOURCES}, {9, NATPMP_E_RESULT}};

	for (size_t i = 0; i < 3; i++) {
		struct story s;

		story_begin(&s);
		struct lease *web = unmaps(&s, NATPMP_TCP, 80);
		deletes(&s, 0, NATPMP_TCP, 80);
		refuses(&s, table[i].result);
		ck_assert(web->finished);
		ck_assert_int_eq(web->close_status, table[i].status);

		struct lease *held = is_up(&s, NATPMP_UDP, 53, 7200);
		releases(&s, held);
		deletes(&s, 0, NATPMP_UDP, 53);
		refuses(&s, table[i].result);
		ck_assert_uint_eq(s.reaped, 1);
		quiet_until(&s, HOUR);
		story_end(&s);
	}
}

START_TEST(N37_refused_and_echoed)
{
	struct story s;

	story_begin(&s);
	const struct lease *web = unmaps(&s, NATPMP_TCP, 80);
	deletes(&s, 0, NATPMP_TCP, 80);
	struct sent request = s.sent[s.sent_told - 1];
	answers(&s, &request, 2, 80, 7200); /* lifetime of a failed deletion: not read */
	ck_assert(web->finished);
	ck_assert_int_eq(web->close_status, NATPMP_E_NOT_AUTHORIZED);
	story_end(&s);
}

/* Silence: the nine sends, and no more after that. */
START_TEST(N12_silent_deletion_ends)
{
	struct story s;

	story_begin(&s);
	struct lease *web = is_up(&s, NATPMP_TCP, 80, 7200);
	releases(&s, web);
	deletes(&s, 0, NATPMP_TCP, 80);
	repeats(&s, 8);
	ck_assert_uint_eq(s.reaped, 0);
	quiet_until(&s, 127750);
	ck_assert_uint_eq(s.reaped, 1);
	ck_assert_int_eq(s.close_status, NATPMP_E_TIMEOUT);
	quiet_until(&s, 3 * HOUR);
	story_end(&s);
}

START_TEST(N12_no_deletion_past_the_expiry)
{
	struct story s;

	story_begin(&s);
	struct lease *web = is_up(&s, NATPMP_TCP, 80, 60);
	runs_until(&s, 20 * SECOND);
	releases(&s, web);
	deletes(&s, 20000, NATPMP_TCP, 80);
	repeats(&s, 7); /* up to 51.75 s */
	ck_assert_uint_eq(s.reaped, 0);
	quiet_until(&s, 60000);
	ck_assert_uint_eq(s.reaped, 1);
	ck_assert_int_eq(s.close_status, NATPMP_OK); /* nothing is left */
	quiet_until(&s, HOUR);
	story_end(&s);
}

START_TEST(N12_refused_deletion_by_icmp)
{
	struct story s;

	story_begin(&s);
	struct lease *web = is_up(&s, NATPMP_TCP, 80, 7200);
	releases(&s, web);
	deletes(&s, 0, NATPMP_TCP, 80);
	bounces(&s, NATPMP_E_REFUSED); /* a restarting gateway may keep its table */
	deletes(&s, 1000, NATPMP_TCP, 80);
	bounces(&s, NATPMP_E_REFUSED);
	deletes(&s, 3000, NATPMP_TCP, 80);
	confirms(&s);
	ck_assert_uint_eq(s.reaped, 1);
	story_end(&s);
}

START_TEST(N12_released_before_anything_was_sent)
{
	struct story s;

	story_begin(&s);
	is_up(&s, NATPMP_UDP, 53, 7200);
	holds(&s, NATPMP_UDP, 54, 0, 7200);
	struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_UDP, 54, 54, 7200); /* 80 waits behind it */
	releases(&s, web);
	ck_assert_uint_eq(s.reaped, 1);
	grants(&s, 54, 7200);
	s.event_told++;
	quiet_until(&s, HOUR - 1);
	story_end(&s);
}

/* On its way, it may be granted: so it is deleted, and the late grant counts for nothing. */
START_TEST(N12_released_while_being_asked_for)
{
	struct story s;

	story_begin(&s);
	struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	runs_until(&s, 100);
	releases(&s, web);
	deletes(&s, 100, NATPMP_TCP, 80);
	grants(&s, 80, 7200); /* the answer to the first one */
	ck_assert_uint_eq(s.reaped, 0);
	sends(&s, 350, "00 02 00 00 00 50 00 00 00 00 00 00");
	confirms(&s);
	ck_assert_uint_eq(s.reaped, 1);
	quiet_until(&s, HOUR);
	story_end(&s);
}

START_TEST(N12_refused_ones_need_no_deletion)
{
	struct story s;

	story_begin(&s);
	struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	refuses(&s, 2);
	goes_down(&s, 0, web, NATPMP_E_NOT_AUTHORIZED);
	releases(&s, web);
	ck_assert_uint_eq(s.reaped, 1);
	quiet_until(&s, HOUR);
	story_end(&s);
}

/* Unanswered, it may be there nevertheless. */
START_TEST(N12_unanswered_ones_are_deleted)
{
	struct story s;

	story_begin(&s);
	struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	repeats(&s, 8);
	goes_down(&s, 7750, web, NATPMP_E_TIMEOUT);
	runs_until(&s, 127750);
	releases(&s, web);
	ck_assert_uint_eq(s.reaped, 0);
	struct sent sent = sends_something(&s);
	ck_assert_mem_eq(sent.bytes, "\0\2\0\0\0\x50\0\0\0\0\0\0", 12);
	confirms(&s);
	ck_assert_uint_eq(s.reaped, 1);
	story_end(&s);
}

/* No event follows. */
START_TEST(H8_released_leases_are_silent)
{
	struct story s;

	story_begin(&s);
	struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	grants(&s, 80, 7200);
	releases(&s, web); /* about to be up */
	asks_address(&s, 0);
	tells_address(&s, ADDRESS);
	deletes(&s, 0, NATPMP_TCP, 80);
	links(&s, NATPMP_E_NO_GATEWAY, 0);
	quiet_until(&s, HOUR);
	ck_assert_uint_eq(s.reaped, 1);
	story_end(&s);
}

/* Held again while the deletion is on its way: first the one, then the other. */
START_TEST(N35_held_again_behind_its_deletion)
{
	struct story s;

	story_begin(&s);
	struct lease *old = is_up(&s, NATPMP_TCP, 80, 7200);
	releases(&s, old);
	deletes(&s, 0, NATPMP_TCP, 80);
	struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
	quiet_until(&s, 100);
	confirms(&s);
	ck_assert_uint_eq(s.reaped, 1);
	asks(&s, 100, NATPMP_TCP, 80, 80, 7200);
	confirms(&s); /* a late duplicate of that: no grant */
	ck_assert(!lease_granted(web));
	grants(&s, 80, 7200);
	comes_up(&s, 100, web, 80);
	quiet_until(&s, HOUR);
	story_end(&s);
}

/* A deletion that waits must not hit the new mapping of the same port. */
START_TEST(N35_held_again_before_its_deletion)
{
	struct story s;

	story_begin(&s);
	struct lease *old = is_up(&s, NATPMP_TCP, 80, 7200);
	holds(&s, NATPMP_UDP, 53, 0, 7200);
	asks(&s, 0, NATPMP_UDP, 53, 53, 7200);
	releases(&s, old); /* behind it */
	struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
	grants(&s, 53, 7200);
	s.event_told++;
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	grants(&s, 80, 7200);
	comes_up(&s, 0, web, 80);
	quiet_until(&s, HOUR - 1);
	releases(&s, web);
	deletes(&s, HOUR - 1, NATPMP_TCP, 80);
	confirms(&s);
	ck_assert_uint_eq(s.reaped, 2);
	s.gateway = obliging;
	runs_until(&s, 2 * HOUR);
	story_end(&s);
}

/* The same when the gateway does not answer the deletion: once the new one is granted, the old
 * deletion is not sent again. */
START_TEST(N35_held_again_behind_a_silent_deletion)
{
	struct story s;

	story_begin(&s);
	struct lease *old = is_up(&s, NATPMP_TCP, 80, 7200);
	releases(&s, old);
	deletes(&s, 0, NATPMP_TCP, 80);
	struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
	repeats(&s, 4);
	struct sent sent;
	do
		sent = sends_something(&s);
	while (sent.bytes[11] == 0);
	grants(&s, 80, 7200);
	while (s.event_told < s.event_count)
		s.event_told++;
	ck_assert_int_eq(web->view.status, NATPMP_OK);
	quiet_until(&s, sent.at + HOUR - 1);
	story_end(&s);
}

/* Explicit calls only; see also check_sent() in story.c. */
START_TEST(N38_delete_all)
{
	struct story s;

	story_begin(&s);
	s.may_delete_all = true;
	const struct lease *udp = unmaps(&s, NATPMP_UDP, 0);
	sends(&s, 0, "00 01 00 00 00 00 00 00 00 00 00 00");
	confirms(&s);
	ck_assert(udp->finished);
	ck_assert_int_eq(udp->close_status, NATPMP_OK);
	const struct lease *both = unmaps(&s, NATPMP_TCP_UDP, 0);
	sends(&s, 0, "00 01 00 00 00 00 00 00 00 00 00 00");
	confirms(&s);
	sends(&s, 0, "00 02 00 00 00 00 00 00 00 00 00 00");
	refuses(&s, 2);
	ck_assert(both->finished);
	ck_assert_int_eq(both->close_status, NATPMP_E_NOT_AUTHORIZED);
	story_end(&s);
}

START_TEST(N7_silent_unmap_is_over_after_its_series)
{
	struct story s;

	story_begin(&s);
	const struct lease *web = unmaps(&s, NATPMP_TCP, 80);
	deletes(&s, 0, NATPMP_TCP, 80);
	repeats(&s, 8);
	quiet_until(&s, 127749);
	ck_assert(!web->finished);
	quiet_until(&s, 127750);
	ck_assert(web->finished);
	ck_assert_int_eq(web->close_status, NATPMP_E_NO_SERVICE);
	story_end(&s);
}

START_TEST(N9_unmap_of_a_closed_gateway)
{
	struct story s;

	story_begin(&s);
	const struct lease *web = unmaps(&s, NATPMP_TCP, 80);
	deletes(&s, 0, NATPMP_TCP, 80);
	bounces(&s, NATPMP_E_REFUSED);
	ck_assert(web->finished);
	ck_assert_int_eq(web->close_status, NATPMP_E_REFUSED);
	quiet_until(&s, HOUR);
	story_end(&s);
}

/* --- the one deletion at the end, without waiting --- */

START_TEST(N12_farewell_is_one_deletion_each)
{
	struct story s;
	uint8_t bytes[WIRE_REQUEST_MAX];

	story_begin(&s);
	is_up(&s, NATPMP_TCP, 80, 7200);
	is_up(&s, NATPMP_TCP_UDP, 53, 7200);
	struct lease *refused = holds(&s, NATPMP_TCP, 22, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 22, 22, 7200);
	refuses(&s, 2);
	goes_down(&s, 0, refused, NATPMP_E_NOT_AUTHORIZED);
	struct lease *closing = is_up(&s, NATPMP_TCP, 23, 7200);
	releases(&s, closing);
	deletes(&s, 0, NATPMP_TCP, 23);     /* told already */
	holds(&s, NATPMP_TCP, 24, 0, 7200); /* not sent yet */
	int seen = 0;
	for (size_t len; (len = leases_farewell(&s.leases, bytes)) > 0; seen++) {
		ck_assert_uint_eq(len, 12);
		ck_assert_mem_eq(bytes + 6, "\0\0\0\0\0\0", 6);
		ck_assert(bytes[5] == 80 || bytes[5] == 53);
	}
	ck_assert_int_eq(seen, 3);
	story_end(&s);
}

START_TEST(N12_farewell_to_one_being_asked_for)
{
	struct story s;
	uint8_t bytes[WIRE_REQUEST_MAX];

	story_begin(&s);
	holds(&s, NATPMP_TCP, 80, 0, 7200);
	asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	ck_assert_uint_eq(leases_farewell(&s.leases, bytes), 12);
	ck_assert_mem_eq(bytes, "\0\2\0\0\0\x50\0\0\0\0\0\0", 12);
	ck_assert_uint_eq(leases_farewell(&s.leases, bytes), 0);
	story_end(&s);
}

/* To delete everything made way for a hold; when its turn comes again that would go, too. */
START_TEST(N38_delete_all_does_not_take_what_was_held_since)
{
	struct story s;

	story_begin(&s);
	s.may_delete_all = true;
	struct lease *all = unmaps(&s, NATPMP_TCP, 0);
	deletes(&s, 0, NATPMP_TCP, 0);
	runs_until(&s, SECOND);
	s.sent_told = s.sent_count;
	struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
	sends_something(&s);
	sends_something(&s); /* the last of five */
	asks(&s, 7750, NATPMP_TCP, 80, 80, 7200);
	ck_assert(all->finished);
	ck_assert_int_eq(all->close_status, NATPMP_E_HELD);
	grants(&s, 80, 7200);
	asks_address(&s, 7750);
	tells_address(&s, ADDRESS);
	comes_up(&s, 7750, web, 80);
	quiet_until(&s, HOUR);
	story_end(&s);
}

/* The same, and it made way for something else: what is held then comes behind it. */
START_TEST(N38_delete_all_goes_before_what_is_held_later)
{
	struct story s;

	story_begin(&s);
	s.may_delete_all = true;
	struct lease *all = unmaps(&s, NATPMP_TCP, 0);
	runs_until(&s, SECOND);
	struct lease *dns = holds(&s, NATPMP_UDP, 53, 0, 7200);
	runs_until(&s, 7750);
	s.sent_told = s.sent_count - 1;
	asks(&s, 7750, NATPMP_UDP, 53, 53, 7200);
	struct lease *web = holds(&s, NATPMP_TCP, 80, 0, 7200);
	grants(&s, 53, 7200);
	asks_address(&s, 7750);
	tells_address(&s, ADDRESS);
	comes_up(&s, 7750, dns, 53);
	deletes(&s, 7750, NATPMP_TCP, 0);
	confirms(&s);
	ck_assert(all->finished);
	asks(&s, 7750, NATPMP_TCP, 80, 80, 7200);
	grants(&s, 80, 7200);
	comes_up(&s, 7750, web, 80);
	story_end(&s);
}

/* Two that wait for the same deletion: neither is told that it is done before it is. */
START_TEST(N36_two_deletions_of_the_same)
{
	struct story s;

	story_begin(&s);
	leases_ask_address(&s.leases, 10000000); /* so that they stand in line */
	asks_address(&s, 0);
	const struct lease *one = unmaps(&s, NATPMP_TCP, 80);
	const struct lease *two = unmaps(&s, NATPMP_TCP, 80);
	ck_assert(!one->finished && !two->finished);
	tells_address(&s, ADDRESS);
	leases_forget_address(&s.leases);
	deletes(&s, 0, NATPMP_TCP, 80);
	confirms(&s);
	ck_assert(one->finished && !two->finished);
	deletes(&s, 0, NATPMP_TCP, 80);
	confirms(&s);
	ck_assert(two->finished);
	story_end(&s);
}

START_TEST(N12_refused_deletions_are_told_as_that)
{
	struct story s;

	story_begin(&s);
	releases(&s, is_up(&s, NATPMP_TCP, 80, 7200));
	while (!s.reaped) {
		if (s.sent_told < s.sent_count) {
			sends_something(&s);
			bounces(&s, NATPMP_E_REFUSED);
		} else {
			runs_until(&s, s.now + SECOND);
		}
	}
	s.sent_told = s.sent_count;
	ck_assert_int_eq(s.close_status, NATPMP_E_REFUSED);
	story_end(&s);
}

static void refuse_all(struct story *s, const struct sent *sent)
{
	answers(s, sent, 2, 0, 0);
}

/* A no to the deletion of what has ended since: nothing is left. */
START_TEST(N37_refused_when_it_is_over)
{
	struct story s;

	story_begin(&s);
	struct lease *web = is_up(&s, NATPMP_TCP, 80, 60);
	s.gateway = refuse_all;
	runs_until(&s, 70 * SECOND);
	s.event_told = s.event_count;
	size_t before = s.sent_count;
	releases(&s, web);
	ck_assert_uint_eq(s.sent_count, before + 1);
	ck_assert_uint_eq(s.reaped, 1);
	ck_assert_int_eq(s.close_status, NATPMP_OK);
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS("lease-close", N35_deletion_bytes, N36_result_0_is_enough,
			 N37_refused_deletion_is_reported_and_not_retried, N37_refused_and_echoed,
			 N12_silent_deletion_ends, N12_no_deletion_past_the_expiry,
			 N12_refused_deletion_by_icmp, N12_released_before_anything_was_sent,
			 N12_released_while_being_asked_for, N12_refused_ones_need_no_deletion,
			 N12_unanswered_ones_are_deleted, H8_released_leases_are_silent,
			 N35_held_again_behind_its_deletion, N35_held_again_before_its_deletion,
			 N35_held_again_behind_a_silent_deletion, N38_delete_all,
			 N7_silent_unmap_is_over_after_its_series, N9_unmap_of_a_closed_gateway,
			 N12_farewell_is_one_deletion_each, N12_farewell_to_one_being_asked_for,
			 N38_delete_all_does_not_take_what_was_held_since,
			 N36_two_deletions_of_the_same, N12_refused_deletions_are_told_as_that,
			 N37_refused_when_it_is_over,
			 N38_delete_all_goes_before_what_is_held_later);
}
