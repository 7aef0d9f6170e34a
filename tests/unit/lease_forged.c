/* SPDX-License-Identifier: MIT */
/* Packets that somebody else sends in the gateway's name: they cost one recovery in 30 s at most,
 * and nothing else (protocol notes H9 and H17 in docs/conformance.md). */
#include "story.h"
#include "suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#define OLD_CLOCK "00 80 00 00 00 ff ff ff cb 00 71 05"
#define NEW_CLOCK "00 80 00 00 00 00 00 05 cb 00 71 05"
#define WRONG     IP(6, 6, 6, 6)
#define WRONG_HEX "00 80 00 00 ## ## ## ## 06 06 06 06"

enum { ROUND_TRIP = 10 };

struct flood {
	struct story s;
	uint64_t every;  /* ms, between two forged packets; 0: none */
	bool is_unicast; /* else announced */
	const char *packets[2];
};

/* The gateway answers everything after a round trip, and somebody forges packets. */
static void flood_until(struct flood *f, uint64_t until)
{
	struct story *s = &f->s;
	unsigned forged = 0;

	while (s->now < until) {
		clock_runs_until(s, s->now + 1);
		if (f->every && s->now % f->every == 0)
			(f->is_unicast ? gateway_says
				       : gateway_announces)(s, f->packets[forged++ % 2]);
		while (s->sent_told < s->sent_count &&
		       s->sent[s->sent_told].at + ROUND_TRIP <= s->now) {
			struct sent sent = s->sent[s->sent_told++];
			gateway_obliges(s, &sent);
		}
	}
}

/* A hold of both protocols: up at once, and after that at most one recovery in 30 s, of two
 * requests and the address. */
static void clocks_are_forged(uint64_t every, bool is_unicast, natpmp_protocol protocol)
{
	struct flood f = {
		.every = every, .is_unicast = is_unicast, .packets = {OLD_CLOCK, NEW_CLOCK}};
	struct story *s = &f.s;

	story_begin(s);
	struct lease *web = program_holds(s, protocol, 80, 0, 7200);
	flood_until(&f, 10 * MINUTE);
	ck_assert_int_eq(web->told.status, NATPMP_OK);
	ck_assert_uint_eq(s->event_count, 1);
	ck_assert_uint_le(s->events[0].at, 5 * SECOND + 4 * ROUND_TRIP);
	ck_assert_msg(s->sent_count <= 3 + 21 * 3, "forged every %u ms: %zu packets",
		      (unsigned)every, s->sent_count);
	story_skip(s);
	story_end(s);
}

START_TEST(H17_forged_clocks)
{
	static const uint64_t every[] = {5, 20, 50, 100, 500};

	for (size_t i = 0; i < COUNT(every); i++)
		for (unsigned unicast = 0; unicast < 2; unicast++) {
			clocks_are_forged(every[i], unicast, NATPMP_TCP);
			clocks_are_forged(every[i], unicast, NATPMP_TCP_UDP);
		}
}

/* A blocking call is done after its two exchanges, not after as many as there are forged packets.
 */
START_TEST(H17_blocking_call_among_forged_clocks)
{
	for (uint64_t every = 5; every <= 20; every += 5) {
		struct flood f = {.every = every, .packets = {OLD_CLOCK, NEW_CLOCK}};
		struct story *s = &f.s;

		story_begin(s);
		struct lease *web = program_maps(s, NATPMP_TCP, 80, 0, 7200);
		flood_until(&f, 7750);
		ck_assert_int_eq(web->status, NATPMP_OK);
		ck_assert_uint_le(s->sent_count, 2 * 3);
		story_skip(s);
		story_end(s);
	}
}

/* A wrong address is never told: the gateway is asked, and says the right one; once in 30 s. */
static void addresses_are_forged(uint64_t every, bool is_unicast)
{
	struct flood f = {.every = every,
			  .is_unicast = is_unicast,
			  .packets = {WRONG_HEX, "00 80 00 00 ## ## ## ## 07 07 07 07"}};
	struct story *s = &f.s;

	story_begin(s);
	program_holds(s, NATPMP_TCP, 80, 0, 7200);
	program_holds(s, NATPMP_UDP, 53, 0, 7200);
	flood_until(&f, SECOND);
	ck_assert_uint_ge(s->event_count, 2);
	flood_until(&f, 10 * MINUTE);
	for (size_t i = 2; i < s->event_count; i++)
		ck_assert_uint_eq(ip_to_v4(&s->events[i].now.external_address), ADDRESS);
	for (size_t i = 0; i < s->event_count; i++)
		ck_assert_uint_ne(ip_to_v4(&s->events[i].now.external_address), WRONG);
	ck_assert_uint_eq(s->event_count, 2);
	ck_assert_uint_le(s->sent_count, 3 + 21);
	story_skip(s);
	story_end(s);
}

START_TEST(H17_forged_addresses_by_multicast)
{
	addresses_are_forged(SECOND, false);
	addresses_are_forged(50, false);
}

/* Unasked for, with nothing in flight. While the question for the address is on its way, nothing
 * tells a forged answer from a true one: that lasts for a round trip. */
START_TEST(H17_forged_addresses_by_unicast)
{
	struct story s;

	story_begin(&s);
	struct lease *web = lease_is_up(&s, NATPMP_TCP, 80, 7200);
	clock_runs_until(&s, 100 * SECOND);
	gateway_says(&s, WRONG_HEX);
	client_asks_address(&s, 100 * SECOND);
	gateway_tells_address(&s, ADDRESS);
	for (uint64_t at = 101; at < 130; at++) {
		nothing_happens_until(&s, at * SECOND);
		gateway_says(&s, WRONG_HEX);
	}
	client_asks_address(&s, 130 * SECOND);
	gateway_tells_address(&s, ADDRESS);
	ck_assert_uint_eq(ip_to_v4(&web->told.external_address), ADDRESS);
	nothing_happens_until(&s, 130 * SECOND + SILENCE_MAX - 1);
	story_end(&s);
}

/* PCP's announcements are hints, too. */
START_TEST(H17_forged_pcp_announcements)
{
	struct flood f = {.every = 20};
	struct story *s = &f.s;

	f.packets[0] = f.packets[1] =
		"02 80 00 00 00 00 00 00 00 00 00 3f 00 00 00 00 00 00 00 00 00 00 00 00";
	story_begin(s);
	lease_is_up(s, NATPMP_TCP, 80, 7200);
	f.every = 20;
	f.packets[0] = f.packets[1] =
		"02 80 00 00 00 00 00 00 00 00 00 3f 00 00 00 00 00 00 00 00 00 00 00 00";
	flood_until(&f, 10 * MINUTE);
	ck_assert_uint_le(s->sent_count, 2 + 21);
	ck_assert_uint_eq(s->event_count, 1);
	story_skip(s);
	story_end(s);
}

/* --- work --- */

/* Whoever steps through the records now falls into a hole. */
static void announce_and_touch_no_record(struct story *s, const char *hex)
{
	struct list granted = s->client.granted;
	struct registry registry = s->client.registry;

	s->client.granted = (struct list){0};
	s->client.registry = (struct registry){.bucket_count = SIZE_MAX, .count = SIZE_MAX};
	gateway_announces(s, hex);
	ck_assert_ptr_null(s->client.granted.next);
	s->client.granted = granted;
	s->client.registry = registry;
}

/* What says nothing new leaves no packet and no event, and touches no record; nor does what says
 * something new, until the gateway has confirmed it. */
START_TEST(N50_identical_announcements_cost_nothing)
{
	struct story s;

	story_begin(&s);
	for (uint16_t port = 80; port < 90; port++)
		lease_is_up(&s, NATPMP_TCP, port, 7200);
	for (unsigned i = 0; i < 64; i++)
		announce_and_touch_no_record(&s, "00 80 00 00 ## ## ## ## cb 00 71 05");
	announce_and_touch_no_record(&s, "00 80 00 03 ## ## ## ## 00 00 00 00");
	nothing_happens_until(&s, MINUTE);
	announce_and_touch_no_record(&s, WRONG_HEX);
	client_asks_address(&s, MINUTE);
	announce_and_touch_no_record(&s, WRONG_HEX);
	gateway_tells_address(&s, ADDRESS);
	nothing_happens_until(&s, MINUTE + 29 * SECOND);
	story_end(&s);
}

/* Packets that nobody asked for end one backoff in 30 s, so that a flood of them does not make the
 * client send. */
START_TEST(H17_unasked_packets_and_a_closed_gateway)
{
	struct story s;

	story_begin(&s);
	struct lease *web = program_holds(&s, NATPMP_TCP, 80, 0, 7200);
	client_asks(&s, 0, NATPMP_TCP, 80, 80, 7200);
	request_bounces(&s, NATPMP_E_REFUSED);
	lease_goes_down(&s, 0, web, NATPMP_E_REFUSED);
	for (uint64_t at = 0; at < 10 * MINUTE; at += 100) {
		clock_runs_until(&s, at);
		gateway_says(&s, "00 82 00 00 ## ## ## ## 00 07 00 07 00 00 1c 20");
		while (s.sent_told < s.sent_count) {
			client_sends_something(&s);
			request_bounces(&s, NATPMP_E_REFUSED);
		}
	}
	ck_assert_uint_le(s.sent_count, 21 * 6);
	story_skip(&s);
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS("lease-forged", H17_forged_clocks, H17_blocking_call_among_forged_clocks,
			 H17_forged_addresses_by_multicast, H17_forged_addresses_by_unicast,
			 H17_forged_pcp_announcements, N50_identical_announcements_cost_nothing,
			 H17_unasked_packets_and_a_closed_gateway);
}
