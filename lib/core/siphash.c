/* SPDX-License-Identifier: MIT */
/*
 * SipHash works on four 64-bit words, v. They begin as the key mixed with constants. Each eight
 * bytes of the data, as a little-endian word, go into v[3], two rounds follow, and they go into
 * v[0]. The last word has the length in its highest byte. Four rounds more give each half of the
 * hash.
 */
#include "core/siphash.h"

enum {
	WORD_LEN = 8, /* bytes */
	ROUNDS_OF_WORD = 2,
	ROUNDS_OF_HALF = 4,
};

static uint64_t word_get(const uint8_t *bytes)
{
	uint64_t word = 0;

	for (int i = WORD_LEN - 1; i >= 0; i--)
		word = word << 8 | bytes[i];
	return word;
}

static void word_put(uint8_t *bytes, uint64_t word)
{
	for (int i = 0; i < WORD_LEN; i++)
		bytes[i] = (uint8_t)(word >> 8 * i);
}

static uint64_t word_rotate(uint64_t word, int bits)
{
	return word << bits | word >> (64 - bits);
}

static void state_mix(uint64_t v[4], int rounds)
{
	for (int i = 0; i < rounds; i++) {
		v[0] += v[1];
		v[1] = word_rotate(v[1], 13) ^ v[0];
		v[0] = word_rotate(v[0], 32);
		v[2] += v[3];
		v[3] = word_rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = word_rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = word_rotate(v[1], 17) ^ v[2];
		v[2] = word_rotate(v[2], 32);
	}
}

static void state_add(uint64_t v[4], uint64_t word)
{
	v[3] ^= word;
	state_mix(v, ROUNDS_OF_WORD);
	v[0] ^= word;
}

static uint64_t state_finish(uint64_t v[4])
{
	state_mix(v, ROUNDS_OF_HALF);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void siphash(const uint8_t key[SIPHASH_KEY_LEN], const uint8_t *data, size_t len,
	     uint8_t hash[SIPHASH_LEN])
{
	const uint64_t k0 = word_get(key), k1 = word_get(key + WORD_LEN);
	/* The ASCII bytes of "somepseudorandomlygeneratedbytes"; 0xee marks the long output. */
	uint64_t v[4] = {
		k0 ^ 0x736f6d6570736575,
		k1 ^ 0x646f72616e646f6d ^ 0xee,
		k0 ^ 0x6c7967656e657261,
		k1 ^ 0x7465646279746573,
	};
	uint8_t last[WORD_LEN] = {[WORD_LEN - 1] = (uint8_t)len};
	size_t whole = len - len % WORD_LEN;

	for (size_t i = 0; i < whole; i += WORD_LEN)
		state_add(v, word_get(data + i));
	for (size_t i = whole; i < len; i++)
		last[i - whole] = data[i];
	state_add(v, word_get(last));

	v[2] ^= 0xee;
	word_put(hash, state_finish(v));
	v[1] ^= 0xdd;
	word_put(hash + WORD_LEN, state_finish(v));
}
