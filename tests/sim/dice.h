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

/* One roll an expression: which of two comes first is the compiler's choice, and a seed is to mean
 * the same with all of them. */

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

/* 32 bits, of which the first so many are 0. */
static inline uint32_t dice_word(struct dice *dice)
{
	uint32_t word = (uint32_t)dice_bits(dice);

	return word >> dice_roll(dice, 32);
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
