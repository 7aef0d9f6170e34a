/* SPDX-License-Identifier: MIT */
#include "core/wire.h"

#include <string.h>

enum { ANSWER_BIT = 0x80, RESULT_VERSION = 1, RESULT_OPCODE = 5 };

static uint16_t get16(const uint8_t *b)
{
	return (uint16_t)((unsigned)b[0] << 8 | b[1]);
}

static uint32_t get32(const uint8_t *b)
{
	return (uint32_t)get16(b) << 16 | get16(b + 2);
}

static void put16(uint8_t *b, uint16_t v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

static void put32(uint8_t *b, uint32_t v)
{
	put16(b, (uint16_t)(v >> 16));
	put16(b + 2, (uint16_t)v);
}

size_t wire_encode(const struct wire_request *request, uint32_t own_address,
		   uint8_t bytes[WIRE_REQUEST_MAX])
{
	memset(bytes, 0, WIRE_REQUEST_MAX);
	if (request->opcode == WIRE_PCP_ANNOUNCE) {
		/* RFC 6887 section 7.1: version 2, opcode 0, own address as ::ffff:a.b.c.d */
		bytes[0] = 2;
		bytes[18] = bytes[19] = 0xff;
		put32(bytes + 20, own_address);
		return 24;
	}
	bytes[1] = request->opcode;
	if (request->opcode == WIRE_ADDRESS)
		return 2;
	put16(bytes + 4, request->internal_port);
	/* A deletion must suggest port 0: RFC 6886 section 3.4. */
	put16(bytes + 6, request->lifetime ? request->external_port : 0);
	put32(bytes + 8, request->lifetime);
	return 12;
}

static struct wire_answer decode_pcp(const uint8_t *bytes, size_t len)
{
	struct wire_answer a = {.kind = WIRE_JUNK};

	/* RFC 6887 section 8.2: our request copied, so of any length and any opcode. Its bytes 4
	 * to 7 are an error lifetime, not a clock; PCP's own clock has other rules than ours. */
	if (bytes[3] == RESULT_VERSION)
		a.kind = WIRE_PCP_ONLY;
	else if (len >= 24 && len <= 1100 && len % 4 == 0 && bytes[1] == ANSWER_BIT &&
		 bytes[3] == 0)
		a.kind = WIRE_PCP_ANNOUNCEMENT;
	return a;
}

static bool decode_map(const uint8_t *bytes, size_t len, struct wire_answer *a)
{
	if (len < 10 || (a->result == 0 && len < 16))
		return false;
	a->internal_port = get16(bytes + 8);
	if (a->result == 0) { /* port and lifetime of an error mean nothing: section 3.5 */
		a->external_port = get16(bytes + 10);
		a->lifetime = get32(bytes + 12);
	}
	return true;
}

static bool decode_address(const uint8_t *bytes, size_t len, struct wire_answer *a)
{
	if (a->result == 0) {
		if (len < 12)
			return false;
		a->address = get32(bytes + 8);
	}
	return true;
}

struct wire_answer wire_decode(const uint8_t *bytes, size_t len)
{
	const struct wire_answer junk = {.kind = WIRE_JUNK};
	struct wire_answer a = {.kind = WIRE_ANSWER};
	bool complete;

	if (len < 4 || bytes[0] > 2)
		return junk;
	if (bytes[0] == 2)
		return bytes[1] & ANSWER_BIT ? decode_pcp(bytes, len) : junk;
	if (bytes[0] == 1) /* a vendor's; never used (RFC 6886 section 1.1) */
		return junk;

	a.opcode = bytes[1] & 0x7f;
	a.result = get16(bytes + 2);
	/* Result 1 comes with any opcode, the answer bit forgotten too (erratum 3618). */
	if (a.result == RESULT_VERSION)
		a.kind = WIRE_BAD_VERSION;
	else if (!(bytes[1] & ANSWER_BIT))
		return junk;
	else if (a.result == RESULT_OPCODE) {
		a.kind = WIRE_BAD_OPCODE;
		return a; /* bytes 4.. may be the request's own: no clock in there */
	}
	if (len >= 8) {
		a.has_epoch = true;
		a.epoch = get32(bytes + 4);
	}
	if (a.kind == WIRE_BAD_VERSION)
		return a;
	if (len < 8)
		return junk;
	switch (a.opcode) {
	case WIRE_ADDRESS:
		complete = decode_address(bytes, len, &a);
		break;
	case WIRE_MAP_UDP:
	case WIRE_MAP_TCP:
		complete = decode_map(bytes, len, &a);
		break;
	default:
		complete = false;
	}
	return complete ? a : junk;
}
