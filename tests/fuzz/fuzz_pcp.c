/* SPDX-License-Identifier: MIT */
/* Any bytes at all to PCP's decoder, without and with the nonce that makes them credible; and its
 * encoder and times with what the bytes say. */
#include <stdlib.h>
#include <string.h>

#include "core/pcp.h"
#include "fuzz.h"

enum {
	NONCE = 24,
	NONCE_LEN = 12,
	MAP_LEN = 60,
	SHORT_ERROR = 30000,  /* ms */
	LONG_ERROR = 1800000, /* ms */
	A_DAY = 86400000,     /* ms */
	FIRST_GAP_MIN = 2700, /* ms */
	GAP_MAX = 1126400,    /* ms */
};

static const struct ends v4_ends = {
	.own = {{[10] = 0xff, 0xff, 192, 168, 1, 10}},
	.gateway = {{[10] = 0xff, 0xff, 192, 168, 1, 1}},
	.secret = {1, 2, 3},
};
static const struct ends v6_ends = {
	.own = {{0x20, 0x01, 0x0d, 0xb8, [15] = 0x10}},
	.gateway = {{0xfe, 0x80, [15] = 1}},
	.secret = {1, 2, 3},
};

/* Of the mapping that the packet names. Only the encoder tells a nonce. */
static void get_nonce(const struct ends *ends, const uint8_t *data, uint8_t nonce[NONCE_LEN])
{
	const struct message message = {
		.kind = ASK_DELETE,
		.protocol = data[36] == 17 ? NATPMP_UDP : NATPMP_TCP,
		.internal_port = (uint16_t)(data[40] << 8 | data[41]),
	};
	uint8_t bytes[REQUEST_MAX];

	insist(dialect_pcp.encode(&message, ends, bytes) == MAP_LEN);
	memcpy(nonce, bytes + NONCE, NONCE_LEN);
}

static bool is_same(const struct response *a, const struct response *b)
{
	return a->kind == b->kind && a->dialect == b->dialect && a->status == b->status &&
	       a->result == b->result && a->has_clock == b->has_clock && a->clock == b->clock &&
	       a->protocol == b->protocol && a->internal_port == b->internal_port &&
	       a->external_port == b->external_port && a->lifetime == b->lifetime &&
	       ip_is_equal(&a->address, &b->address) && a->retry_after == b->retry_after;
}

static void look_at_mapping(const struct response *r, const struct ends *ends, const uint8_t *data,
			    size_t len)
{
	uint8_t nonce[NONCE_LEN];

	insist(len >= MAP_LEN);
	insist(data[36] == (r->protocol == NATPMP_UDP ? 17 : 6));
	insist(r->protocol == NATPMP_UDP || r->protocol == NATPMP_TCP);
	get_nonce(ends, data, nonce);
	insist(memcmp(data + NONCE, nonce, NONCE_LEN) == 0);
	insist(r->lifetime <= PCP_LIFETIME_MAX);
	/* RFC 6887 section 7.3: options make no difference. */
	struct response bare = dialect_pcp.decode(data, MAP_LEN, NULL, ends);
	insist(is_same(r, &bare));
}

/* What a decoded response promises. */
static void look(const struct response *r, const struct ends *ends, const uint8_t *data, size_t len)
{
	static const struct response junk = {.kind = RESPONSE_JUNK};

	if (r->kind == RESPONSE_JUNK) {
		insist(is_same(r, &junk));
		return;
	}
	insist(len >= 4 && data[0] >= 2 && data[1] >= 0x80);
	insist(r->dialect == DIALECT_PCP && r->result == data[3]);
	insist((r->status == NATPMP_OK) == (r->result == 0));
	insist(r->has_clock == (r->kind != RESPONSE_BAD_VERSION));
	if (r->has_clock)
		insist(data[0] == 2 && len >= 24 && len <= 1100 && len % 4 == 0);
	if (r->kind == RESPONSE_MAPPING)
		look_at_mapping(r, ends, data, len);
	if (r->external_port || r->lifetime || !ip_is_none(&r->address))
		insist(r->kind == RESPONSE_MAPPING && r->status == NATPMP_OK);
	if (r->kind == RESPONSE_BAD_VERSION)
		insist(r->retry_after <= LONG_ERROR && r->result == 1 && !r->has_clock);
	if (r->status == NATPMP_OK || len < 8)
		insist(r->retry_after == 0);
	else
		insist(r->retry_after >= SHORT_ERROR && r->retry_after <= A_DAY);
}

/* A request has one of three lengths, says what it is to say, and is no response. */
static void look_at_request(const struct message *message, const struct ends *ends)
{
	uint8_t bytes[REQUEST_MAX];
	size_t len = dialect_pcp.encode(message, ends, bytes);
	bool is_map = message->kind == ASK_CREATE || message->kind == ASK_DELETE;
	bool has_option =
		message->kind == ASK_CREATE && message->is_exact && message->suggested_port;

	insist(len == (has_option ? 64 : is_map ? MAP_LEN : 24));
	insist(bytes[0] == 2 && bytes[1] == is_map);
	insist(memcmp(bytes + 8, &ends->own, 16) == 0);
	if (has_option) /* RFC 6887 section 13.1: no THIRD_PARTY */
		insist(memcmp(bytes + MAP_LEN, "\2\0\0\0", 4) == 0);
	if (message->kind == ASK_DELETE) /* section 15.1 */
		insist(memcmp(bytes + 4, "\0\0\0\0", 4) == 0 && !bytes[42] && !bytes[43]);
	insist(dialect_pcp.decode(bytes, len, message, ends).kind == RESPONSE_JUNK);
}

static uint64_t take(const uint8_t *bytes, unsigned len)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < len; i++)
		value = value << 8 | bytes[i];
	return value;
}

/* Times keep their bounds, whatever they are of. */
static void look_at_times(const uint8_t *data)
{
	const uint64_t random = take(data + 4, 8), ms = take(data + 12, 8);
	const instant at = earlier(ms, take(data + 20, 8)), then = later(ms, take(data + 20, 8));
	const duration lifetime = take(data, 4) * MS_PER_S;
	const unsigned count = (unsigned)take(data + 28, 4);
	struct gateway_clock clock = {0};

	const duration gap = dialect_pcp.send_gap(count, ms, random);
	insist(gap >= FIRST_GAP_MIN && gap <= GAP_MAX);
	for (unsigned tries = count % 70; tries < 70; tries++) {
		duration delay = dialect_pcp.renewal_delay(lifetime, tries, random);
		insist(delay <= lifetime || (tries && delay == NEVER));
		if (tries && delay != NEVER)
			insist(lifetime - delay >= PCP_RENEWAL_GAP);
	}
	insist(!dialect_pcp.note_clock(&clock, (uint32_t)take(data, 4), at, at));
	/* The same clock again at once, and a second earlier, are no restart. */
	insist(!dialect_pcp.note_clock(&clock, (uint32_t)take(data, 4), at, then));
	if (clock.seconds)
		insist(!dialect_pcp.note_clock(&clock, clock.seconds - 1, then, then));
	dialect_pcp.note_clock(&clock, count, then, then);
	insist(clock.is_known && clock.seconds == count && clock.at_latest == then);
}

static void look_at_questions(const uint8_t *data, const struct ends *ends)
{
	struct message message = {
		.kind = data[0] % 4,
		.protocol = data[1] % 2 ? NATPMP_UDP : NATPMP_TCP,
		.vpn = data[1] & 2,
		.is_exact = data[1] & 4,
		.internal_port = (uint16_t)take(data + 2, 2),
		.suggested_port = (uint16_t)take(data + 4, 2),
		.lifetime = (uint32_t)take(data + 6, 4),
	};

	memcpy(&message.suggested_address, data + 10, sizeof(message.suggested_address));
	look_at_request(&message, ends);
}

static void look_at_packet(uint8_t *data, size_t size, const struct ends *ends)
{
	struct response r = dialect_pcp.decode(data, size, NULL, ends);

	look(&r, ends, data, size);
	if (size < MAP_LEN)
		return;
	get_nonce(ends, data, data + NONCE);
	r = dialect_pcp.decode(data, size, NULL, ends);
	look(&r, ends, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* A copy of just that size, so that a byte too many is seen. */
	uint8_t *exact = calloc(1, size ? size : 1);

	if (!exact)
		return 0;
	if (size)
		memcpy(exact, data, size);
	if (size >= 32) {
		look_at_questions(exact, &v4_ends);
		look_at_questions(exact, &v6_ends);
		look_at_times(exact);
	}
	look_at_packet(exact, size, &v4_ends);
	look_at_packet(exact, size, &v6_ends);
	free(exact);
	return 0;
}
