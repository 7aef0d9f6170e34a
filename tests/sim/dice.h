/* SPDX-License-Identifier: MIT */
/* dice - all the chance there is, from one seed (splitmix64). */
#ifndef SIM_DICE_H
#define SIM_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
	uint64_t state;
};

static inline uint64_t dice_bits(struct dice *dice)
{
	uint64_t z = dice->state += 0x9e3779b97f4a7c15U;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return z ^ z >> 31;
}

/* 0 .. sides - 1 */
static inline uint64_t dice_roll(struct dice *dice, uint64_t sides)
{
	return sides ? dice_bits(dice) % sides : 0;
}

static inline uint64_t dice_between(struct dice *dice, uint64_t low, uint64_t high)
{
	return low + dice_roll(dice, high - low + 1);
}

static inline bool dice_chance(struct dice *dice, unsigned permille)
{
	return permille && dice_roll(dice, 1000) < permille;
}

/* Each doubling as likely as the others: durations from seconds to hours. */
static inline uint64_t dice_scale(struct dice *dice, uint64_t low, uint64_t high)
{
	unsigned doublings = 0;

	while (low << doublings < high)
		doublings++;
	uint64_t base = low << dice_roll(dice, doublings + 1);
	uint64_t value = base + dice_roll(dice, base);
	return value > high ? high : value;
}

#endif
