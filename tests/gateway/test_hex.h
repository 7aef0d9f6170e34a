/* SPDX-License-Identifier: MIT */
/* test_hex.h - packets of the tests as people write them down. */
#ifndef GATEWAY_TEST_HEX_H
#define GATEWAY_TEST_HEX_H

#include "model.h"

#include <check.h>
#include <stdio.h>

static char hex[3 * MODEL_PACKET_MAX + 1]; /* what to_hex() wrote last */

static size_t from_hex(const char *text, uint8_t *bytes)
{
	size_t len = 0;

	while (*text) {
		unsigned value;

		if (*text == ' ') {
			text++;
			continue;
		}
		ck_assert_int_eq(sscanf(text, "%2x", &value), 1);
		bytes[len++] = (uint8_t)value;
		text += 2;
	}
	return len;
}

static const char *to_hex(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		snprintf(hex + 3 * i, 4, "%02x ", bytes[i]);
	hex[len ? 3 * len - 1 : 0] = '\0';
	return hex;
}

#endif
