/* SPDX-License-Identifier: MIT */
/* Bytes both ways: every packet of RFC 6886 section 3 and the forms that real gateways send. */
#include <stdlib.h>
#include <string.h>

#include "core/wire.h"
#include "story.h"
#include "suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct wire_answer decode(const char *hex)
{
	uint8_t bytes[WIRE_ANSWER_MAX];

	return wire_decode(bytes, from_hex(hex, 0, bytes, sizeof(bytes)));
}

static void assert_same(const struct wire_answer *is, const struct wire_answer *wanted,
			const char *what)
{
	ck_assert_msg(is->kind == wanted->kind, "%s: kind %d", what, is->kind);
	ck_assert_msg(is->opcode == wanted->opcode, "%s: opcode %u", what, is->opcode);
	ck_assert_msg(is->result == wanted->result, "%s: result %u", what, is->result);
	ck_assert_msg(is->has_epoch == wanted->has_epoch, "%s: clock? %d", what, is->has_epoch);
	ck_assert_msg(is->epoch == wanted->epoch, "%s: clock %u", what, is->epoch);
	ck_assert_msg(is->address == wanted->address, "%s: address %x", what, is->address);
	ck_assert_msg(is->internal_port == wanted->internal_port, "%s: internal port %u", what,
		      is->internal_port);
	ck_assert_msg(is->external_port == wanted->external_port, "%s: external port %u", what,
		      is->external_port);
	ck_assert_msg(is->lifetime == wanted->lifetime, "%s: lifetime %u", what, is->lifetime);
}

static const struct {
	const char *hex;
	struct wire_request request;
} requests[] = {
	{"00 00", {.opcode = WIRE_ADDRESS}},
	{"00 01 00 00 9c 40 9c 40 00 00 1c 20", {WIRE_MAP_UDP, 40000, 40000, 7200}},
	{"00 01 00 00 1a e1 00 00 00 00 1c 20", {WIRE_MAP_UDP, 6881, 0, 7200}},
	{"00 01 00 00 1a e1 c8 d5 00 00 1c 20", {WIRE_MAP_UDP, 6881, 51413, 7200}},
	{"00 01 00 00 9c 40 00 00 00 00 00 00", {WIRE_MAP_UDP, 40000, 0, 0}},
	{"00 01 00 00 00 00 00 00 00 00 00 00", {WIRE_MAP_UDP, 0, 0, 0}},
	{"00 02 00 00 00 50 00 50 00 00 1c 20", {WIRE_MAP_TCP, 80, 80, 7200}},
	{"00 02 00 00 20 8d 00 00 00 00 02 58", {WIRE_MAP_TCP, 8333, 0, 600}},
	{"00 02 00 00 55 f0 55 f1 00 00 1c 20", {WIRE_MAP_TCP, 22000, 22001, 7200}},
	{"00 02 00 00 20 8d 00 00 00 00 00 00", {WIRE_MAP_TCP, 8333, 0, 0}},
	{"00 02 00 00 ff ff ff ff ff ff ff ff", {WIRE_MAP_TCP, 65535, 65535, 0xffffffff}},
	/* what a client of VPN gateways sends */
	{"00 01 00 00 00 00 00 01 00 00 00 3c", {WIRE_MAP_UDP, 0, 1, 60}},
};

static void assert_encodes(const struct wire_request *request, uint32_t own, const char *hex)
{
	uint8_t wanted[WIRE_REQUEST_MAX], is[WIRE_REQUEST_MAX];
	size_t len = from_hex(hex, 0, wanted, sizeof(wanted));

	memset(is, 0xa5, sizeof(is));
	ck_assert_uint_eq(wire_encode(request, own, is), len);
	ck_assert_mem_eq(is, wanted, len);
}

START_TEST(N17_requests_are_these_bytes)
{
	for (size_t i = 0; i < COUNT(requests); i++)
		assert_encodes(&requests[i].request, OWN, requests[i].hex);
}

START_TEST(N35_deletion_suggests_port_0)
{
	const struct wire_request request = {WIRE_MAP_UDP, 40000, 40000, 0};

	assert_encodes(&request, OWN, "00 01 00 00 9c 40 00 00 00 00 00 00");
}

START_TEST(H11_pcp_request_is_a_bare_announce)
{
	const struct wire_request request = {.opcode = WIRE_PCP_ANNOUNCE};

	assert_encodes(&request, IP(192, 168, 1, 10),
		       "02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0a");
	assert_encodes(&request, IP(10, 2, 0, 2),
		       "02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 0a 02 00 02");
}

/* A request is not an answer: a gateway that reflects it has said nothing. */
START_TEST(N15_requests_are_no_answers)
{
	for (size_t i = 0; i < COUNT(requests); i++)
		ck_assert_int_eq(decode(requests[i].hex).kind, WIRE_JUNK);
	ck_assert_int_eq(
		decode("02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0a")
			.kind,
		WIRE_JUNK);
}

#define ANSWER WIRE_ANSWER, .has_epoch = true

static const struct {
	const char *hex;
	struct wire_answer answer;
} answers_[] = {
	/* external address */
	{"00 80 00 00 00 01 51 80 cb 00 71 05",
	 {ANSWER, .opcode = 0, .epoch = 86400, .address = IP(203, 0, 113, 5)}},
	{"00 80 00 00 00 00 04 37 64 40 09 07",
	 {ANSWER, .opcode = 0, .epoch = 1079, .address = IP(100, 64, 9, 7)}},
	{"00 80 00 03 00 00 00 09 00 00 00 00", {ANSWER, .opcode = 0, .result = 3, .epoch = 9}},
	{"00 80 00 02 00 00 10 00 00 00 00 00", {ANSWER, .opcode = 0, .result = 2, .epoch = 4096}},
	{"00 80 00 00 00 00 00 05 00 00 00 00", {ANSWER, .opcode = 0, .epoch = 5}},
	/* UDP mapping */
	{"00 81 00 00 00 01 51 82 1a e1 c8 d5 00 00 0e 10",
	 {ANSWER, .opcode = 1, .epoch = 86402, .internal_port = 6881, .external_port = 51413,
	  .lifetime = 3600}},
	{"00 81 00 00 00 01 51 81 9c 40 9c 40 00 00 1c 20",
	 {ANSWER, .opcode = 1, .epoch = 86401, .internal_port = 40000, .external_port = 40000,
	  .lifetime = 7200}},
	{"00 81 00 00 00 01 51 e4 9c 40 00 00 00 00 00 00",
	 {ANSWER, .opcode = 1, .epoch = 86500, .internal_port = 40000}},
	{"00 81 00 00 00 01 51 e5 00 00 00 00 00 00 00 00", {ANSWER, .opcode = 1, .epoch = 86501}},
	/* TCP mapping */
	{"00 82 00 00 00 00 01 2c 00 50 c8 22 00 00 1c 20",
	 {ANSWER, .opcode = 2, .epoch = 300, .internal_port = 80, .external_port = 51234,
	  .lifetime = 7200}},
	{"00 82 00 00 00 00 01 2d 20 8d 20 8d 00 00 02 58",
	 {ANSWER, .opcode = 2, .epoch = 301, .internal_port = 8333, .external_port = 8333,
	  .lifetime = 600}},
	{"00 82 00 00 00 00 01 2e 55 f0 55 f1 00 00 00 78",
	 {ANSWER, .opcode = 2, .epoch = 302, .internal_port = 22000, .external_port = 22001,
	  .lifetime = 120}},
	{"00 82 00 00 00 00 03 84 20 8d 00 00 00 00 00 00",
	 {ANSWER, .opcode = 2, .epoch = 900, .internal_port = 8333}},
	/* errors */
	{"00 82 00 02 00 00 01 2c 00 50 00 00 00 00 00 00",
	 {ANSWER, .opcode = 2, .result = 2, .epoch = 300, .internal_port = 80}},
	{"00 81 00 04 00 01 51 80 9c 40 00 00 00 00 00 00",
	 {ANSWER, .opcode = 1, .result = 4, .epoch = 86400, .internal_port = 40000}},
	{"00 81 00 03 00 00 00 04 9c 41 00 00 00 00 00 00",
	 {ANSWER, .opcode = 1, .result = 3, .epoch = 4, .internal_port = 40001}},
	{"00 81 00 09 00 00 00 4d 9c 40 00 00 00 00 00 00",
	 {ANSWER, .opcode = 1, .result = 9, .epoch = 77, .internal_port = 40000}},
	/* announcements */
	{"00 80 00 00 00 00 00 00 cb 00 71 05",
	 {ANSWER, .opcode = 0, .address = IP(203, 0, 113, 5)}},
	{"00 80 00 00 00 00 00 07 cb 00 71 05",
	 {ANSWER, .opcode = 0, .epoch = 7, .address = IP(203, 0, 113, 5)}},
	{"00 80 00 00 00 01 51 b7 cb 00 71 4d",
	 {ANSWER, .opcode = 0, .epoch = 86455, .address = IP(203, 0, 113, 77)}},
	{"00 80 00 03 00 00 00 0c 00 00 00 00", {ANSWER, .opcode = 0, .result = 3, .epoch = 12}},
	/* the edges of every field */
	{"00 82 00 00 ff ff ff ff ff ff ff ff ff ff ff ff",
	 {ANSWER, .opcode = 2, .epoch = 0xffffffff, .internal_port = 65535, .external_port = 65535,
	  .lifetime = 0xffffffff}},
};

START_TEST(N15_answers_are_read)
{
	for (size_t i = 0; i < COUNT(answers_); i++) {
		struct wire_answer is = decode(answers_[i].hex);
		assert_same(&is, &answers_[i].answer, answers_[i].hex);
	}
}

/* Port and lifetime of an error mean nothing, even where a gateway echoes the request's. */
START_TEST(N18_fields_of_an_error_are_not_read)
{
	struct wire_answer map = decode("00 82 00 02 00 00 01 2c 00 50 00 50 00 00 1c 20");
	struct wire_answer address = decode("00 80 00 03 00 00 01 2c cb 00 71 05");

	ck_assert_int_eq(map.kind, WIRE_ANSWER);
	ck_assert_uint_eq(map.internal_port, 80);
	ck_assert_uint_eq(map.external_port, 0);
	ck_assert_uint_eq(map.lifetime, 0);
	ck_assert_int_eq(address.kind, WIRE_ANSWER);
	ck_assert_uint_eq(address.address, 0);
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
		struct wire_answer is = wire_decode(bytes, sizeof(bytes));

		ck_assert_int_eq(is.kind, WIRE_ANSWER);
		ck_assert_uint_eq(is.result, codes[i]);
		ck_assert_uint_eq(is.epoch, 9);
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
		struct wire_answer answer;
	} forms[] = {
		{"00 80 00 01 00 00 04 b0", {WIRE_BAD_VERSION, 0, 1, true, 1200}},
		{"00 00 00 01 00 00 04 b0", {WIRE_BAD_VERSION, 0, 1, true, 1200}},
		{"00 81 00 01 00 00 04 b0", {WIRE_BAD_VERSION, 1, 1, true, 1200}},
		{"00 82 00 01 00 00 04 b0", {WIRE_BAD_VERSION, 2, 1, true, 1200}},
		{"00 80 00 01", {WIRE_BAD_VERSION, 0, 1, false}},
		{"00 80 00 01 00 00 04", {WIRE_BAD_VERSION, 0, 1, false}},
	};

	for (size_t i = 0; i < COUNT(forms); i++) {
		struct wire_answer is = decode(forms[i].hex);
		assert_same(&is, &forms[i].answer, forms[i].hex);
	}
}

/* The request sent back: its bytes are no clock (RFC 6886 section 3.5). */
START_TEST(N43_result_5_has_no_clock)
{
	static const struct {
		const char *hex;
		uint8_t opcode;
	} forms[] = {
		{"00 83 00 05 9c 40 9c 40 00 00 1c 20", 3},
		{"00 83 00 05 00 00 04 a1", 3},
		{"00 84 00 05", 4},
		{"00 81 00 05 9c 40 9c 40 00 00 1c 20", 1},
		{"00 80 00 05", 0},
	};

	for (size_t i = 0; i < COUNT(forms); i++) {
		struct wire_answer is = decode(forms[i].hex);
		assert_same(&is,
			    &(struct wire_answer){WIRE_BAD_OPCODE, forms[i].opcode, .result = 5},
			    forms[i].hex);
	}
	ck_assert_int_eq(decode("00 03 00 05 00 00 04 a1").kind, WIRE_JUNK);
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
		struct wire_answer is = decode(pcp_only[i]);
		ck_assert_msg(is.kind == WIRE_PCP_ONLY && !is.has_epoch, "%s", pcp_only[i]);
	}
	for (size_t i = 0; i < COUNT(pcp_announcements); i++) {
		struct wire_answer is = decode(pcp_announcements[i]);
		ck_assert_msg(is.kind == WIRE_PCP_ANNOUNCEMENT && !is.has_epoch, "%s",
			      pcp_announcements[i]);
	}
	for (size_t i = 0; i < COUNT(pcp_junk); i++)
		ck_assert_msg(decode(pcp_junk[i]).kind == WIRE_JUNK, "%s", pcp_junk[i]);
}

START_TEST(N15_other_opcodes_are_no_answers)
{
	ck_assert_int_eq(decode("00 83 00 00 00 01 51 80 9c 40 9c 40 00 00 1c 20").kind, WIRE_JUNK);
	ck_assert_int_eq(decode("00 ff 00 00 00 01 51 80 9c 40 9c 40 00 00 1c 20").kind, WIRE_JUNK);
	ck_assert_int_eq(decode("00 00 00 00 00 01 51 80 cb 00 71 05").kind, WIRE_JUNK);
	ck_assert_int_eq(decode("00 02 00 02 00 01 51 80 9c 40 00 00 00 00 00 00").kind, WIRE_JUNK);
}

/* In memory of exactly its size, at an odd address: sanitizers see any byte read too many. */
static struct wire_answer decode_exactly(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len + 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy + 1, bytes, len);
	struct wire_answer answer = wire_decode(copy + 1, len);
	free(copy);
	return answer;
}

/* What a prefix of that length may at most be taken for. */
static enum wire_kind prefix_kind(const struct wire_answer *whole, size_t len)
{
	size_t need = 0;

	switch (whole->kind) {
	case WIRE_ANSWER:
		if (whole->result == 0)
			need = whole->opcode == WIRE_ADDRESS ? 12 : 16;
		else
			need = whole->opcode == WIRE_ADDRESS ? 8 : 10;
		break;
	case WIRE_PCP_ANNOUNCEMENT:
		need = 24;
		break;
	case WIRE_BAD_OPCODE:
	case WIRE_BAD_VERSION:
	case WIRE_PCP_ONLY:
		need = 4;
		break;
	case WIRE_JUNK:
		break;
	}
	if (whole->kind == WIRE_PCP_ANNOUNCEMENT && len % 4)
		return WIRE_JUNK;
	return len < need ? WIRE_JUNK : whole->kind;
}

static void check_prefixes(const char *hex)
{
	uint8_t bytes[WIRE_ANSWER_MAX];
	size_t len = from_hex(hex, 0, bytes, sizeof(bytes));
	struct wire_answer whole = wire_decode(bytes, len);

	for (size_t n = 0; n <= len; n++) {
		struct wire_answer is = decode_exactly(bytes, n);
		ck_assert_msg(is.kind == prefix_kind(&whole, n), "%zu bytes of %s: kind %d", n, hex,
			      is.kind);
		if (is.kind == WIRE_JUNK)
			assert_same(&is, &(struct wire_answer){0}, hex);
		if (is.has_epoch)
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
	struct wire_answer whole = wire_decode(bytes, len);

	for (size_t n = len; n <= WIRE_ANSWER_MAX; n = n < len + 9 ? n + 1 : n + 97) {
		struct wire_answer is = decode_exactly(bytes, n);
		if (whole.kind == WIRE_ANSWER || whole.kind == WIRE_BAD_OPCODE)
			assert_same(&is, &whole, hex);
	}
}

START_TEST(N20_longer_packets_are_read_without_their_tail)
{
	for_all_packets(check_tail);
}

START_TEST(N21_pcp_packets_have_at_most_1100_bytes)
{
	uint8_t bytes[1200] = {2, 0x80};

	ck_assert_int_eq(decode_exactly(bytes, 1100).kind, WIRE_PCP_ANNOUNCEMENT);
	ck_assert_int_eq(decode_exactly(bytes, 1104).kind, WIRE_JUNK);
	ck_assert_int_eq(decode_exactly(bytes, 25).kind, WIRE_JUNK); /* no multiple of four */
	ck_assert_uint_gt(WIRE_ANSWER_MAX, 1100); /* else a longer one would look like that long */
}

/* Whatever is damaged: no more than what the format allows comes out of it. */
static void check_flips(const char *hex)
{
	uint8_t bytes[WIRE_ANSWER_MAX];
	size_t len = from_hex(hex, 0, bytes, sizeof(bytes));

	for (size_t bit = 0; bit < 8 * len; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		struct wire_answer is = decode_exactly(bytes, len);
		if (is.kind == WIRE_ANSWER)
			ck_assert_msg(bytes[0] == 0 && bytes[1] >= 0x80 && bytes[1] <= 0x82 &&
					      is.has_epoch,
				      "bit %zu of %s", bit, hex);
		if (is.has_epoch)
			ck_assert_msg(bytes[0] == 0 && is.result != 5, "bit %zu of %s", bit, hex);
		if (is.result)
			ck_assert_msg(!is.external_port && !is.lifetime && !is.address,
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
		struct wire_answer is = wire_decode(room + offset, 16);
		ck_assert_uint_eq(is.epoch, 86402);
		ck_assert_uint_eq(is.internal_port, 6881);
		ck_assert_uint_eq(is.external_port, 51413);
		ck_assert_uint_eq(is.lifetime, 3600);
	}
}

int main(void)
{
	return RUN_TESTS("wire", N17_requests_are_these_bytes, N35_deletion_suggests_port_0,
			 H11_pcp_request_is_a_bare_announce, N15_requests_are_no_answers,
			 N15_answers_are_read, N18_fields_of_an_error_are_not_read,
			 N19_result_codes_have_16_bits, result_1_in_all_forms,
			 N43_result_5_has_no_clock, N43_pcp_packets_have_no_clock_of_ours,
			 N15_other_opcodes_are_no_answers, N20_every_prefix_of_every_packet,
			 N20_longer_packets_are_read_without_their_tail,
			 N21_pcp_packets_have_at_most_1100_bytes,
			 N20_every_bit_of_every_packet_flipped, N22_packets_at_any_address);
}
