/* SPDX-License-Identifier: MIT */
/* Mappings are deleted: RFC 6886 sections 3.4 and 3.1. */
#include "story.h"
#include "suite.h"

START_TEST(N35_deletion_bytes)
{
	struct story s;

	story_begin(&s);
	struct lease *udp = lease_is_up_on(&s, NATPMP_UDP, 40000, 51413, 7200);
	program_releases(&s, udp);
	client_sends(&s, 0, "00 01 00 00 9c 40 00 00 00 00 00 00");
	gateway_confirms(&s);
	ck_assert(mapping_is_closed(&s, NATPMP_UDP, 40000));
	nothing_happens_until(&s, 3 * HOUR);
	story_end(&s);
}

START_TEST(N36_result_0_is_enough)
{
	struct story s;

	story_begin(&s);
	struct lease *udp = lease_is_up(&s, NATPMP_UDP, 40000, 7200);
	program_releases(&s, udp);
	client_deletes(&s, 0, NATPMP_UDP, 40000);
	gateway_grants(&s, 40000, 0); /* the external port echoed, as some do */
	ck_assert(mapping_is_closed(&s, NATPMP_UDP, 40000));

	const struct closing *unknown = program_unmaps(&s, NATPMP_TCP, 22); /* never opened by us */
	client_deletes(&s, 0, NATPMP_TCP, 22);
	gateway_confirms(&s);
	ck_assert(!unknown->left);
	ck_assert_int_eq(unknown->status, NATPMP_OK);
	nothing_happens_until(&s, HOUR);
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
		struct closing *web = program_unmaps(&s, NATPMP_TCP, 80);
		client_deletes(&s, 0, NATPMP_TCP, 80);
		gateway_refuses(&s, table[i].result);
		ck_assert(!web->left);
		ck_assert_int_eq(web->status, table[i].status);

		struct lease *held = lease_is_up(&s, NATPMP_UDP, 53, 7200);
		program_releases(&s, held);
		client_deletes(&s, 0, NATPMP_UDP, 53);
		gateway_refuses(&s, table[i].result);
		ck_assert(mapping_is_closed(&s, NATPMP_UDP, 53));
		nothing_happens_until(&s, HOUR);
		story_end(&s);
	}
}

START_TEST(N37_refused_and_echoed)
{
	struct story s;

	story_begin(&s);
	const struct closing *web = program_unmaps(&s, NATPMP_TCP, 80);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	struct sent request = s.sent[s.sent_told - 1];
	gateway_answers(&s, &request, 2, 80, 7200); /* lifetime of a failed deletion: not read */
	ck_assert(!web->left);
	ck_assert_int_eq(web->status, NATPMP_E_NOT_AUTHORIZED);
	story_end(&s);
}

/* Silence: five turns of nine sends each, and no more after that. */
START_TEST(N12_silent_deletion_ends)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	program_releases(&s, web);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	client_repeats(&s, 8);
	for (int turn = 1; turn < DELETION_TRIES; turn++) {
		ck_assert(!mapping_is_closed(&s, NATPMP_TCP, 80));
		ck_assert(client_sends_something(&s).bytes[11] == 0);
		client_repeats(&s, 8);
	}
	nothing_happens_until(&s, DELETION_TRIES * 127750);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP, 80));
	ck_assert_int_eq(leftover_status(&s), NATPMP_E_TIMEOUT);
	nothing_happens_until(&s, 3 * HOUR);
	ck_assert_int_eq(leftover_status(&s), NATPMP_OK); /* it ended by itself in the meantime */
	story_end(&s);
}

START_TEST(N12_no_deletion_past_the_expiry)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 60);
	clock_runs_until(&s, 20 * SECOND);
	program_releases(&s, web);
	client_deletes(&s, 20000, NATPMP_TCP, 80);
	client_repeats(&s, 7); /* up to 51.75 s */
	ck_assert(!mapping_is_closed(&s, NATPMP_TCP, 80));
	nothing_happens_until(&s, 60000);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP, 80));
	ck_assert_int_eq(leftover_status(&s), NATPMP_OK); /* nothing is left */
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

/* What was not answered a slow gateway may open later: it is deleted for as long, or told. */
START_TEST(N12_late_grant_is_not_over_in_time)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 2);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 2);
	client_repeats(&s, 5);
	clock_runs_until(&s, 11 * SECOND);
	program_releases(&s, web);
	ck_assert(!mapping_is_closed(&s, NATPMP_TCP, 80));
	clock_runs_until(&s, 2 * MINUTE);
	ck_assert(sent_is_deletion(&s.sent[s.sent_count - 1]));
	client_says_farewell(&s);
	ck_assert_int_eq(leftover_status(&s), NATPMP_E_TIMEOUT);
	story_skip(&s);
	story_end(&s);
}

START_TEST(N12_refused_deletion_by_icmp)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	program_releases(&s, web);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	request_bounces(&s, NATPMP_E_REFUSED); /* a restarting gateway may keep its table */
	client_deletes(&s, 1000, NATPMP_TCP, 80);
	request_bounces(&s, NATPMP_E_REFUSED);
	client_deletes(&s, 3000, NATPMP_TCP, 80);
	gateway_confirms(&s);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP, 80));
	story_end(&s);
}

START_TEST(N12_released_before_anything_was_sent)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_UDP, 53, 7200);
	program_holds(&s, NATPMP_UDP, 54, 0, 7200);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_UDP, 54, 54, 7200); /* 80 waits behind it */
	program_releases(&s, web);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP, 80));
	gateway_grants(&s, 54, 7200);
	s.event_told++;
	nothing_happens_until(&s, HOUR - 1);
	story_end(&s);
}

/* On its way, it may be granted: so it is deleted, and the late grant counts for nothing. */
START_TEST(N12_released_while_being_asked_for)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	clock_runs_until(&s, 100);
	program_releases(&s, web);
	client_deletes(&s, 100, NATPMP_TCP, 80);
	gateway_grants(&s, 80, 7200); /* the answer to the first one */
	ck_assert(!mapping_is_closed(&s, NATPMP_TCP, 80));
	client_sends(&s, 350, "00 02 00 00 00 50 00 00 00 00 00 00");
	gateway_confirms(&s);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP, 80));
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

START_TEST(N12_refused_ones_need_no_deletion)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_refuses(&s, 2);
	lease_goes_down(&s, 0, web, NATPMP_E_NOT_AUTHORIZED);
	program_releases(&s, web);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP, 80));
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

/* Unanswered, it may be there nevertheless. */
START_TEST(N12_unanswered_ones_are_deleted)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 8);
	lease_goes_down(&s, 7750, web, NATPMP_E_TIMEOUT);
	client_asks(&s, 127750, NATPMP_TCP, 80, 80, 7200); /* and so on */
	program_releases(&s, web);
	ck_assert(!mapping_is_closed(&s, NATPMP_TCP, 80));
	struct sent sent = client_sends_something(&s);
	ck_assert_mem_eq(sent.bytes, "\0\2\0\0\0\x50\0\0\0\0\0\0", 12);
	gateway_confirms(&s);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP, 80));
	story_end(&s);
}

/* No event follows. */
START_TEST(H8_released_leases_are_silent)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	program_releases(&s, web); /* about to be up */
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	link_is_lost(&s);
	nothing_happens_until(&s, 2 * HOUR - 1);
	ck_assert(!mapping_is_closed(&s, NATPMP_TCP, 80)); /* deleted, if the link comes back */
	nothing_happens_until(&s, 2 * HOUR);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP, 80)); /* its lifetime did it */
	story_end(&s);
}

/* Held again while the deletion is on its way: first the one, then the other. */
START_TEST(N35_held_again_behind_its_deletion)
{
	struct story s;

	story_begin(&s);
	struct lease *old = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	program_releases(&s, old);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	nothing_happens_until(&s, 100);
	gateway_confirms(&s);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP, 80));
	client_asks(&s, 100, NATPMP_TCP, 80, 80, 7200);
	gateway_confirms(&s); /* a late duplicate of that: no grant */
	ck_assert(!lease_is_granted(web));
	gateway_grants(&s, 80, 7200);
	lease_comes_up(&s, 100, web, 80);
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

/* A deletion that waits must not hit the new mapping of the same port. */
START_TEST(N35_held_again_before_its_deletion)
{
	struct story s;

	story_begin(&s);
	struct lease *old = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	program_holds(&s, NATPMP_UDP, 53, 0, 7200);
	client_asks(&s, 0, NATPMP_UDP, 53, 53, 7200);
	program_releases(&s, old); /* behind it */
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	gateway_grants(&s, 53, 7200);
	s.event_told++;
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	lease_comes_up(&s, 0, web, 80);
	nothing_happens_until(&s, HOUR - 1);
	program_releases(&s, web);
	client_deletes(&s, HOUR - 1, NATPMP_TCP, 80);
	gateway_confirms(&s);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP, 80));
	s.gateway = gateway_obliges;
	clock_runs_until(&s, 2 * HOUR);
	story_end(&s);
}

/* The same when the gateway does not answer the deletion: that has its five sends, and is not sent
 * again once the new one is granted. */
START_TEST(N35_held_again_behind_a_silent_deletion)
{
	struct story s;

	story_begin(&s);
	struct lease *old = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	program_releases(&s, old);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	s.patience = 10 * SECOND;
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_repeats(&s, 4);
	client_asks(&s, 7750, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	lease_comes_up(&s, 7750, web, 80);
	nothing_happens_until(&s, 7750 + HOUR - 1);
	story_end(&s);
}

/* Explicit calls only; see also check_sent() in story.c. */
START_TEST(N38_delete_all)
{
	struct story s;

	story_begin(&s);
	s.may_delete_all = true;
	const struct closing *udp = program_unmaps(&s, NATPMP_UDP, 0);
	client_sends(&s, 0, "00 01 00 00 00 00 00 00 00 00 00 00");
	gateway_confirms(&s);
	ck_assert(!udp->left);
	ck_assert_int_eq(udp->status, NATPMP_OK);
	const struct closing *both = program_unmaps(&s, NATPMP_TCP_UDP, 0);
	client_sends(&s, 0, "00 01 00 00 00 00 00 00 00 00 00 00");
	gateway_confirms(&s);
	client_sends(&s, 0, "00 02 00 00 00 00 00 00 00 00 00 00");
	gateway_refuses(&s, 2);
	ck_assert(!both->left);
	ck_assert_int_eq(both->status, NATPMP_E_NOT_AUTHORIZED);
	story_end(&s);
}

START_TEST(N7_silent_unmap_is_over_after_its_series)
{
	struct story s;

	story_begin(&s);
	const struct closing *web = program_unmaps(&s, NATPMP_TCP, 80);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	client_repeats(&s, 8);
	nothing_happens_until(&s, 127749);
	ck_assert(web->left);
	nothing_happens_until(&s, 127750);
	ck_assert(!web->left);
	ck_assert_int_eq(web->status, NATPMP_E_NO_SERVICE);
	story_end(&s);
}

START_TEST(N9_unmap_of_a_closed_gateway)
{
	struct story s;

	story_begin(&s);
	const struct closing *web = program_unmaps(&s, NATPMP_TCP, 80);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	request_bounces(&s, NATPMP_E_REFUSED);
	ck_assert(!web->left);
	ck_assert_int_eq(web->status, NATPMP_E_REFUSED);
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

/* --- the one deletion at the end, without waiting --- */

START_TEST(N12_farewell_is_one_deletion_each)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	lease_is_up(&s, NATPMP_TCP_UDP, 53, 7200);
	struct lease *refused = program_holds(&s, NATPMP_TCP, 22, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 22, 22, 7200);
	gateway_refuses(&s, 2);
	lease_goes_down(&s, 0, refused, NATPMP_E_NOT_AUTHORIZED);
	struct lease *closing = lease_is_up(&s, NATPMP_TCP, 23, 7200);
	program_releases(&s, closing);
	client_deletes(&s, 0, NATPMP_TCP, 23);      /* told already */
	program_holds(&s, NATPMP_TCP, 24, 0, 7200); /* not sent yet */
	client_says_farewell(&s);
	int seen = 0;
	for (; s.sent_told < s.sent_count; seen++) {
		struct sent sent = client_sends_something(&s);
		uint16_t port = sent_internal_port(&sent);
		ck_assert(sent_is_deletion(&sent));
		ck_assert(port == 80 || port == 53 || port == 23);
	}
	ck_assert_int_eq(seen, 4);
	story_end(&s);
}

START_TEST(N12_farewell_to_one_being_asked_for)
{
	struct story s;

	story_begin(&s);
	program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	client_says_farewell(&s);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	client_says_farewell(&s); /* nothing is left to delete */
	story_end(&s);
}

/* To delete everything made way for a hold; when its turn comes again that would go, too. */
START_TEST(N38_delete_all_does_not_take_what_was_held_since)
{
	struct story s;

	story_begin(&s);
	s.may_delete_all = true;
	struct closing *all = program_unmaps(&s, NATPMP_TCP, 0);
	client_deletes(&s, 0, NATPMP_TCP, 0);
	clock_runs_until(&s, SECOND);
	s.sent_told = s.sent_count;
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_sends_something(&s);
	client_sends_something(&s); /* the last of five */
	client_asks(&s, 7750, NATPMP_TCP, 80, 80, 7200);
	ck_assert(!all->left);
	ck_assert_int_eq(all->status, NATPMP_E_HELD);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 7750);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, 7750, web, 80);
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

/* Some gateways delete both protocols': so nothing may be held at all. */
START_TEST(N38_delete_all_is_refused_while_anything_is_held)
{
	struct story s;
	struct closing closing;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	ck_assert_int_eq(client_unmap(&s.client, &closing, NATPMP_UDP, 0, story_now(&s)),
			 NATPMP_E_HELD);
	ck_assert_int_eq(client_unmap(&s.client, &closing, NATPMP_TCP_UDP, 0, story_now(&s)),
			 NATPMP_E_HELD);
	nothing_happens_until(&s, HOUR - 1);
	story_end(&s);
}

/* A released mapping whose deletion waits is mapped by a blocking call: the mapping is left, and
 * nothing is owed any more. */
START_TEST(N35_mapped_again_and_left)
{
	struct story s;

	story_begin(&s);
	program_releases(&s, lease_is_up(&s, NATPMP_TCP, 80, 7200));
	client_deletes(&s, 0, NATPMP_TCP, 80);
	struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 600);
	gateway_confirms(&s);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 600);
	gateway_grants(&s, 80, 600);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	ck_assert_int_eq(web->status, NATPMP_OK);
	program_leaves(&s, web);
	ck_assert(client_is_empty(&s.client));
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

/* The same before the deletion was sent: it takes the mapping over. */
START_TEST(N35_mapped_again_before_its_deletion)
{
	struct story s;

	story_begin(&s);
	struct lease *old = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	program_asks_address(&s);
	client_asks_address(&s, 0);
	program_releases(&s, old); /* its deletion waits */
	struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 600);
	gateway_tells_address(&s, ADDRESS);
	program_stops_asking_address(&s);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 600);
	ck_assert_int_eq(web->status, NATPMP_PENDING); /* it was granted on other terms */
	gateway_grants(&s, 80, 600);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	ck_assert_uint_eq(lease_lifetime(web), 600);
	program_leaves(&s, web);
	ck_assert(client_is_empty(&s.client));
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

/* The blocking call fails: what was released is still to be deleted. */
START_TEST(N35_mapped_again_in_vain)
{
	struct story s;

	story_begin(&s);
	struct lease *old = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	program_asks_address(&s);
	client_asks_address(&s, 0);
	program_releases(&s, old);
	struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 600);
	gateway_tells_address(&s, ADDRESS);
	program_stops_asking_address(&s);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 600);
	gateway_refuses(&s, 4);
	ck_assert_int_eq(web->status, NATPMP_E_NO_RESOURCES);
	program_leaves(&s, web);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	gateway_confirms(&s);
	ck_assert(client_is_empty(&s.client));
	ck_assert_int_eq(leftover_status(&s), NATPMP_OK);
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

/* One of two callers goes: the other one is answered. */
START_TEST(N36_one_of_two_callers_goes)
{
	struct story s;
	struct closing gone;

	story_begin(&s);
	ck_assert_int_eq(client_unmap(&s.client, &gone, NATPMP_TCP, 80, story_now(&s)), NATPMP_OK);
	struct closing *stays = program_unmaps(&s, NATPMP_TCP_UDP, 80);
	client_sends_something(&s);
	client_stop_unmapping(&s.client, &gone, story_now(&s));
	gateway_confirms(&s);
	client_sends_something(&s);
	gateway_refuses(&s, 2);
	ck_assert(!stays->left);
	ck_assert_int_eq(stays->status, NATPMP_E_NOT_AUTHORIZED);
	ck_assert(client_is_empty(&s.client));
	story_end(&s);
}

/* Both callers go: so does the question. */
START_TEST(N36_all_callers_go)
{
	struct story s;
	struct closing one, two;

	story_begin(&s);
	ck_assert_int_eq(client_unmap(&s.client, &one, NATPMP_TCP, 80, story_now(&s)), NATPMP_OK);
	ck_assert_int_eq(client_unmap(&s.client, &two, NATPMP_TCP, 80, story_now(&s)), NATPMP_OK);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	client_stop_unmapping(&s.client, &one, story_now(&s));
	client_repeats(&s, 1);
	client_stop_unmapping(&s.client, &two, story_now(&s));
	ck_assert(client_is_empty(&s.client));
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

/* A caller waits for the deletion of what was released, too; it goes, and the deletion goes on. */
START_TEST(N36_a_caller_beside_a_release)
{
	struct story s;
	struct closing closing;

	story_begin(&s);
	program_releases(&s, lease_is_up(&s, NATPMP_TCP, 80, 7200));
	client_deletes(&s, 0, NATPMP_TCP, 80);
	ck_assert_int_eq(client_unmap(&s.client, &closing, NATPMP_TCP, 80, story_now(&s)),
			 NATPMP_OK);
	client_repeats(&s, 2);
	client_stop_unmapping(&s.client, &closing, story_now(&s));
	ck_assert_uint_eq(closing.left, NATPMP_TCP);
	clock_runs_until(&s, SECOND);
	ck_assert(!mapping_is_closed(&s, NATPMP_TCP, 80));
	while (s.sent_told == s.sent_count)
		clock_runs_until(&s, s.now + SECOND);
	struct sent again = client_sends_something(&s);
	ck_assert(sent_is_deletion(&again));
	gateway_confirms(&s);
	ck_assert(client_is_empty(&s.client));
	story_end(&s);
}

/* Two that wait for the same deletion: one question is enough, and neither is told that it is done
 * before it is. */
START_TEST(N36_two_deletions_of_the_same)
{
	struct story s;

	story_begin(&s);
	program_asks_address(&s); /* so that they stand in line */
	client_asks_address(&s, 0);
	const struct closing *one = program_unmaps(&s, NATPMP_TCP, 80);
	const struct closing *two = program_unmaps(&s, NATPMP_TCP, 80);
	ck_assert(one->left && two->left);
	gateway_tells_address(&s, ADDRESS);
	program_stops_asking_address(&s);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	gateway_confirms(&s);
	ck_assert(!one->left && !two->left);
	ck_assert_int_eq(one->status, NATPMP_OK);
	ck_assert_int_eq(two->status, NATPMP_OK);
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

START_TEST(N12_refused_deletions_are_told_as_that)
{
	struct story s;

	story_begin(&s);
	program_releases(&s, lease_is_up(&s, NATPMP_TCP, 80, 7200));
	while (!mapping_is_closed(&s, NATPMP_TCP, 80)) {
		if (s.sent_told < s.sent_count) {
			client_sends_something(&s);
			request_bounces(&s, NATPMP_E_REFUSED);
		} else {
			clock_runs_until(&s, s.now + SECOND);
		}
	}
	s.sent_told = s.sent_count;
	ck_assert_int_eq(leftover_status(&s), NATPMP_E_REFUSED);
	story_end(&s);
}

static void refuse_all(struct story *s, const struct sent *sent)
{
	gateway_answers(s, sent, 2, 0, 0);
}

/* Refused until it ended: nothing is left that should be deleted. */
START_TEST(N37_refused_when_it_is_over)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 60);
	s.gateway = refuse_all;
	clock_runs_until(&s, 70 * SECOND);
	s.event_told = s.event_count;
	size_t before = s.sent_count;
	program_releases(&s, web);
	ck_assert_uint_eq(s.sent_count, before);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP, 80));
	ck_assert_int_eq(leftover_status(&s), NATPMP_OK);
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS("lease-close", N38_delete_all_is_refused_while_anything_is_held,
			 N35_mapped_again_and_left, N35_mapped_again_before_its_deletion,
			 N35_mapped_again_in_vain, N36_one_of_two_callers_goes, N36_all_callers_go,
			 N36_a_caller_beside_a_release, N35_deletion_bytes, N36_result_0_is_enough,
			 N37_refused_deletion_is_reported_and_not_retried, N37_refused_and_echoed,
			 N12_silent_deletion_ends, N12_no_deletion_past_the_expiry,
			 N12_late_grant_is_not_over_in_time, N12_refused_deletion_by_icmp,
			 N12_released_before_anything_was_sent, N12_released_while_being_asked_for,
			 N12_refused_ones_need_no_deletion, N12_unanswered_ones_are_deleted,
			 H8_released_leases_are_silent, N35_held_again_behind_its_deletion,
			 N35_held_again_before_its_deletion,
			 N35_held_again_behind_a_silent_deletion, N38_delete_all,
			 N7_silent_unmap_is_over_after_its_series, N9_unmap_of_a_closed_gateway,
			 N12_farewell_is_one_deletion_each, N12_farewell_to_one_being_asked_for,
			 N38_delete_all_does_not_take_what_was_held_since,
			 N36_two_deletions_of_the_same, N12_refused_deletions_are_told_as_that,
			 N37_refused_when_it_is_over);
}
