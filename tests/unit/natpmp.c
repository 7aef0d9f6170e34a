/* SPDX-License-Identifier: MIT */
/* Bytes both ways: every packet of RFC 6886 section 3 and the forms that real gateways send. */
#include <stdlib.h>
#include <string.h>

#include "core/natpmp.h"
#include "story.h"
#include "suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const struct ends no_ends;

static struct response decode(const char *hex)
{
	uint8_t bytes[RESPONSE_MAX];

	return dialect_natpmp.decode(bytes, from_hex(hex, 0, bytes, sizeof(bytes)), NULL, &no_ends);
}

static void assert_same(const struct response *is, const struct response *wanted, const char *what)
{
	ck_assert_msg(is->kind == wanted->kind, "%s: kind %d", what, is->kind);
	ck_assert_msg(is->protocol == wanted->protocol, "%s: protocol %u", what, is->protocol);
	ck_assert_msg(is->status == wanted->status, "%s: status %d", what, is->status);
	ck_assert_msg(is->result == wanted->result, "%s: result %u", what, is->result);
	ck_assert_msg(is->has_clock == wanted->has_clock, "%s: clock? %d", what, is->has_clock);
	ck_assert_msg(is->clock == wanted->clock, "%s: clock %u", what, is->clock);
	ck_assert_msg(ip_is_equal(&is->address, &wanted->address), "%s: address %x", what,
		      ip_to_v4(&is->address));
	ck_assert_msg(is->internal_port == wanted->internal_port, "%s: internal port %u", what,
		      is->internal_port);
	ck_assert_msg(is->external_port == wanted->external_port, "%s: external port %u", what,
		      is->external_port);
	ck_assert_msg(is->lifetime == wanted->lifetime, "%s: lifetime %u", what, is->lifetime);
}

static const struct {
	const char *hex;
	struct message request;
} requests[] = {
	{"00 00", {.kind = ASK_ADDRESS}},
	{"00 01 00 00 9c 40 9c 40 00 00 1c 20",
	 {ASK_CREATE, NATPMP_UDP, false, false, 40000, 40000, 7200}},
	{"00 01 00 00 1a e1 00 00 00 00 1c 20",
	 {ASK_CREATE, NATPMP_UDP, false, false, 6881, 0, 7200}},
	{"00 01 00 00 1a e1 c8 d5 00 00 1c 20",
	 {ASK_CREATE, NATPMP_UDP, false, false, 6881, 51413, 7200}},
	{"00 01 00 00 9c 40 00 00 00 00 00 00", {ASK_DELETE, NATPMP_UDP, .internal_port = 40000}},
	{"00 01 00 00 00 00 00 00 00 00 00 00", {ASK_DELETE, NATPMP_UDP, .internal_port = 0}},
	{"00 02 00 00 00 50 00 50 00 00 1c 20",
	 {ASK_CREATE, NATPMP_TCP, false, false, 80, 80, 7200}},
	{"00 02 00 00 20 8d 00 00 00 00 02 58",
	 {ASK_CREATE, NATPMP_TCP, false, false, 8333, 0, 600}},
	{"00 02 00 00 55 f0 55 f1 00 00 1c 20",
	 {ASK_CREATE, NATPMP_TCP, false, false, 22000, 22001, 7200}},
	{"00 02 00 00 20 8d 00 00 00 00 00 00", {ASK_DELETE, NATPMP_TCP, .internal_port = 8333}},
	{"00 02 00 00 ff ff ff ff ff ff ff ff",
	 {ASK_CREATE, NATPMP_TCP, false, false, 65535, 65535, 0xffffffff}},
	/* what a client of VPN gateways sends */
	{"00 01 00 00 00 00 00 01 00 00 00 3c", {ASK_CREATE, NATPMP_UDP, true, false, 0, 0, 60}},
};

static void assert_encodes(const struct message *request, uint32_t own, const char *hex)
{
	const struct ends ends = {.own = ip_from_v4(own)};
	uint8_t wanted[REQUEST_MAX], is[REQUEST_MAX];
	size_t len = from_hex(hex, 0, wanted, sizeof(wanted));

	memset(is, 0xa5, sizeof(is));
	ck_assert_uint_eq(dialect_natpmp.encode(request, &ends, is), len);
	ck_assert_mem_eq(is, wanted, len);
}

START_TEST(N17_requests_are_these_bytes)
{
	for (size_t i = 0; i < COUNT(requests); i++)
		assert_encodes(&requests[i].request, OWN, requests[i].hex);
}

START_TEST(N35_deletion_suggests_port_0)
{
	const struct message request = {ASK_DELETE, NATPMP_UDP, .internal_port = 40000};

	assert_encodes(&request, OWN, "00 01 00 00 9c 40 00 00 00 00 00 00");
}

/* A request is not an answer: a gateway that reflects it has said nothing. */
START_TEST(N15_requests_are_no_answers)
{
	for (size_t i = 0; i < COUNT(requests); i++)
		ck_assert_int_eq(decode(requests[i].hex).kind, RESPONSE_JUNK);
	ck_assert_int_eq(
		decode("02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0a")
			.kind,
		RESPONSE_JUNK);
}

#define V4(a, b, c, d)                                                                             \
	{                                                                                          \
		{                                                                                  \
			[10] = 0xff, 0xff, a, b, c, d                                              \
		}                                                                                  \
	}
#define ADDRESS_IS RESPONSE_ADDRESS, .has_clock = true
#define UDP_IS     RESPONSE_MAPPING, .has_clock = true, .protocol = NATPMP_UDP
#define TCP_IS     RESPONSE_MAPPING, .has_clock = true, .protocol = NATPMP_TCP

static const struct {
	const char *hex;
	struct response answer;
} answers_[] = {
	/* external address */
	{"00 80 00 00 00 01 51 80 cb 00 71 05",
	 {ADDRESS_IS, .clock = 86400, .address = V4(203, 0, 113, 5)}},
	{"00 80 00 00 00 00 04 37 64 40 09 07",
	 {ADDRESS_IS, .clock = 1079, .address = V4(100, 64, 9, 7)}},
	{"00 80 00 03 00 00 00 09 00 00 00 00",
	 {ADDRESS_IS, .status = NATPMP_E_NETWORK_FAILURE, .result = 3, .clock = 9}},
	{"00 80 00 02 00 00 10 00 00 00 00 00",
	 {ADDRESS_IS, .status = NATPMP_E_NOT_AUTHORIZED, .result = 2, .clock = 4096}},
	{"00 80 00 00 00 00 00 05 00 00 00 00", {ADDRESS_IS, .clock = 5}},
	/* UDP mapping */
	{"00 81 00 00 00 01 51 82 1a e1 c8 d5 00 00 0e 10",
	 {UDP_IS, .clock = 86402, .internal_port = 6881, .external_port = 51413, .lifetime = 3600}},
	{"00 81 00 00 00 01 51 81 9c 40 9c 40 00 00 1c 20",
	 {UDP_IS, .clock = 86401, .internal_port = 40000, .external_port = 40000,
	  .lifetime = 7200}},
	{"00 81 00 00 00 01 51 e4 9c 40 00 00 00 00 00 00",
	 {UDP_IS, .clock = 86500, .internal_port = 40000}},
	{"00 81 00 00 00 01 51 e5 00 00 00 00 00 00 00 00", {UDP_IS, .clock = 86501}},
	/* TCP mapping */
	{"00 82 00 00 00 00 01 2c 00 50 c8 22 00 00 1c 20",
	 {TCP_IS, .clock = 300, .internal_port = 80, .external_port = 51234, .lifetime = 7200}},
	{"00 82 00 00 00 00 01 2d 20 8d 20 8d 00 00 02 58",
	 {TCP_IS, .clock = 301, .internal_port = 8333, .external_port = 8333, .lifetime = 600}},
	{"00 82 00 00 00 00 01 2e 55 f0 55 f1 00 00 00 78",
	 {TCP_IS, .clock = 302, .internal_port = 22000, .external_port = 22001, .lifetime = 120}},
	{"00 82 00 00 00 00 03 84 20 8d 00 00 00 00 00 00",
	 {TCP_IS, .clock = 900, .internal_port = 8333}},
	/* errors */
	{"00 82 00 02 00 00 01 2c 00 50 00 00 00 00 00 00",
	 {TCP_IS, .status = NATPMP_E_NOT_AUTHORIZED, .result = 2, .clock = 300,
	  .internal_port = 80}},
	{"00 81 00 04 00 01 51 80 9c 40 00 00 00 00 00 00",
	 {UDP_IS, .status = NATPMP_E_NO_RESOURCES, .result = 4, .clock = 86400,
	  .internal_port = 40000}},
	{"00 81 00 03 00 00 00 04 9c 41 00 00 00 00 00 00",
	 {UDP_IS, .status = NATPMP_E_NETWORK_FAILURE, .result = 3, .clock = 4,
	  .internal_port = 40001}},
	{"00 81 00 09 00 00 00 4d 9c 40 00 00 00 00 00 00",
	 {UDP_IS, .status = NATPMP_E_RESULT, .result = 9, .clock = 77, .internal_port = 40000}},
	/* announcements */
	{"00 80 00 00 00 00 00 00 cb 00 71 05", {ADDRESS_IS, .address = V4(203, 0, 113, 5)}},
	{"00 80 00 00 00 00 00 07 cb 00 71 05",
	 {ADDRESS_IS, .clock = 7, .address = V4(203, 0, 113, 5)}},
	{"00 80 00 00 00 01 51 b7 cb 00 71 4d",
	 {ADDRESS_IS, .clock = 86455, .address = V4(203, 0, 113, 77)}},
	{"00 80 00 03 00 00 00 0c 00 00 00 00",
	 {ADDRESS_IS, .status = NATPMP_E_NETWORK_FAILURE, .result = 3, .clock = 12}},
	/* the edges of every field */
	{"00 82 00 00 ff ff ff ff ff ff ff ff ff ff ff ff",
	 {TCP_IS, .clock = 0xffffffff, .internal_port = 65535, .external_port = 65535,
	  .lifetime = 0xffffffff}},
};

START_TEST(N15_answers_are_read)
{
	for (size_t i = 0; i < COUNT(answers_); i++) {
		struct response is = decode(answers_[i].hex);
		assert_same(&is, &answers_[i].answer, answers_[i].hex);
	}
}

/* Port and lifetime of an error mean nothing, even where a gateway echoes the request's. */
START_TEST(N18_fields_of_an_error_are_not_read)
{
	struct response map = decode("00 82 00 02 00 00 01 2c 00 50 00 50 00 00 1c 20");
	struct response address = decode("00 80 00 03 00 00 01 2c cb 00 71 05");

	ck_assert_int_eq(map.kind, RESPONSE_MAPPING);
	ck_assert_uint_eq(map.internal_port, 80);
	ck_assert_uint_eq(map.external_port, 0);
	ck_assert_uint_eq(map.lifetime, 0);
	ck_assert_int_eq(address.kind, RESPONSE_ADDRESS);
	ck_assert(ip_is_none(&address.address));
}

/* Both bytes count: 0x0100 is no success. */
START_TEST(N19_result_codes_have_16_bits)
{
	static const unsigned codes[] = {2, 3, 4, 6, 7, 9, 255, 256, 257, 261, 0x0500, 65535};

	for (size_t i = 0; i < COUNT(codes); i++) {
		uint8_t bytes[16] = {0,
				     0x82,
				     (uint8_t)(codes[i] >> 8),
				     (uint8_t)codes[i],
				     0,
				     0,
				     0,
				     9,
				     0,
				     80,
				     0,
				     80,
				     0,
				     0,
				     1,
				     0};
		struct response is = dialect_natpmp.decode(bytes, sizeof(bytes), NULL, &no_ends);

		ck_assert_int_eq(is.kind, RESPONSE_MAPPING);
		ck_assert_uint_eq(is.result, codes[i]);
		ck_assert_uint_eq(is.clock, 9);
		ck_assert_uint_eq(is.internal_port, 80);
		ck_assert_uint_eq(is.external_port, 0);
		ck_assert_uint_eq(is.lifetime, 0);
	}
}

/* RFC 6886 section 3.5, its erratum 3618, and a gateway that answers with the request's opcode. */
START_TEST(result_1_in_all_forms)
{
	static const struct {
		const char *hex;
		bool has_clock;
	} forms[] = {
		{"00 80 00 01 00 00 04 b0", true},
		{"00 00 00 01 00 00 04 b0", true},
		{"00 81 00 01 00 00 04 b0", true},
		{"00 82 00 01 00 00 04 b0", true},
		{"00 80 00 01", false},
		{"00 80 00 01 00 00 04", false},
	};

	for (size_t i = 0; i < COUNT(forms); i++) {
		struct response is = decode(forms[i].hex);
		struct response wanted = {RESPONSE_BAD_VERSION, NATPMP_E_VERSION, 1,
					  forms[i].has_clock, forms[i].has_clock ? 1200 : 0};
		assert_same(&is, &wanted, forms[i].hex);
	}
}

/* The request sent back: its bytes are no clock (RFC 6886 section 3.5). */
START_TEST(N43_result_5_has_no_clock)
{
	static const struct {
		const char *hex;
		enum response_kind kind;
		uint8_t protocol;
	} forms[] = {
		{"00 81 00 05 9c 40 9c 40 00 00 1c 20", RESPONSE_UNNAMED, NATPMP_UDP},
		{"00 82 00 05 00 00 04 a1", RESPONSE_UNNAMED, NATPMP_TCP},
		{"00 80 00 05", RESPONSE_ADDRESS, 0},
	};

	for (size_t i = 0; i < COUNT(forms); i++) {
		struct response is = decode(forms[i].hex);
		struct response wanted = {forms[i].kind, NATPMP_E_OPCODE, 5,
					  .protocol = forms[i].protocol};
		assert_same(&is, &wanted, forms[i].hex);
	}
	/* to opcodes that we never ask */
	ck_assert_int_eq(decode("00 83 00 05 9c 40 9c 40 00 00 1c 20").kind, RESPONSE_JUNK);
	ck_assert_int_eq(decode("00 83 00 05 00 00 04 a1").kind, RESPONSE_JUNK);
	ck_assert_int_eq(decode("00 84 00 05").kind, RESPONSE_JUNK);
	ck_assert_int_eq(decode("00 03 00 05 00 00 04 a1").kind, RESPONSE_JUNK);
}

static const char *const pcp_only[] = {
	"02 80 00 01 00 00 07 08 00 00 02 2b 00 00 00 00 00 00 00 00 00 00 00 00",
	"02 82 00 01 00 00 07 08 00 00 02 2b",
	"02 81 00 01 00 00 07 08 00 00 02 2b 00 00 00 00 00 00 00 00 00 00 00 00",
	"02 80 00 01",
};
static const char *const pcp_announcements[] = {
	"02 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
	"02 80 00 00 00 00 00 00 00 00 00 3f 00 00 00 00 00 00 00 00 00 00 00 00",
	"02 80 00 00 00 00 00 00 00 01 51 80 00 00 00 00 00 00 00 00 00 00 00 00",
	/* options may follow in future */
	"02 80 00 00 00 00 00 00 00 00 00 3f 00 00 00 00 00 00 00 00 00 00 00 00 80 00 00 00",
};
static const char *const pcp_junk[] = {
	/* error 12 to an ANNOUNCE */
	"02 80 00 0c 00 00 07 08 00 01 51 80 00 00 00 00 00 00 00 00 00 00 00 00",
	/* a map answer */
	"02 81 00 00 00 00 1c 20 00 01 51 81 00 00 00 00 00 00 00 00 00 00 00 00",
	/* a request */
	"02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0a",
	/* too short */
	"02 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
	/* other versions */
	"03 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
	"03 80 00 01 00 00 07 08 00 00 02 2b 00 00 00 00 00 00 00 00 00 00 00 00",
	"01 80 00 00 00 01 51 80 cb 00 71 05",
	"ff 80 00 00 00 01 51 80 cb 00 71 05",
};

START_TEST(N43_pcp_packets_have_no_clock_of_ours)
{
	for (size_t i = 0; i < COUNT(pcp_only); i++) {
		struct response is = decode(pcp_only[i]);
		ck_assert_msg(is.kind == RESPONSE_JUNK && !is.has_clock, "%s", pcp_only[i]);
	}
	for (size_t i = 0; i < COUNT(pcp_announcements); i++) {
		struct response is = decode(pcp_announcements[i]);
		ck_assert_msg(is.kind == RESPONSE_JUNK && !is.has_clock, "%s",
			      pcp_announcements[i]);
	}
	for (size_t i = 0; i < COUNT(pcp_junk); i++)
		ck_assert_msg(decode(pcp_junk[i]).kind == RESPONSE_JUNK, "%s", pcp_junk[i]);
}

START_TEST(N15_other_opcodes_are_no_answers)
{
	ck_assert_int_eq(decode("00 83 00 00 00 01 51 80 9c 40 9c 40 00 00 1c 20").kind,
			 RESPONSE_JUNK);
	ck_assert_int_eq(decode("00 ff 00 00 00 01 51 80 9c 40 9c 40 00 00 1c 20").kind,
			 RESPONSE_JUNK);
	ck_assert_int_eq(decode("00 00 00 00 00 01 51 80 cb 00 71 05").kind, RESPONSE_JUNK);
	ck_assert_int_eq(decode("00 02 00 02 00 01 51 80 9c 40 00 00 00 00 00 00").kind,
			 RESPONSE_JUNK);
}

/* In memory of exactly its size, at an odd address: sanitizers see any byte read too many. */
static struct response decode_exactly(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len + 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy + 1, bytes, len);
	struct response answer = dialect_natpmp.decode(copy + 1, len, NULL, &no_ends);
	free(copy);
	return answer;
}

/* What a prefix of that length is to be taken for. */
static enum response_kind prefix_kind(const struct response *whole, size_t len)
{
	switch (whole->kind) {
	case RESPONSE_ADDRESS:
		return len < (whole->result ? 4 : 12) ? RESPONSE_JUNK : RESPONSE_ADDRESS;
	case RESPONSE_MAPPING: /* of a refusal the result alone is enough, the port is not told */
		if (whole->result)
			return len < 4    ? RESPONSE_JUNK
			       : len < 10 ? RESPONSE_UNNAMED
					  : RESPONSE_MAPPING;
		return len < 16 ? RESPONSE_JUNK : RESPONSE_MAPPING;
	case RESPONSE_UNNAMED:
	case RESPONSE_BAD_VERSION:
		return len < 4 ? RESPONSE_JUNK : whole->kind;
	case RESPONSE_JUNK:
		break;
	}
	return RESPONSE_JUNK;
}

static void check_prefixes(const char *hex)
{
	uint8_t bytes[RESPONSE_MAX];
	size_t len = from_hex(hex, 0, bytes, sizeof(bytes));
	struct response whole = dialect_natpmp.decode(bytes, len, NULL, &no_ends);

	for (size_t n = 0; n <= len; n++) {
		struct response is = decode_exactly(bytes, n);
		ck_assert_msg(is.kind == prefix_kind(&whole, n), "%zu bytes of %s: kind %d", n, hex,
			      is.kind);
		if (is.kind == RESPONSE_JUNK)
			assert_same(&is, &(struct response){0}, hex);
		if (is.has_clock)
			ck_assert_msg(n >= 8, "a clock in %zu bytes of %s", n, hex);
	}
}

static const char *const other_packets[] = {
	"00 82 00 02 00 00 01 2c 00 50 00 50 00 00 1c 20",
	"00 80 00 01 00 00 04 b0",
	"00 00 00 01 00 00 04 b0",
	"00 81 00 01 00 00 04 b0",
	"00 83 00 05 9c 40 9c 40 00 00 1c 20",
	"00 83 00 05 00 00 04 a1",
	"00 84 00 05",
};

static void for_all_packets(void (*check)(const char *hex))
{
	for (size_t i = 0; i < COUNT(requests); i++)
		check(requests[i].hex);
	for (size_t i = 0; i < COUNT(answers_); i++)
		check(answers_[i].hex);
	for (size_t i = 0; i < COUNT(other_packets); i++)
		check(other_packets[i]);
	for (size_t i = 0; i < COUNT(pcp_only); i++)
		check(pcp_only[i]);
	for (size_t i = 0; i < COUNT(pcp_announcements); i++)
		check(pcp_announcements[i]);
	for (size_t i = 0; i < COUNT(pcp_junk); i++)
		check(pcp_junk[i]);
}

START_TEST(N20_every_prefix_of_every_packet)
{
	for_all_packets(check_prefixes);
}

/* With a tail: the same, but for PCP, where the length is part of the format. */
static void check_tail(const char *hex)
{
	uint8_t bytes[1200] = {0};
	size_t len = from_hex(hex, 0, bytes, sizeof(bytes));
	struct response whole = dialect_natpmp.decode(bytes, len, NULL, &no_ends);

	for (size_t n = len; n <= RESPONSE_MAX; n = n < len + 9 ? n + 1 : n + 97) {
		struct response is = decode_exactly(bytes, n);
		if (whole.kind == RESPONSE_ADDRESS || whole.kind == RESPONSE_MAPPING)
			assert_same(&is, &whole, hex);
	}
}

START_TEST(N20_longer_packets_are_read_without_their_tail)
{
	for_all_packets(check_tail);
}

/* Whatever is damaged: no more than what the format allows comes out of it. */
static void check_flips(const char *hex)
{
	uint8_t bytes[RESPONSE_MAX];
	size_t len = from_hex(hex, 0, bytes, sizeof(bytes));

	for (size_t bit = 0; bit < 8 * len; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		struct response is = decode_exactly(bytes, len);
		if (is.kind == RESPONSE_ADDRESS || is.kind == RESPONSE_MAPPING)
			ck_assert_msg(bytes[0] == 0 && bytes[1] >= 0x80 && bytes[1] <= 0x82,
				      "bit %zu of %s", bit, hex);
		if (is.has_clock)
			ck_assert_msg(bytes[0] == 0 && is.result != 5, "bit %zu of %s", bit, hex);
		if (is.result)
			ck_assert_msg(!is.external_port && !is.lifetime && ip_is_none(&is.address),
				      "bit %zu of %s", bit, hex);
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
}

START_TEST(N20_every_bit_of_every_packet_flipped)
{
	for_all_packets(check_flips);
}

START_TEST(N22_packets_at_any_address)
{
	uint8_t room[16 + 8];

	for (size_t offset = 0; offset < 8; offset++) {
		from_hex("00 81 00 00 00 01 51 82 1a e1 c8 d5 00 00 0e 10", 0, room + offset, 16);
		struct response is = dialect_natpmp.decode(room + offset, 16, NULL, &no_ends);
		ck_assert_uint_eq(is.clock, 86402);
		ck_assert_uint_eq(is.internal_port, 6881);
		ck_assert_uint_eq(is.external_port, 51413);
		ck_assert_uint_eq(is.lifetime, 3600);
	}
}

/* --- refusals as some servers send them, cut short or in the request's layout --- */

static const struct message tcp_8080 = {ASK_CREATE, NATPMP_TCP, false, false, 8080, 8080, 7200};

static struct response decode_beside(const char *hex, const struct message *asked)
{
	uint8_t bytes[RESPONSE_MAX];

	return dialect_natpmp.decode(bytes, from_hex(hex, 0, bytes, sizeof(bytes)), asked,
				     &no_ends);
}

START_TEST(N59_short_refusals)
{
	static const struct {
		const char *hex;
		struct response response;
	} forms[] = {
		{"00 82 00 02 00 00 00 05",
		 {RESPONSE_UNNAMED, NATPMP_E_NOT_AUTHORIZED, 2, true, 5, NATPMP_TCP}},
		{"00 81 00 03 00 00 00 05",
		 {RESPONSE_UNNAMED, NATPMP_E_NETWORK_FAILURE, 3, true, 5, NATPMP_UDP}},
		{"00 82 00 04",
		 {RESPONSE_UNNAMED, NATPMP_E_NO_RESOURCES, 4, .protocol = NATPMP_TCP}},
		{"00 82 00 05", {RESPONSE_UNNAMED, NATPMP_E_OPCODE, 5, .protocol = NATPMP_TCP}},
		{"00 82 01 00 00 00 00",
		 {RESPONSE_UNNAMED, NATPMP_E_RESULT, 256, .protocol = NATPMP_TCP}},
		{"00 80 00 03", {RESPONSE_ADDRESS, NATPMP_E_NETWORK_FAILURE, 3}},
		{"00 80 00 03 00 00 00 09",
		 {RESPONSE_ADDRESS, NATPMP_E_NETWORK_FAILURE, 3, true, 9}},
		/* too short even for that; a success is never that short */
		{"00 82 00", {RESPONSE_JUNK}},
		{"00 82 00 00", {RESPONSE_JUNK}},
		{"00 82 00 00 00 00 00 05", {RESPONSE_JUNK}},
		{"00 82 00 00 1f 90 1f 90 00 00 1c 20", {RESPONSE_JUNK}},
	};

	for (size_t i = 0; i < COUNT(forms); i++) {
		struct response is = decode_beside(forms[i].hex, &tcp_8080);
		assert_same(&is, &forms[i].response, forms[i].hex);
	}
}

/* Bytes 4 and 5 are our internal port: then there is no clock in it. */
START_TEST(N59_refusals_in_the_layout_of_the_request)
{
	const char *echoed = "00 82 00 03 1f 90 00 00 00 00 00 00";
	const struct message deletion = {ASK_DELETE, NATPMP_TCP, .internal_port = 8080};
	const struct message other = {ASK_CREATE, NATPMP_TCP, false, false, 8081, 8081, 7200};
	const struct message all = {ASK_DELETE, NATPMP_TCP};
	struct response named = {RESPONSE_MAPPING, NATPMP_E_NETWORK_FAILURE, 3,
				 .protocol = NATPMP_TCP, .internal_port = 8080};
	struct response other_port = {RESPONSE_MAPPING, NATPMP_E_NETWORK_FAILURE, 3,
				      .protocol = NATPMP_TCP};

	struct response is = decode_beside(echoed, &tcp_8080);
	assert_same(&is, &named, "creation");
	is = decode_beside(echoed, &deletion);
	assert_same(&is, &named, "deletion");
	/* Beside any other question it may be late: no clock is read from 12 bytes. */
	is = decode_beside(echoed, &other);
	assert_same(&is, &other_port, "another port");
	is = decode_beside(echoed, NULL);
	assert_same(&is, &other_port, "nothing asked");
	is = decode_beside(echoed, &all);
	assert_same(&is, &other_port, "deletion of all");
	/* A whole response has its clock, however that looks. */
	is = decode_beside("00 82 00 03 1f 90 00 00 00 50 00 00 00 00 00 00", &tcp_8080);
	ck_assert(is.has_clock && is.internal_port == 80);
}

int main(void)
{
	return RUN_TESTS("natpmp", N17_requests_are_these_bytes, N35_deletion_suggests_port_0,
			 N15_requests_are_no_answers, N15_answers_are_read,
			 N18_fields_of_an_error_are_not_read, N19_result_codes_have_16_bits,
			 result_1_in_all_forms, N43_result_5_has_no_clock,
			 N43_pcp_packets_have_no_clock_of_ours, N15_other_opcodes_are_no_answers,
			 N20_every_prefix_of_every_packet,
			 N20_longer_packets_are_read_without_their_tail,
			 N20_every_bit_of_every_packet_flipped, N22_packets_at_any_address,
			 N59_short_refusals, N59_refusals_in_the_layout_of_the_request);
}
