/* SPDX-License-Identifier: MIT */
/* The times of PCP, RFC 6887: when to send again and to renew, and what a gateway's clock tells. */
#include "core/pcp.h"
#include "story.h"
#include "suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* SplitMix64 */
static uint64_t next_random(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* --- sends --- */

/* What is to be random is a number of steps of 1 ms: 0, half of them, all. */
START_TEST(P11_exact_gaps)
{
	static const struct {
		unsigned sends;
		duration before, least, middle, most;
	} table[] = {
		{1, 0, 2700, 3000, 3300},
		{2, 2700, 4860, 5400, 5940},
		{2, 3000, 5400, 6000, 6600},
		{2, 3300, 5940, 6600, 7260},
		{9, 511999, 921599, 1023998, 1126397},
		{9, 512000, 921600, 1024000, 1126400},
		{10, 921600, 921600, 1024000, 1126400},
		{10, 1126400, 921600, 1024000, 1126400},
		/* nothing that happens, but no gap may be out of bounds */
		{0, 0, 2700, 3000, 3300},
		{1, 5000, 2700, 3000, 3300},
		{2, 0, 2700, 3000, 3300},
		{2, 1, 2700, 3000, 3300},
		{UINT32_MAX, NEVER, 921600, 1024000, 1126400},
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		duration half = table[i].middle - table[i].least;
		duration before = table[i].before;
		unsigned sends = table[i].sends;

		ck_assert_uint_eq(dialect_pcp.send_gap(sends, before, 0), table[i].least);
		ck_assert_uint_eq(dialect_pcp.send_gap(sends, before, half), table[i].middle);
		ck_assert_uint_eq(dialect_pcp.send_gap(sends, before, 2 * half), table[i].most);
		ck_assert_uint_eq(dialect_pcp.send_gap(sends, before, 2 * half + 1),
				  table[i].least);
	}
}

START_TEST(P11_gaps_keep_their_bounds)
{
	uint64_t state = 1;

	for (unsigned run = 0; run < 1000; run++) {
		duration before = 0;

		for (unsigned sends = 1; sends < 20; sends++) {
			duration gap = dialect_pcp.send_gap(sends, before, next_random(&state));
			duration middle = before ? earlier(2 * before, 1024000) : 3000;
			ck_assert_uint_ge(gap, middle - middle / 10);
			ck_assert_uint_le(gap, middle + middle / 10);
			ck_assert_uint_ge(gap, 2700);
			ck_assert_uint_le(gap, 1126400);
			before = gap;
		}
	}
}

START_TEST(P11_gaps_are_spread_evenly)
{
	enum { RUNS = 12000, PARTS = 6 };
	unsigned count[PARTS] = {0};
	uint64_t state = 2;

	for (unsigned i = 0; i < RUNS; i++)
		count[(dialect_pcp.send_gap(1, 0, next_random(&state)) - 2700) * PARTS / 601]++;
	for (unsigned i = 0; i < PARTS; i++) {
		ck_assert_uint_gt(count[i], RUNS / PARTS * 9 / 10);
		ck_assert_uint_lt(count[i], RUNS / PARTS * 11 / 10);
	}
}

/* Two hours of the middle. */
START_TEST(P12_nominal_schedule)
{
	static const unsigned times[] = {3,   9,    21,   45,   93,   189,  381,
					 765, 1533, 2557, 3581, 4605, 5629, 6653};
	duration at = 0, gap = 0;

	for (unsigned i = 0; i < COUNT(times); i++) {
		duration middle = gap ? earlier(2 * gap, 1024000) : 3000;
		gap = dialect_pcp.send_gap(i + 1, gap, middle / 10);
		at += gap;
		ck_assert_uint_eq(at, 1000 * times[i]);
	}
}

/* --- renewals --- */

START_TEST(P35_exact_times_of_renewals)
{
	static const struct {
		unsigned tries;
		duration first, last;
	} table[] = {
		{0, 3600000, 4500000}, {1, 5400000, 5850000}, {2, 6300000, 6525000},
		{3, 6750000, 6862500}, {4, 6975000, 7031250},
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		duration spread = table[i].last - table[i].first;
		unsigned tries = table[i].tries;

		ck_assert_uint_eq(dialect_pcp.renewal_delay(7200000, tries, 0), table[i].first);
		ck_assert_uint_eq(dialect_pcp.renewal_delay(7200000, tries, spread), table[i].last);
		ck_assert_uint_eq(dialect_pcp.renewal_delay(7200000, tries, spread + 1),
				  table[i].first);
	}
}

START_TEST(P35_times_are_spread_evenly)
{
	enum { RUNS = 10000, PARTS = 10 };
	uint64_t state = 3;

	for (unsigned tries = 0; tries < 5; tries++) {
		const duration first = 7200000 - (7200000U >> (tries + 1));
		const duration spread = 7200000U >> (tries + 3);
		unsigned count[PARTS] = {0};

		for (unsigned i = 0; i < RUNS; i++) {
			duration at =
				dialect_pcp.renewal_delay(7200000, tries, next_random(&state));
			ck_assert(at >= first && at <= first + spread);
			count[(at - first) * PARTS / (spread + 1)]++;
		}
		for (unsigned i = 0; i < PARTS; i++) {
			ck_assert_uint_gt(count[i], RUNS / PARTS * 8 / 10);
			ck_assert_uint_lt(count[i], RUNS / PARTS * 12 / 10);
		}
	}
}

START_TEST(P36_short_lifetimes)
{
	static const struct {
		unsigned lifetime, tries; /* s; before it */
		duration first, last;     /* ms */
	} table[] = {
		{10, 0, 5000, 6250},
		{10, 1, NEVER, NEVER},
		{20, 0, 10000, 12500},
		{20, 1, 15000, NEVER}, /* by 16000 */
		{20, 2, NEVER, NEVER},
		{120, 0, 60000, 75000},
		{120, 1, 90000, 97500},
		{120, 2, 105000, 108750},
		{120, 3, 112500, 114375},
		{120, 4, NEVER, NEVER},
		/* the first try is made in any case */
		{7, 0, 3500, 4375},
		{1, 0, 500, 625},
		{0, 0, 0, 0},
		{1, 1, NEVER, NEVER},
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		duration lifetime = 1000 * table[i].lifetime;
		unsigned tries = table[i].tries;
		duration spread = lifetime >> (tries + 3);

		ck_assert_uint_eq(dialect_pcp.renewal_delay(lifetime, tries, 0), table[i].first);
		ck_assert_uint_eq(dialect_pcp.renewal_delay(lifetime, tries, spread),
				  table[i].last);
	}
	ck_assert_uint_eq(dialect_pcp.renewal_delay(20000, 1, 1000), 16000);
	ck_assert_uint_eq(dialect_pcp.renewal_delay(20000, 1, 1001), NEVER);
}

/* No try is closer than 4 s to the end, or to the earliest time of the one before. */
static void check_tries(unsigned lifetime, uint64_t *state)
{
	const duration whole = 1000 * (duration)lifetime;
	duration before = dialect_pcp.renewal_delay(whole, 0, 0);

	for (unsigned tries = 1; tries < 40; tries++) {
		duration first = dialect_pcp.renewal_delay(whole, tries, 0);
		duration at = dialect_pcp.renewal_delay(whole, tries, next_random(state));
		if (at != NEVER) {
			ck_assert_uint_ge(at, before + 4000);
			ck_assert_uint_le(at, whole - 4000);
		}
		if (first == NEVER) {
			ck_assert_uint_eq(at, NEVER);
			ck_assert_uint_lt(whole >> (tries + 1), 4000);
			return;
		}
		before = first;
	}
	ck_abort_msg("tries without end, of %u s", lifetime);
}

START_TEST(P36_tries_keep_their_distance)
{
	uint64_t state = 4;

	for (unsigned lifetime = 0; lifetime < 2000; lifetime++)
		check_tries(lifetime, &state);
	check_tries(PCP_LIFETIME_MAX, &state);
	check_tries(UINT32_MAX, &state);
}

START_TEST(P36_many_tries)
{
	static const unsigned tries[] = {58, 59, 60, 61, 62, 63, 64, 65, 1000, UINT32_MAX};

	for (size_t i = 0; i < COUNT(tries); i++) {
		ck_assert_uint_eq(dialect_pcp.renewal_delay(86400000, tries[i], 0), NEVER);
		ck_assert_uint_eq(dialect_pcp.renewal_delay(86400000, tries[i], UINT64_MAX), NEVER);
	}
}

/* --- the gateway's clock --- */

enum { BEGIN = 500000 }; /* ms, on our clock; when a first packet came */

/* A packet that was read as it came. */
static bool notes(struct gateway_clock *clock, uint32_t seconds, instant at)
{
	return dialect_pcp.note_clock(clock, seconds, at, at);
}

static bool restarted(uint32_t old, uint32_t seconds, duration elapsed)
{
	struct gateway_clock clock = {0};

	notes(&clock, old, BEGIN);
	return notes(&clock, seconds, BEGIN + elapsed);
}

START_TEST(P42_vectors)
{
	static const struct {
		duration elapsed;    /* s */
		int32_t least, most; /* s, of the gateway */
	} table[] = {
		{0, -1, 2},         {1, -1, 3},
		{2, 0, 4},          {10, 8, 12},
		{60, 55, 66},       {100, 92, 108},
		{600, 561, 642},    {3600, 3373, 3842},
		{7200, 6748, 7682}, {86400, 80998, 92162},
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		const duration ms = 1000 * table[i].elapsed;
		const uint32_t old = 1000000;
		const uint32_t least = old + (uint32_t)table[i].least;
		const uint32_t most = old + (uint32_t)table[i].most;

		ck_assert_msg(restarted(old, least - 1, ms), "row %zu", i);
		ck_assert_msg(!restarted(old, least, ms), "row %zu", i);
		ck_assert_msg(!restarted(old, most, ms), "row %zu", i);
		ck_assert_msg(restarted(old, most + 1, ms), "row %zu", i);
	}
}

/* The rule as RFC 6887 section 8.5 has it: whole seconds. */
static bool rfc_says_restarted(int64_t theirs, int64_t ours)
{
	if (theirs + 1 < 0)
		return true;
	return ours + 2 < theirs - theirs / 16 || theirs + 2 < ours - ours / 16;
}

START_TEST(P42_whole_seconds_are_decided_as_in_the_rfc)
{
	for (int32_t ours = 0; ours < 1000; ours++) {
		for (int32_t theirs = -4; theirs < ours + ours / 8 + 8; theirs++) {
			bool is =
				restarted(10000, (uint32_t)(10000 + theirs), 1000 * (duration)ours);
			if (is != rfc_says_restarted(theirs, ours))
				ck_abort_msg("theirs %d s, ours %d s", theirs, ours);
		}
	}
}

START_TEST(P42_between_whole_seconds)
{
	/* 15/16 of 2133.33 ms are 2 s */
	ck_assert(!restarted(1000, 1000, 2133));
	ck_assert(restarted(1000, 1000, 2134));
	/* 15/16 of 10 s are 7375 ms and 2 s */
	ck_assert(restarted(1000, 1010, 7374));
	ck_assert(!restarted(1000, 1010, 7375));
}

START_TEST(P42_first_packet_only_initialises)
{
	struct gateway_clock clock = {0};

	ck_assert(!dialect_pcp.note_clock(&clock, 5, BEGIN - 100, BEGIN));
	ck_assert(clock.is_known);
	ck_assert_uint_eq(clock.seconds, 5);
	ck_assert_uint_eq(clock.at_earliest, BEGIN - 100);
	ck_assert_uint_eq(clock.at_latest, BEGIN);
}

/* Plausible or not: the next one is compared with this one. */
START_TEST(P42_every_packet_is_stored)
{
	struct gateway_clock clock = {0};

	ck_assert(!notes(&clock, 1000, BEGIN));
	ck_assert(!notes(&clock, 1010, BEGIN + 10000));
	ck_assert(notes(&clock, 0, BEGIN + 11000));
	ck_assert(!notes(&clock, 1, BEGIN + 12000));
	ck_assert(notes(&clock, 500, BEGIN + 13000));
	ck_assert(!notes(&clock, 501, BEGIN + 14000));
	ck_assert_uint_eq(clock.seconds, 501);
	ck_assert_uint_eq(clock.at_latest, BEGIN + 14000);
}

START_TEST(P42_edges_of_32_bits)
{
	ck_assert(restarted(UINT32_MAX, 0, 0)); /* it takes 136 years to get there by itself */
	ck_assert(restarted(UINT32_MAX, 0, 1000));
	ck_assert(!restarted(UINT32_MAX, UINT32_MAX - 1, 0));
	ck_assert(restarted(UINT32_MAX, UINT32_MAX - 2, 0));
	ck_assert(restarted(0, UINT32_MAX, 10000));
	ck_assert(!restarted(0, UINT32_MAX, 1000 * (duration)UINT32_MAX));
	ck_assert(!restarted(0, 0, 0));
	/* no overflow, whatever the clock of the machine says */
	ck_assert(restarted(1000, UINT32_MAX, UINT64_MAX - 2 * BEGIN));
	ck_assert(restarted(0, UINT32_MAX, UINT64_MAX / 2));
	ck_assert(restarted(0, 0, UINT64_MAX / 32));
}

/* Our clock does not go back, but two packets that waited may seem to come in the other order. */
START_TEST(P42_no_time_is_negative)
{
	struct gateway_clock clock = {0};

	ck_assert(!notes(&clock, 1000, BEGIN));
	ck_assert(!notes(&clock, 1002, BEGIN - 5000));
	ck_assert(notes(&clock, 1005, BEGIN - 5000));
}

/* Read late: it may have come at any time since the socket was last empty. */
START_TEST(H16_pcp_packet_read_late)
{
	static const struct {
		uint32_t seconds;
		duration at_earliest, at_latest; /* ms after the packet before, of 1000 s */
		bool restart;
	} table[] = {
		{1000, 10, 3000, false},     /* came at once, read 3 s later */
		{1000, 10, 10800000, false}, /* or 3 h */
		{1000, 2133, 10800000, false}, {1000, 2134, 10800000, true},
		{1010, 10, 10000, false}, /* came at the end of the stall */
		{1010, 10, 7375, false},       {1010, 10, 7374, true},
		{11800, 10, 10800000, false},  {11800, 10, 10000000, true},
		{999, 0, 10800000, false},     {998, 0, 10800000, true},
		{0, 0, 10800000, true},
	};

	for (size_t i = 0; i < COUNT(table); i++) {
		struct gateway_clock clock = {0};

		notes(&clock, 1000, BEGIN);
		ck_assert_msg(dialect_pcp.note_clock(
				      &clock, table[i].seconds, BEGIN + table[i].at_earliest,
				      BEGIN + table[i].at_latest) == table[i].restart,
			      "row %zu", i);
	}
}

/* The packet before was read late. Its clock may be as old as the stall was long, which makes the
 * gateway's clock look fast; or it may be as new as its reading. */
START_TEST(H16_pcp_packet_after_one_read_late)
{
	const duration stall = 10800000;
	struct gateway_clock clock = {0};

	dialect_pcp.note_clock(&clock, 1000, BEGIN, BEGIN + stall);
	ck_assert(!notes(&clock, 1000 + 10800, BEGIN + stall + 10));
	clock = (struct gateway_clock){0};
	dialect_pcp.note_clock(&clock, 1000, BEGIN, BEGIN + stall);
	ck_assert(!notes(&clock, 1000, BEGIN + stall + 10));
	clock = (struct gateway_clock){0};
	dialect_pcp.note_clock(&clock, 1000, BEGIN, BEGIN + stall);
	ck_assert(notes(&clock, 1000, BEGIN + stall + 2134));
	/* the first of these two came 3 h before its reading, or the gateway restarted */
	clock = (struct gateway_clock){0};
	notes(&clock, 1000, BEGIN + stall);
	ck_assert(notes(&clock, 1000 + 10800, BEGIN + stall + 10));
}

/* Is there any moment for either packet, in steps, at which there was no restart? */
static bool some_moment_fits(const instant old[2], const instant now[2], uint32_t seconds)
{
	enum { STEP = 250 };

	for (instant from = old[0]; from <= old[1]; from += STEP) {
		for (instant to = later(now[0], from); to <= now[1]; to += STEP)
			if (!restarted(1000, seconds, to - from))
				return true;
	}
	return false;
}

START_TEST(H16_pcp_restart_only_if_no_moment_fits)
{
	unsigned restarts = 0;
	uint64_t state = 5;

	for (unsigned i = 0; i < 2000; i++) {
		const instant old[2] = {BEGIN, BEGIN + 250 * (next_random(&state) % 24)};
		const instant begin = old[1] + 250 * (next_random(&state) % 80);
		const instant now[2] = {begin, begin + 250 * (next_random(&state) % 24)};
		const uint32_t seconds = 998 + (uint32_t)(next_random(&state) % 32);
		struct gateway_clock clock = {0};

		dialect_pcp.note_clock(&clock, 1000, old[0], old[1]);
		bool is = dialect_pcp.note_clock(&clock, seconds, now[0], now[1]);
		ck_assert_msg(is != some_moment_fits(old, now, seconds), "run %u", i);
		restarts += is;
	}
	ck_assert(restarts > 200 && restarts < 1800); /* both happened */
}

START_TEST(P33_what_pcp_may_do)
{
	ck_assert(dialect_pcp.renews_by_one_send); /* RFC 6887 section 11.2.1 */
	ck_assert(dialect_pcp.may_grant_longer);   /* section 15 */
	ck_assert_uint_eq(dialect_pcp.renewal_gap, 4000);
	ck_assert_uint_eq(dialect_pcp.sends, PCP_SENDS);
}

int main(void)
{
	return RUN_TESTS("pcp-time", P11_exact_gaps, P11_gaps_keep_their_bounds,
			 P11_gaps_are_spread_evenly, P12_nominal_schedule,
			 P35_exact_times_of_renewals, P35_times_are_spread_evenly,
			 P36_short_lifetimes, P36_tries_keep_their_distance, P36_many_tries,
			 P42_vectors, P42_whole_seconds_are_decided_as_in_the_rfc,
			 P42_between_whole_seconds, P42_first_packet_only_initialises,
			 P42_every_packet_is_stored, P42_edges_of_32_bits, P42_no_time_is_negative,
			 H16_pcp_packet_read_late, H16_pcp_packet_after_one_read_late,
			 H16_pcp_restart_only_if_no_moment_fits, P33_what_pcp_may_do);
}
