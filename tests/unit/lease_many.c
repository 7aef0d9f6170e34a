/* SPDX-License-Identifier: MIT */
/* Every port of both protocols at once: 131,070 mappings. */
#include "story.h"
#include "suite.h"

enum {
	PORTS = 65535,
	ALL = 2 * PORTS,
	ROUND_TRIP = 5,            /* ms */
	SERIAL = ALL * ROUND_TRIP, /* the bare exchange, one after another */
	AT_MOST = SERIAL / 100 * 105,
};

static struct story s;
static struct lease *leases[ALL];
static size_t up, down;

static void count_event(struct story *story, const struct event *event)
{
	if (event->now.status == NATPMP_OK)
		up++;
	else
		down++;
	story->event_told = story->event_count = 0; /* nobody tells them */
}

/* Nor what was sent. */
static void forget_sent(void)
{
	s.sent_told = s.sent_count = 0;
}

static void hold_all(uint32_t lifetime)
{
	story_begin(&s);
	s.on_event = count_event;
	s.at_once = true;
	for (int i = 0; i < ALL; i++)
		leases[i] = program_holds(&s, i < PORTS ? NATPMP_TCP : NATPMP_UDP,
					  (uint16_t)(i % PORTS + 1), 0, lifetime);
	s.at_once = false;
}

static void all_are_up(uint64_t until)
{
	gateway_obliges_until(&s, ROUND_TRIP, until);
	ck_assert_uint_eq(up, ALL);
	ck_assert_uint_eq(down, 0);
	forget_sent();
}

/* Times of renewals, and nobody is down; let go, and nothing is left. */
START_TEST(N5_all_ports_are_held_and_let_go)
{
	hold_all(7200);
	all_are_up(AT_MOST);
	gateway_obliges_until(&s, ROUND_TRIP, HOUR + AT_MOST);
	ck_assert_uint_ge(s.sent_count, ALL); /* renewed, each of them once */
	ck_assert_uint_le(s.sent_count, ALL + 100);
	ck_assert_uint_eq(down, 0);
	s.at_once = true;
	for (int i = 0; i < ALL; i++)
		program_releases(&s, leases[i]);
	s.at_once = false;
	forget_sent();
	gateway_obliges_until(&s, ROUND_TRIP, s.now + AT_MOST);
	ck_assert_uint_eq(s.sent_count, ALL);
	ck_assert(client_is_empty(&s.client));
	ck_assert_int_eq(leftover_status(&s), NATPMP_OK);
	forget_sent();
	story_end(&s);
}

/* Restarted: all are back in little more than the time of the bare exchange. */
START_TEST(N44_all_ports_are_recreated)
{
	hold_all(7200);
	all_are_up(AT_MOST);
	clock_runs_until(&s, 20 * MINUTE);
	forget_sent();
	gateway_reboots(&s);
	gateway_announces(&s, "00 80 00 00 ## ## ## ## cb 00 71 05");
	gateway_obliges_until(&s, ROUND_TRIP, 20 * MINUTE + AT_MOST);
	for (int i = 0; i < ALL; i++)
		ck_assert(lease_holds_good(&s, leases[i]));
	ck_assert_uint_le(s.sent_count, ALL + 100);
	ck_assert_uint_eq(down, 0);
	forget_sent();
	story_end(&s);
}

/* Dead for a day: few packets, each lease told once; then back within the time of the exchange and
 * the longest backoff. */
START_TEST(N5_all_ports_at_a_dead_gateway)
{
	hold_all(7200);
	all_are_up(AT_MOST);
	clock_runs_until(&s, 24 * HOUR);
	ck_assert_uint_eq(down, ALL);
	/* until they end, some pass the backoff */
	ck_assert_uint_le(s.sent_count, 24 * 3600 / 64 * 6 + 1000);
	up = 0;
	forget_sent();
	gateway_obliges_until(&s, ROUND_TRIP, 24 * HOUR + AT_MOST + 70 * SECOND);
	ck_assert_uint_eq(up, ALL);
	ck_assert_uint_eq(down, ALL);
	forget_sent();
	story_end(&s);
}

/* Never there: all are told, in one go, and still few packets. */
START_TEST(N5_all_ports_in_vain)
{
	hold_all(7200);
	clock_runs_until(&s, 7750);
	ck_assert_uint_eq(down, ALL);
	clock_runs_until(&s, 24 * HOUR);
	ck_assert_uint_eq(down, ALL);
	ck_assert_uint_le(s.sent_count, 24 * 3600 / 64 * 6);
	forget_sent();
	story_end(&s);
}

static void count_farewell(void *arg, const uint8_t *bytes, size_t len)
{
	ck_assert(len == 12 && bytes[11] == 0);
	++*(size_t *)arg;
}

START_TEST(N12_farewell_of_all_ports)
{
	size_t count = 0;

	hold_all(7200);
	all_are_up(AT_MOST);
	client_farewell(&s.client, story_now(&s), count_farewell, &count);
	ck_assert_uint_eq(count, ALL);
	story_end(&s);
}

int main(void)
{
	return RUN_TESTS("lease-many", N5_all_ports_are_held_and_let_go,
			 N44_all_ports_are_recreated, N5_all_ports_at_a_dead_gateway,
			 N5_all_ports_in_vain, N12_farewell_of_all_ports);
}
