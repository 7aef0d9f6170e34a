/* SPDX-License-Identifier: MIT */
/* siphash - SipHash-2-4 with 128 bits of output (Aumasson, Bernstein: SipHash, a fast short-input
 * PRF, 2012). Who does not know the key can neither tell the hash of any data, nor find the key
 * from hashes that he sees. */
#ifndef CORE_SIPHASH_H
#define CORE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

enum {
	SIPHASH_KEY_LEN = 16, /* bytes */
	SIPHASH_LEN = 16
};

void siphash(const uint8_t key[SIPHASH_KEY_LEN], const uint8_t *data, size_t len,
	     uint8_t hash[SIPHASH_LEN]);

#endif
