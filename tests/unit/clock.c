/* SPDX-License-Identifier: MIT */
/* Has the gateway lost its state? RFC 6886 section 3.6: the 7/8 rule with 2 s of allowance. */
#include "core/epoch.h"
#include "suite.h"

static bool restarted(uint32_t before, uint32_t now, uint64_t elapsed_ms)
{
	const uint64_t at = 123456;
	struct epoch epoch = {0};

	ck_assert(!epoch_restarted(&epoch, before, at));
	return epoch_restarted(&epoch, now, at + elapsed_ms);
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
		struct epoch epoch = {0};
		ck_assert(!epoch_restarted(&epoch, clocks[i], 99999999));
		ck_assert(epoch.known);
	}
	/* forgotten, as for another gateway */
	struct epoch epoch = {0};
	epoch_restarted(&epoch, 5000, 1000);
	epoch = (struct epoch){0};
	ck_assert(!epoch_restarted(&epoch, 3, 2000));
}

/* The estimate grows from what was heard last, whether that was an alarm or not. */
START_TEST(N41_every_packet_is_stored)
{
	struct epoch epoch = {0};

	ck_assert(!epoch_restarted(&epoch, 1000, 0));
	ck_assert(epoch_restarted(&epoch, 0, 10000));
	ck_assert(!epoch_restarted(&epoch, 1, 11000));
	ck_assert(!epoch_restarted(&epoch, 101, 111000));
	ck_assert(epoch_restarted(&epoch, 50, 111000));
	/* One that runs slow by an eighth, for ten years, never is one. */
	uint64_t now = 111000;
	double clock = 50;
	for (int i = 0; i < 3652; i++) {
		now += 86400000;
		clock += 86400 * 0.875;
		ck_assert(!epoch_restarted(&epoch, (uint32_t)clock, now));
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

int main(void)
{
	return RUN_TESTS("epoch", N41_table_of_the_seven_eighths_rule,
			 N42_first_packet_only_initialises, N41_every_packet_is_stored,
			 N41_edges_of_32_bits, N41_long_suspend);
}
