/* SPDX-License-Identifier: MIT */
/* The gateway lost its table, or has a new address: RFC 6886 sections 3.2.1, 3.6 and 3.7. */
#include "story.h"
#include "suite.h"

#define RESTARTED  "00 80 00 00 00 00 00 00 cb 00 71 05"
#define RUNNING    "00 80 00 00 ## ## ## ## cb 00 71 05"
#define NEWADDRESS "00 80 00 00 ## ## ## ## cb 00 71 4d" /* 203.0.113.77 */
#define PCP_START  "02 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"

enum { WHEN = 600 * SECOND }; /* the gateway restarts */

/* All mappings in force, one after another, next after the previous was answered. */
START_TEST(N44_all_mappings_are_recreated)
{
	struct story s;

	story_begin(&s);
	lease_is_up_on(&s, NATPMP_TCP, 80, 8080, 7200);
	lease_is_up(&s, NATPMP_UDP, 53, 7200);
	struct lease *gone = lease_is_up(&s, NATPMP_TCP, 22, 7200);
	lease_is_up_on(&s, NATPMP_TCP_UDP, 6881, 51413, 7200);
	program_releases(&s, gone);
	client_deletes(&s, 0, NATPMP_TCP, 22);
	gateway_confirms(&s);
	clock_runs_until(&s, WHEN);
	gateway_reboots(&s);
	gateway_announces(&s, RESTARTED);
	/* whatever the order: each once, and none of the deleted */
	int seen[65536] = {0};
	for (int i = 0; i < 5; i++) {
		struct sent sent = client_sends_something(&s);
		if (sent.len == 2) {
			gateway_tells_address(&s, ADDRESS);
			continue;
		}
		uint16_t port = (uint16_t)(sent.bytes[4] << 8 | sent.bytes[5]);
		uint16_t suggested = (uint16_t)(sent.bytes[6] << 8 | sent.bytes[7]);
		seen[port]++;
		ck_assert_uint_ge(sent.at, WHEN);
		ck_assert_uint_le(sent.at, WHEN + 5000 + 100);
		ck_assert_uint_eq(suggested, port == 80 ? 8080 : port == 6881 ? 51413 : port);
		clock_runs_until(&s, s.now + 20); /* nothing else is sent until it is answered */
		ck_assert_uint_eq(s.sent_count, s.sent_told);
		gateway_grants(&s, suggested, 7200);
	}
	ck_assert(seen[80] == 1 && seen[53] == 1 && seen[6881] == 2 && !seen[22]);
	s.sent_told = s.sent_count; /* the address */
	story_end(&s);
}

START_TEST(N45_random_delay_of_0_to_5_s)
{
	uint64_t least = NEVER, most = 0;

	for (uint64_t seed = 0; seed < 200; seed++) {
		struct story s;

		story_begin_with(&s, seed * 0x9e3779b97f4a7c15, false);
		lease_is_up(&s, NATPMP_TCP, 80, 7200);
		clock_runs_until(&s, WHEN);
		gateway_reboots(&s);
		gateway_announces(&s, RESTARTED);
		struct sent first = client_sends_something(&s);
		ck_assert_uint_le(first.at, WHEN + 5000);
		least = first.at < least ? first.at : least;
		most = first.at > most ? first.at : most;
		story_end(&s);
	}
	ck_assert_uint_lt(least - WHEN, 200);
	ck_assert_uint_gt(most - WHEN, 4800);
}

/* What was granted before waits for the end of the delay, also if it was lost meanwhile; what was
 * never granted is not re-created, so it does not wait. */
START_TEST(N45_new_mappings_do_not_wait_for_the_delay)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	gateway_reboots(&s);
	gateway_announces(&s, RESTARTED);
	uint64_t at = next_deadline(&s);
	ck_assert_uint_gt(at, WHEN); /* with this seed */
	struct lease *dns = program_holds(&s, NATPMP_UDP, 53, 0, 7200);
	client_asks(&s, WHEN, NATPMP_UDP, 53, 53, 7200);
	gateway_grants(&s, 53, 7200);
	lease_comes_up(&s, WHEN, dns, 53);
	nothing_happens_until(&s, at - 1);
	client_asks(&s, at, NATPMP_TCP, 80, 80, 7200);
	story_end(&s);
}

/* Not up and down: as far as anyone knows it is up. */
START_TEST(N44_recreation_is_no_event)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	gateway_reboots(&s);
	gateway_announces(&s, RESTARTED);
	s.gateway = gateway_obliges;
	nothing_happens_until(&s, WHEN);
	clock_runs_until(&s, WHEN + MINUTE);
	story_end(&s);
}

START_TEST(N46_another_port_after_the_restart_is_one_event)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	gateway_reboots(&s);
	gateway_announces(&s, RESTARTED);
	struct sent sent = client_sends_something(&s);
	if (sent.len == 2) {
		gateway_tells_address(&s, ADDRESS);
		sent = client_sends_something(&s);
	}
	ck_assert_mem_eq(sent.bytes, "\0\2\0\0\0\x50\0\x50\0\0\x1c\x20", 12);
	gateway_grants(&s, 4711, 7200);
	lease_comes_up(&s, sent.at, web, 4711);
	s.gateway = gateway_obliges;
	clock_runs_until(&s, WHEN + HOUR);
	s.sent_told = s.sent_count;
	story_end(&s);
}

/* It restarts and then says nothing: what it had is gone for all we know. */
START_TEST(N44_silent_after_the_restart)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	gateway_reboots(&s);
	gateway_announces(&s, RESTARTED);
	struct sent first = client_sends_something(&s);
	lease_goes_down(&s, first.at + 7750, web, NATPMP_E_TIMEOUT);
	s.gateway = gateway_obliges;
	clock_runs_until(&s, first.at + MINUTE);
	s.sent_told = s.sent_count;
	ck_assert_int_eq(web->told.status, NATPMP_OK);
	s.event_told++;
	story_end(&s);
}

/* A renewal shows it: that one is re-created by it, the others follow. */
START_TEST(N53_seen_without_announcements)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 240);
	clock_runs_until(&s, MINUTE);
	lease_is_up(&s, NATPMP_UDP, 53, 240);
	clock_runs_until(&s, 90 * SECOND);
	gateway_reboots(&s);
	client_asks(&s, 2 * MINUTE, NATPMP_TCP, 80, 80, 240);
	gateway_grants(&s, 80, 240);
	struct sent again = client_sends_something(&s);
	if (again.len == 2) {
		gateway_tells_address(&s, ADDRESS);
		again = client_sends_something(&s);
	}
	ck_assert_uint_le(again.at, 2 * MINUTE + 5 * SECOND);
	ck_assert_mem_eq(again.bytes, "\0\1\0\0\0\x35\0\x35\0\0\0\xf0", 12);
	size_t before = s.sent_count;
	s.gateway = gateway_obliges;
	gateway_grants(&s, 53, 240);
	clock_runs_until(&s, 3 * MINUTE - 1); /* the one that showed it is not asked for again */
	for (size_t i = before; i < s.sent_count; i++)
		ck_assert_uint_eq(s.sent[i].len, 2);
	story_end(&s);
}

/* An error shows it, too, and an answer that belongs to nothing. */
START_TEST(N41_seen_in_any_packet)
{
	static const char *const packets[] = {
		"00 81 00 04 ## ## ## ## 12 34 00 00 00 00 00 00",
		"00 82 00 00 ## ## ## ## 12 34 00 07 00 00 00 07",
		"00 80 00 03 ## ## ## ##",
		"00 80 00 01 ## ## ## ##",
	};

	for (size_t i = 0; i < 4; i++) {
		struct story s;

		story_begin(&s);
		lease_is_up(&s, NATPMP_TCP, 80, 7200);
		clock_runs_until(&s, WHEN);
		gateway_reboots(&s);
		gateway_says(&s, packets[i]);
		struct sent sent = client_sends_something(&s);
		ck_assert_uint_le(sent.at, WHEN + 5000);
		story_end(&s);
	}
}

START_TEST(N43_not_seen_where_no_clock_is)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	gateway_says(&s, "00 83 00 05 9c 40 9c 40 00 00 1c 20");
	gateway_says(&s, "02 80 00 01 00 00 07 08 00 00 02 2b 00 00 00 00 00 00 00 00 00 00 00 00");
	gateway_says(&s, "00 80 00 00 00 00 00");
	gateway_announces(&s, "00 82 00 00 00 00 00 00 00 50 00 50 00 00 1c 20");
	nothing_happens_until(&s, HOUR - 1);
	story_end(&s);
}

/* All ten announcements, and answers with the new clock: one recovery. */
START_TEST(N47_ten_announcements_are_one_restart)
{
	static const uint64_t copies[] = {0,    250,   750,   1750,  3750,
					  7750, 15750, 31750, 63750, 127750};
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	lease_is_up(&s, NATPMP_UDP, 53, 7200);
	clock_runs_until(&s, WHEN);
	gateway_reboots(&s);
	size_t before = s.sent_count;
	s.gateway = gateway_obliges;
	for (size_t i = 0; i < 10; i++) {
		clock_runs_until(&s, WHEN + copies[i]);
		gateway_announces(&s, RUNNING);
	}
	ck_assert_uint_le(s.sent_count - before, 3); /* two and the address */
	ck_assert_uint_ge(s.sent_count - before, 2);
	story_end(&s);
}

START_TEST(N50_plausible_announcement_changes_nothing)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	gateway_announces(&s, RUNNING);
	clock_runs_until(&s, WHEN + 1000);
	gateway_announces(&s, RUNNING);
	nothing_happens_until(&s, HOUR - 1);
	story_end(&s);
}

START_TEST(N51_announced_address_is_one_event)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	struct lease *dns = lease_is_up(&s, NATPMP_UDP, 53, 7200);
	clock_runs_until(&s, WHEN);
	gateway_announces(&s, NEWADDRESS);
	client_asks_address(&s, WHEN); /* anybody can have sent that */
	gateway_tells_address(&s, IP(203, 0, 113, 77));
	const struct lease *rest = dns;
	struct event event = s.events[s.event_told];
	if (event.lease == dns) { /* in any order */
		lease_comes_up(&s, WHEN, dns, 53);
		rest = web;
	} else {
		lease_comes_up(&s, WHEN, web, 80);
	}
	ck_assert_int_eq(event.before.status, NATPMP_OK);
	ck_assert_uint_eq(v4(event.before.external_address), ADDRESS);
	ck_assert_uint_eq(v4(event.now.external_address), IP(203, 0, 113, 77));
	lease_comes_up(&s, WHEN, rest, rest == dns ? 53 : 80);
	gateway_announces(&s, NEWADDRESS); /* its copies */
	gateway_announces(&s, NEWADDRESS);
	nothing_happens_until(&s, HOUR - 1); /* and nothing is re-created */
	story_end(&s);
}

/* The same packet, but to the port the requests come from. */
START_TEST(N51_address_told_unasked)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	gateway_says(&s, NEWADDRESS);
	client_asks_address(&s, WHEN);
	gateway_tells_address(&s, IP(203, 0, 113, 77));
	ck_assert_uint_eq(v4(lease_comes_up(&s, WHEN, web, 80).now.external_address),
			  IP(203, 0, 113, 77));
	nothing_happens_until(&s, HOUR - 1);
	story_end(&s);
}

START_TEST(N24_announced_without_a_usable_address)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	gateway_announces(&s, "00 80 00 03 ## ## ## ## 00 00 00 00"); /* none yet: the clock only */
	gateway_announces(&s, "00 80 00 03 ## ## ## ## cb 00 71 4d");
	nothing_happens_until(&s, WHEN);
	gateway_announces(&s, "00 80 00 00 ## ## ## ## 7f 00 00 01");
	client_asks_address(&s, WHEN);
	gateway_tells_address(&s, IP(127, 0, 0, 1));
	ck_assert_uint_eq(v4(lease_comes_up(&s, WHEN, web, 80).now.external_address), 0);
	gateway_announces(&s, "00 80 00 00 ## ## ## ## 00 00 00 00");
	nothing_happens_until(&s, WHEN + 29 * SECOND);
	story_end(&s);
}

START_TEST(N50_announced_failure_with_a_new_clock)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	gateway_reboots(&s);
	gateway_announces(&s, "00 80 00 03 ## ## ## ## 00 00 00 00");
	ck_assert_uint_le(client_sends_something(&s).at, WHEN + 5000);
	story_end(&s);
}

/* PCP's announcement has no clock of ours: so the gateway is asked, and its answer shows it. */
START_TEST(N52_pcp_announcement_asks_for_the_address)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	gateway_reboots(&s);
	gateway_announces(
		&s, "00 80 00 00 00 01 54 02 cb 00 71 05"); /* before it, with the old clock */
	gateway_announces(&s, PCP_START);
	client_asks_address(&s, WHEN);
	nothing_happens_until(&s, WHEN);
	gateway_tells_address(&s, ADDRESS);
	struct sent sent = client_sends_something(&s);
	ck_assert_uint_le(sent.at, WHEN + 5000);
	s.gateway = gateway_obliges;
	if (sent.len == 2)
		gateway_tells_address(&s, ADDRESS);
	else
		gateway_grants(&s, 80, 7200);
	clock_runs_until(&s, WHEN + MINUTE);
	s.sent_told = s.sent_count;
	story_end(&s);
}

/* Nothing to be lost: nothing to be asked. */
START_TEST(N52_pcp_announcement_without_holds)
{
	struct story s;

	story_begin(&s);
	gateway_announces(&s, PCP_START);
	gateway_announces(&s, RESTARTED);
	nothing_happens_until(&s, HOUR);
	story_end(&s);
}

/* Two clocks in turn, ten times a second for five minutes: one recovery in each 30 s at most,
 * and what came last is served at the end of its window. */
START_TEST(H9_forged_restarts_do_not_make_it_flood)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	s.gateway = NULL;
	size_t before = s.sent_count, requests = 0;
	uint64_t last = 0;
	for (uint64_t at = WHEN; at < WHEN + 5 * MINUTE; at += 100) {
		clock_runs_until(&s, at);
		gateway_announces(&s, at % 200 ? RESTARTED : RUNNING);
		while (s.sent_told < s.sent_count) {
			struct sent sent = client_sends_something(&s);
			if (sent.len == 2) {
				gateway_tells_address(&s, ADDRESS);
				continue;
			}
			gateway_grants(&s, 80, 7200);
			requests++;
			ck_assert_uint_ge(sent.at - last, 25 * SECOND);
			last = sent.at;
		}
	}
	ck_assert_uint_ge(requests, 9);
	ck_assert_uint_le(requests, 11);
	ck_assert_uint_le(s.sent_count - before, 3 * 11);
	/* The last one was a lie or not: it is looked after. */
	clock_runs_until(&s, s.now + 10);
	gateway_announces(&s, RESTARTED);
	struct sent sent = client_sends_something(&s);
	ck_assert_uint_le(sent.at, last + 36 * SECOND);
	story_end(&s);
}

START_TEST(H9_second_restart_in_the_window_is_served_at_its_end)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	gateway_reboots(&s);
	gateway_announces(&s, RESTARTED);
	s.gateway = gateway_obliges;
	clock_runs_until(&s, WHEN + 10 * SECOND);
	size_t before = s.sent_count;
	uint64_t first = 0;
	for (size_t i = 0; i < s.sent_count; i++)
		if (s.sent[i].at >= WHEN && !first)
			first = s.sent[i].at;
	ck_assert_uint_ge(first, WHEN);
	gateway_reboots(&s);
	gateway_announces(&s, RESTARTED);
	clock_runs_until(&s, first + 30 * SECOND - 1);
	ck_assert_uint_eq(s.sent_count, before);
	clock_runs_until(&s, first + 36 * SECOND);
	ck_assert_uint_gt(s.sent_count, before);
	story_end(&s);
}

/* What re-creates nothing does not wait for that: somebody is blocked, or something is closed. */
START_TEST(N45_blocking_calls_and_deletions_do_not_wait)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	struct lease *dns = lease_is_up(&s, NATPMP_UDP, 53, 7200);
	clock_runs_until(&s, WHEN);
	gateway_reboots(&s);
	gateway_announces(&s, RESTARTED);
	uint64_t recovery_at = s.client.gateway.reboot.recovery_at;
	ck_assert_uint_gt(recovery_at, story_now(&s)); /* else this seed proves nothing */
	program_releases(&s, dns);
	client_deletes(&s, WHEN, NATPMP_UDP, 53);
	gateway_confirms(&s);
	program_maps(&s, NATPMP_TCP, 22, 0, 7200);
	client_asks(&s, WHEN, NATPMP_TCP, 22, 22, 7200);
	gateway_grants(&s, 22, 7200);
	client_asks_address(&s, WHEN);
	gateway_tells_address(&s, ADDRESS);
	program_unmaps(&s, NATPMP_TCP, 23);
	client_deletes(&s, WHEN, NATPMP_TCP, 23);
	gateway_confirms(&s);
	struct sent again = client_sends_something(&s);
	ck_assert_uint_eq(again.at, recovery_at - story_now(&s) + s.now);
	story_end(&s);
}

/* Nor does what natpmp_with_mapping() opens, until it is open. */
START_TEST(N45_who_is_awaited_does_not_wait)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	gateway_reboots(&s);
	gateway_announces(&s, RESTARTED);
	s.is_awaited = true;
	s.patience = SECOND;
	struct lease *dns = program_holds(&s, NATPMP_UDP, 53, 0, 7200);
	client_asks(&s, WHEN, NATPMP_UDP, 53, 53, 7200);
	gateway_grants(&s, 53, 7200);
	client_asks_address(&s, WHEN);
	gateway_tells_address(&s, ADDRESS);
	lease_comes_up(&s, WHEN, dns, 53);
	s.gateway = gateway_obliges;
	clock_runs_until(&s, WHEN + 6 * SECOND);
	story_end(&s);
}

/* The window between two recoveries is that of one gateway. */
START_TEST(H9_another_gateway_has_a_window_of_its_own)
{
	struct story s;

	story_begin(&s);
	lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, WHEN);
	gateway_reboots(&s);
	gateway_announces(&s, RESTARTED);
	s.gateway = gateway_obliges;
	clock_runs_until(&s, WHEN + 6 * SECOND);
	link_changes(&s, OTHER_GATEWAY, OTHER_OWN);
	clock_runs_until(&s, WHEN + 7 * SECOND);
	gateway_reboots(&s);
	size_t before = s.sent_count;
	gateway_announces(&s, RESTARTED);
	clock_runs_until(&s, WHEN + 12 * SECOND);
	ck_assert_uint_gt(s.sent_count, before);
	s.event_told = s.event_count; /* this host has another address */
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS(
		"lease-recovery", N44_all_mappings_are_recreated, N45_random_delay_of_0_to_5_s,
		N45_new_mappings_do_not_wait_for_the_delay, N44_recreation_is_no_event,
		N46_another_port_after_the_restart_is_one_event, N44_silent_after_the_restart,
		N53_seen_without_announcements, N41_seen_in_any_packet,
		N43_not_seen_where_no_clock_is, N47_ten_announcements_are_one_restart,
		N50_plausible_announcement_changes_nothing, N51_announced_address_is_one_event,
		N51_address_told_unasked, N24_announced_without_a_usable_address,
		N50_announced_failure_with_a_new_clock, N52_pcp_announcement_asks_for_the_address,
		N52_pcp_announcement_without_holds, H9_forged_restarts_do_not_make_it_flood,
		H9_second_restart_in_the_window_is_served_at_its_end,
		N45_blocking_calls_and_deletions_do_not_wait, N45_who_is_awaited_does_not_wait,
		H9_another_gateway_has_a_window_of_its_own);
}
