/* SPDX-License-Identifier: MIT */
/* Another gateway, another own address, no gateway at all, and back. */
#include "story.h"
#include "suite.h"

enum { WHEN = 600 * SECOND };

START_TEST(H5_new_gateway)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up_on(&s, NATPMP_TCP, 80, 8080, 7200);
	clock_runs_until(&s, WHEN);
	link_changes(&s, OTHER_GATEWAY, OTHER_OWN);
	client_deletes(&s, WHEN, NATPMP_TCP, 80); /* to the old one, best effort (H6) */
	s.clock_at_0 = -500;                      /* its clock is no relation of the old one's */
	client_asks(&s, WHEN, NATPMP_TCP, 80, 8080, 7200);
	clock_runs_until(&s, WHEN + 10);
	gateway_grants(&s, 8080, 7200);
	client_asks_address(&s, WHEN + 10);
	gateway_tells_address(&s, IP(198, 51, 100, 1));
	struct event event = lease_comes_up(&s, WHEN + 10, web, 8080);
	ck_assert_uint_eq(v4(event.before.external_address), ADDRESS);
	ck_assert_uint_eq(v4(event.now.external_address), IP(198, 51, 100, 1));
	ck_assert_uint_eq(v4(event.now.internal_address), OTHER_OWN);
	nothing_happens_until(&s, WHEN + HOUR - 1); /* no recovery because of the clock */
	story_end(&s);
}

START_TEST(H5_new_gateway_is_no_event_if_nothing_changed)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	link_changes(&s, OTHER_GATEWAY, OWN);
	client_deletes(&s, WHEN, NATPMP_TCP, 80);
	client_asks(&s, WHEN, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, WHEN);
	gateway_tells_address(&s, ADDRESS);
	nothing_happens_until(&s, WHEN + HOUR - 1);
	story_end(&s);
}

START_TEST(H5_new_gateway_is_silent)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	link_changes(&s, OTHER_GATEWAY, OTHER_OWN);
	client_deletes(&s, WHEN, NATPMP_TCP, 80);
	client_sends_something(&s);
	lease_goes_down(&s, WHEN + 7750, web, NATPMP_E_TIMEOUT);
	s.sent_told = s.sent_count;
	story_end(&s);
}

START_TEST(H5_new_gateway_refuses)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	link_changes(&s, OTHER_GATEWAY, OTHER_OWN);
	client_deletes(&s, WHEN, NATPMP_TCP, 80);
	client_asks(&s, WHEN, NATPMP_TCP, 80, 80, 7200);
	gateway_refuses(&s, 2);
	lease_goes_down(&s, WHEN, web, NATPMP_E_NOT_AUTHORIZED);
	s.sent_told = s.sent_count; /* the address may be asked for */
	story_end(&s);
}

START_TEST(H5_route_gone_and_back)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up_on(&s, NATPMP_TCP, 80, 8080, 7200);
	struct lease *pending = program_holds(&s, NATPMP_UDP, 53, 0, 7200);
	client_asks(&s, 0, NATPMP_UDP, 53, 53, 7200);
	link_is_lost(&s);
	struct event event = s.events[s.event_told];
	ck_assert(event.lease == web || event.lease == pending);
	s.event_told++;
	lease_goes_down(&s, 0, event.lease == web ? pending : web, NATPMP_E_NO_GATEWAY);
	ck_assert_int_eq(event.now.status, NATPMP_E_NO_GATEWAY);
	nothing_happens_until(&s, 10 * HOUR); /* no packet, no wake-up that does something */
	s.gateway = gateway_obliges;
	link_returns(&s);
	clock_runs_until(&s, 10 * HOUR + 5 * SECOND);
	ck_assert_int_eq(web->told.status, NATPMP_OK);
	ck_assert_int_eq(pending->told.status, NATPMP_OK);
	ck_assert_uint_eq(s.event_count - s.event_told, 2);
	s.event_told = s.event_count;
	s.sent_told = s.sent_count;
	story_end(&s);
}

START_TEST(H5_ports_are_kept_over_an_outage)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up_on(&s, NATPMP_TCP, 80, 8080, 7200);
	clock_runs_until(&s, WHEN);
	link_is_lost(&s);
	lease_goes_down(&s, WHEN, web, NATPMP_E_NO_GATEWAY);
	clock_runs_until(&s, WHEN + MINUTE);
	link_returns(&s);
	struct sent again = client_sends_something(&s);
	ck_assert_uint_le(again.at, WHEN + MINUTE + 5 * SECOND); /* N45 */
	ck_assert_uint_eq(sent_suggested_port(&again), 8080);
	gateway_grants(&s, 8080, 7200);
	client_asks_address(&s, again.at);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, again.at, web, 8080);
	story_end(&s);
}

/* The reason is told, whenever one begins to hold. */
START_TEST(H5_held_without_a_gateway)
{
	struct story s;

	story_begin(&s);
	link_is_lost(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	lease_goes_down(&s, 0, web, NATPMP_E_NO_GATEWAY);
	nothing_happens_until(&s, HOUR);
	link_returns(&s);
	client_asks(&s, HOUR, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, HOUR);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, HOUR, web, 80);
	story_end(&s);
}

START_TEST(H5_released_without_a_gateway)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	link_is_lost(&s);
	lease_goes_down(&s, 0, web, NATPMP_E_NO_GATEWAY);
	program_releases(&s, web);
	ck_assert(!mapping_is_closed(&s, NATPMP_TCP, 80));
	nothing_happens_until(&s, MINUTE);
	link_returns(&s);
	client_deletes(&s, MINUTE, NATPMP_TCP, 80); /* it is there still */
	gateway_confirms(&s);
	ck_assert(mapping_is_closed(&s, NATPMP_TCP, 80));
	ck_assert_int_eq(leftover_status(&s), NATPMP_OK);
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

/* A deletion under way is over with its gateway, but for a farewell. */
START_TEST(H6_deletion_does_not_follow_to_the_new_gateway)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	program_releases(&s, web);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	link_changes(&s, OTHER_GATEWAY, OTHER_OWN);
	client_deletes(&s, 0, NATPMP_TCP, 80); /* to the old one */
	ck_assert(mapping_is_closed(&s, NATPMP_TCP, 80));
	ck_assert_int_eq(leftover_status(&s), NATPMP_E_TIMEOUT); /* nobody has confirmed it */
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

/* In flight when the link changed: to the new gateway it goes as if it was new. */
START_TEST(H5_request_in_flight)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 2);
	clock_runs_until(&s, 1000);
	link_changes(&s, OTHER_GATEWAY, OTHER_OWN);
	client_deletes(&s, 1000, NATPMP_TCP, 80);
	client_asks(&s, 1000, NATPMP_TCP, 80, 80, 7200);
	client_repeats(&s, 1);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 1250);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, 1250, web, 80);
	story_end(&s);
}

START_TEST(H5_pending_recovery_is_over)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	gateway_reboots(&s);
	gateway_announces(&s, "00 80 00 00 ## ## ## ## cb 00 71 05");
	link_changes(&s, OTHER_GATEWAY, OWN);
	client_deletes(&s, WHEN, NATPMP_TCP, 80);
	client_asks(&s, WHEN, NATPMP_TCP, 80, 80,
		    7200); /* at once: another gateway owes no delay */
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, WHEN);
	gateway_tells_address(&s, ADDRESS);
	nothing_happens_until(&s, WHEN + HOUR - 1);
	story_end(&s);
}

START_TEST(H5_fifty_changes_in_a_row)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP_UDP, 80, 7200);
	s.gateway = gateway_obliges;
	for (int i = 0; i < 50; i++) {
		clock_runs_until(&s, s.now + 37);
		if (i % 3)
			link_changes(&s, GATEWAY + (uint32_t)i, OWN);
		else
			link_is_lost(&s);
	}
	link_changes(&s, OTHER_GATEWAY, OWN);
	clock_runs_until(&s, s.now + MINUTE);
	ck_assert_int_eq(web->told.status, NATPMP_OK);
	ck_assert(lease_is_granted(web));
	ck_assert_uint_eq(s.event_count, 1 + 2 * 17);
	s.event_told = s.event_count;
	story_end(&s);
}

/* The link was lost with a question on its way, and what came of that is not known: released, it
 * is deleted when the link is back. */
START_TEST(N12_asked_for_when_the_link_was_lost)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	link_is_lost(&s);
	lease_goes_down(&s, 0, web, NATPMP_E_NO_GATEWAY);
	clock_runs_until(&s, 100);
	program_releases(&s, web);
	ck_assert(!mapping_is_closed(&s, NATPMP_TCP, 80));
	nothing_happens_until(&s, MINUTE);
	link_returns(&s);
	client_deletes(&s, MINUTE, NATPMP_TCP, 80);
	gateway_confirms(&s);
	ck_assert_int_eq(leftover_status(&s), NATPMP_OK);
	ck_assert(client_is_empty(&s.client));
	story_end(&s);
}

/* The farewell to another gateway is not confirmed: so it may be left there, until it ends. */
START_TEST(H6_an_unconfirmed_farewell_is_told)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	link_changes(&s, OTHER_GATEWAY, OTHER_OWN);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, 0, web, 80);
	program_releases(&s, web);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	gateway_confirms(&s);
	ck_assert(client_is_empty(&s.client));
	ck_assert_int_eq(leftover_status(&s), NATPMP_E_TIMEOUT);
	nothing_happens_until(&s, 2 * HOUR - 1);
	ck_assert_int_eq(leftover_status(&s), NATPMP_E_TIMEOUT);
	nothing_happens_until(&s, 2 * HOUR);
	ck_assert_int_eq(leftover_status(&s), NATPMP_OK);
	story_end(&s);
}

/* Every host behind a gateway that restarts loses its link at that moment and has it back at one
 * time: what was granted before is asked for after a random delay. */
START_TEST(N45_the_link_returns_after_a_restart)
{
	uint64_t least = NEVER, most = 0;

	for (uint64_t seed = 0; seed < 200; seed++) {
		struct story s;

		story_begin_with(&s, seed * 0x9e3779b97f4a7c15, false);
		struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
		clock_runs_until(&s, WHEN);
		link_is_lost(&s);
		lease_goes_down(&s, WHEN, web, NATPMP_E_NO_GATEWAY);
		clock_runs_until(&s, WHEN + 30 * SECOND);
		gateway_reboots(&s);
		link_returns(&s);
		uint64_t at = client_sends_something(&s).at - (WHEN + 30 * SECOND);
		ck_assert_uint_le(at, 5 * SECOND);
		least = at < least ? at : least;
		most = at > most ? at : most;
		story_end(&s);
	}
	ck_assert_uint_lt(least, 200);
	ck_assert_uint_gt(most, 4800);
}

/* What that gateway never granted is asked for at once, and so is all at another gateway. */
START_TEST(N45_no_delay_where_nothing_was_granted)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	link_is_lost(&s);
	story_skip(&s);
	struct lease *dns = program_holds(&s, NATPMP_UDP, 53, 0, 7200);
	lease_goes_down(&s, WHEN, dns, NATPMP_E_NO_GATEWAY);
	clock_runs_until(&s, WHEN + MINUTE);
	link_returns(&s);
	client_asks(&s, WHEN + MINUTE, NATPMP_UDP, 53, 53, 7200);
	gateway_grants(&s, 53, 7200);
	link_is_lost(&s);
	story_skip(&s);
	link_changes(&s, OTHER_GATEWAY, OTHER_OWN);
	s.gateway = gateway_obliges;
	s.sent_told = s.sent_count;
	clock_runs_until(&s, s.now + 250);
	ck_assert_int_eq(dns->told.status, NATPMP_OK);
	story_skip(&s);
	story_end(&s);
}

/* --- blocking calls --- */

/* One half was granted by the gateway before: it has to be had of this one, too. */
START_TEST(H5_another_gateway_between_two_halves)
{
	struct story s;

	story_begin(&s);
	struct lease *both = program_maps(&s, NATPMP_TCP_UDP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_UDP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	link_changes(&s, OTHER_GATEWAY, OTHER_OWN);
	s.gateway = gateway_obliges;
	s.sent_told = s.sent_count;
	clock_runs_until(&s, SECOND);
	ck_assert(lease_holds_good(&s, both));
	ck_assert(grant_is_in_force(both->grants[0], &s.client.gateway));
	story_end(&s);
}

/* The same, when it restarts between the two. */
START_TEST(N44_restart_between_two_halves)
{
	struct story s;

	story_begin(&s);
	struct lease *both = program_maps(&s, NATPMP_TCP_UDP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_UDP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	clock_runs_until(&s, 200);
	gateway_reboots(&s);
	gateway_grants(&s, 80, 7200);
	client_asks(&s, 200, NATPMP_UDP, 80, 80, 7200);
	ck_assert(!lease_holds_good(&s, both));
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 200);
	gateway_tells_address(&s, ADDRESS);
	ck_assert(lease_holds_good(&s, both));
	story_end(&s);
}

START_TEST(H5_another_gateway_before_the_address_is_told)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 0);
	link_changes(&s, OTHER_GATEWAY, OTHER_OWN);
	ck_assert(!lease_holds_good(&s, web));
	s.sent_told = s.sent_count;
	s.gateway = gateway_obliges;
	clock_runs_until(&s, SECOND);
	ck_assert(lease_holds_good(&s, web));
	story_end(&s);
}

/* The same, when it restarts: it tells the address, and that the mapping is gone. */
START_TEST(N44_restart_before_the_address_is_told)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 0);
	clock_runs_until(&s, 100);
	gateway_reboots(&s);
	gateway_announces(&s, "00 80 00 03 ## ## ## ## 00 00 00 00");
	ck_assert(!lease_holds_good(&s, web));
	gateway_tells_address(&s, ADDRESS);
	client_asks(&s, 100, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	ck_assert(lease_holds_good(&s, web));
	client_asks_address(&s, 100); /* it may have another one now */
	story_end(&s);
}

/* It was told, and whoever waits for that has not looked yet. */
START_TEST(H5_another_gateway_after_the_address_is_told)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_maps(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 0);
	gateway_tells_address(&s, ADDRESS);
	link_changes(&s, OTHER_GATEWAY, OTHER_OWN);
	ck_assert(!lease_holds_good(&s, web));
	client_deletes(&s, 0, NATPMP_TCP, 80); /* at the old one */
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	gateway_grants(&s, 80, 7200);
	client_asks_address(&s, 0);
	story_end(&s);
}

/* No gateway any more: that is why, not its silence. */
START_TEST(H5_no_gateway_during_a_deletion)
{
	struct story s;

	story_begin(&s);
	const struct closing *web = program_unmaps(&s, NATPMP_TCP, 80);
	client_deletes(&s, 0, NATPMP_TCP, 80);
	link_is_lost(&s);
	ck_assert_int_eq(s.client.gateway.link_status, NATPMP_E_NO_GATEWAY);
	ck_assert(web->left);
	story_end(&s);
}

static void answer_but_the_address(struct story *s, const struct sent *sent)
{
	if (sent->len == 2)
		gateway_refuses(s, 3);
	else
		gateway_obliges(s, sent);
}

/* The old one had no address to tell; that is no reason to ask this one last. */
START_TEST(H5_address_is_asked_for_anew)
{
	struct story s;

	story_begin(&s);
	s.gateway = answer_but_the_address;
	for (uint16_t i = 0; i < 20; i++)
		program_holds(&s, NATPMP_TCP, (uint16_t)(80 + i), 0, 7200);
	clock_runs_until(&s, 90 * SECOND);
	s.event_told = s.event_count;
	size_t before = s.sent_count;
	link_changes(&s, OTHER_GATEWAY, OTHER_OWN);
	before += 20; /* farewells */
	clock_runs_until(&s, 91 * SECOND);
	ck_assert_uint_ge(s.sent_count, before + 2);
	ck_assert_uint_eq(s.sent[before + 1].len, 2); /* right after the first is granted */
	s.event_told = s.event_count;
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS(
		"lease-link", N12_asked_for_when_the_link_was_lost,
		H6_an_unconfirmed_farewell_is_told, N45_the_link_returns_after_a_restart,
		N45_no_delay_where_nothing_was_granted, H5_new_gateway,
		H5_new_gateway_is_no_event_if_nothing_changed, H5_new_gateway_is_silent,
		H5_new_gateway_refuses, H5_route_gone_and_back, H5_ports_are_kept_over_an_outage,
		H5_held_without_a_gateway, H5_released_without_a_gateway,
		H6_deletion_does_not_follow_to_the_new_gateway, H5_request_in_flight,
		H5_pending_recovery_is_over, H5_fifty_changes_in_a_row,
		H5_another_gateway_between_two_halves, N44_restart_between_two_halves,
		H5_another_gateway_before_the_address_is_told, H5_no_gateway_during_a_deletion,
		H5_address_is_asked_for_anew, N44_restart_before_the_address_is_told,
		H5_another_gateway_after_the_address_is_told);
}
