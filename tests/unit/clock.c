/* SPDX-License-Identifier: MIT */
/* Has the gateway lost its state? RFC 6886 section 3.6: the 7/8 rule with 2 s of allowance. */
#include "core/natpmp.h"
#include "suite.h"

/* A packet that came at that very instant. */
static bool has_restarted(struct gateway_clock *clock, uint32_t seconds, instant at)
{
	return dialect_natpmp.note_clock(clock, seconds, at, at);
}

static bool restarted(uint32_t before, uint32_t now, uint64_t elapsed_ms)
{
	const uint64_t at = 123456;
	struct gateway_clock clock = {0};

	ck_assert(!has_restarted(&clock, before, at));
	return has_restarted(&clock, now, at + elapsed_ms);
}

START_TEST(N41_table_of_the_seven_eighths_rule)
{
	static const struct {
		uint32_t before, now;
		uint64_t elapsed; /* ms */
		bool restart;
	} table[] = {
		{1000, 1000, 0, false},      {1000, 998, 0, false},
		{1000, 997, 0, true},        {1000, 1000, 2285, false},
		{1000, 1000, 2286, true},    {1000, 1005, 8000, false}, /* exactly 2 below */
		{1000, 1004, 8000, true},    {1000, 1698, 800000, false},
		{1000, 1697, 800000, true},  {1000, 4148, 3600000, false},
		{1000, 4147, 3600000, true}, {1000, 0, 5000, true},
		{5, 4, 1000, false}, /* a restart this early cannot be seen */
		{1000, 5000, 10000, false},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		ck_assert_msg(restarted(table[i].before, table[i].now, table[i].elapsed) ==
				      table[i].restart,
			      "row %zu", i);
}

START_TEST(N42_first_packet_only_initialises)
{
	static const uint32_t clocks[] = {0, 1, 1000, UINT32_MAX};

	for (size_t i = 0; i < 4; i++) {
		struct gateway_clock clock = {0};
		ck_assert(!has_restarted(&clock, clocks[i], 99999999));
		ck_assert(clock.is_known);
	}
	/* forgotten, as for another gateway */
	struct gateway_clock clock = {0};
	has_restarted(&clock, 5000, 1000);
	clock = (struct gateway_clock){0};
	ck_assert(!has_restarted(&clock, 3, 2000));
}

/* The estimate grows from what was heard last, whether that was an alarm or not. */
START_TEST(N41_every_packet_is_stored)
{
	struct gateway_clock clock = {0};

	ck_assert(!has_restarted(&clock, 1000, 0));
	ck_assert(has_restarted(&clock, 0, 10000));
	ck_assert(!has_restarted(&clock, 1, 11000));
	ck_assert(!has_restarted(&clock, 101, 111000));
	ck_assert(has_restarted(&clock, 50, 111000));
	/* One that runs slow by an eighth, for ten years, never is one. */
	uint64_t now = 111000;
	double seconds = 50;
	for (int i = 0; i < 3652; i++) {
		now += 86400000;
		seconds += 86400 * 0.875;
		ck_assert(!has_restarted(&clock, (uint32_t)seconds, now));
	}
}

START_TEST(N41_edges_of_32_bits)
{
	ck_assert(!restarted(UINT32_MAX, UINT32_MAX, 0));
	ck_assert(!restarted(UINT32_MAX, UINT32_MAX, 2285)); /* a clock that stopped at its end */
	ck_assert(restarted(UINT32_MAX, UINT32_MAX, 2286));
	ck_assert(restarted(UINT32_MAX, 0, 1000)); /* wrapped: the rule calls that a restart */
	ck_assert(restarted(UINT32_MAX, UINT32_MAX - 3, 0));
	ck_assert(!restarted(UINT32_MAX, UINT32_MAX - 2, 0));
	ck_assert(!restarted(0, UINT32_MAX, 0)); /* ahead is no alarm, however far */
	ck_assert(!restarted(0, 0, 0));
	ck_assert(!restarted(0, 0, 2285));
	ck_assert(restarted(0, 0, 2286));
	ck_assert(!restarted(0x7fffffff, 0x80000000, 1000));
	ck_assert(restarted(0x80000000, 0x7fffffff - 3, 1000));
}

START_TEST(N41_long_suspend)
{
	const uint64_t month = 30ULL * 86400 * 1000, century = 36525ULL * 86400 * 1000;

	ck_assert(!restarted(1000, 1000 + 30 * 86400, month));
	ck_assert(restarted(1000, 1000 + 30 * 86400 / 8 * 7 - 3, month));
	ck_assert(!restarted(1000, 1000 + 30 * 86400 / 8 * 7, month));
	ck_assert(restarted(1000, 1000, century));
	ck_assert(!restarted(1000, (uint32_t)(century / 1000) + 1000, century));
	/* No overflow, whatever the clock of the machine says. */
	ck_assert(restarted(1000, UINT32_MAX, UINT64_MAX - 200000));
	ck_assert(restarted(0, UINT32_MAX, UINT64_MAX / 2));
}

/* Read late: it may have come at any time since the socket was last empty, and only what the
 * earliest of them shows is a restart. */
START_TEST(H16_a_packet_read_late)
{
	static const struct {
		uint32_t seconds;
		instant at_earliest, at_latest; /* ms after the packet before, which showed 1000 */
		bool restart;
	} table[] = {
		{1000, 10, 3000, false},    /* came at once, read 3 s later */
		{1000, 10, 3000000, false}, /* or 50 min */
		{1000, 2286, 3000, true},   /* it cannot have come that early */
		{998, 0, 3000, false},      {997, 0, 3000, true},
		{1010, 0, 10800000, false}, {3, 0, 10800000, true},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct gateway_clock clock = {0};
		instant at = 500000;
		ck_assert(!has_restarted(&clock, 1000, at));
		ck_assert_msg(dialect_natpmp.note_clock(
				      &clock, table[i].seconds, at + table[i].at_earliest,
				      at + table[i].at_latest) == table[i].restart,
			      "row %zu", i);
	}
}

/* The packet before was read late: it may have come that late. */
START_TEST(H16_a_packet_after_one_read_late)
{
	struct gateway_clock clock = {0};

	dialect_natpmp.note_clock(&clock, 1000, 500000, 500000);
	ck_assert(!dialect_natpmp.note_clock(&clock, 1000, 500000, 600000));
	ck_assert(!has_restarted(&clock, 1001, 601000)); /* as if it had come at 600000 */
	ck_assert(!dialect_natpmp.note_clock(&clock, 1001, 500000, 602000));
	ck_assert(!has_restarted(&clock, 1001, 601500)); /* times that overlap */
	ck_assert(has_restarted(&clock, 998, 601500));
}

int main(void)
{
	return RUN_TESTS("clock", N41_table_of_the_seven_eighths_rule,
			 N42_first_packet_only_initialises, N41_every_packet_is_stored,
			 N41_edges_of_32_bits, N41_long_suspend, H16_a_packet_read_late,
			 H16_a_packet_after_one_read_late);
}
