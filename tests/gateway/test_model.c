/* SPDX-License-Identifier: MIT */
/* The gateway model, against packets written down by hand from RFC 6886. */
#include "model.h"
#include "test_hex.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLIENT 0x0a000002U /* 10.0.0.2 */
#define OTHER  0x0a000003U
#define SLOTS  64
#define SECOND ((uint64_t)1000)
#define START  (7 * SECOND)

/* ck_assert() leaves a note in a pipe every time, which is slow in long loops. */
#define check(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			ck_abort_msg("%s", #condition);                                            \
	} while (0)

static struct model model;
static struct model_slot slots[4096];
static uint64_t now;

static void begin_with(const char *profile, size_t capacity, uint64_t seed)
{
	const struct model_profile *found = model_profile_find(profile);

	ck_assert_ptr_nonnull(found);
	now = START;
	model_init(&model, found, slots, capacity, seed, now);
}

static void begin(const char *profile)
{
	begin_with(profile, SLOTS, 1);
}

/* ------------------------------------------------------------- packets -- */

/* The answer as hex with blanks; "" = silence. */
static const char *ask_as(uint32_t client, const char *request)
{
	uint8_t out[MODEL_PACKET_MAX];
	uint8_t in[64];
	size_t len = from_hex(request, in);

	return to_hex(out, model_input(&model, now, client, in, len, out));
}

static const char *ask(const char *request)
{
	return ask_as(CLIENT, request);
}

struct granted {
	unsigned result;
	uint16_t internal_port;
	uint16_t external_port;
	uint32_t lifetime;
};

static struct granted map_as(uint32_t client, int opcode, unsigned internal, unsigned suggested,
			     uint32_t lifetime)
{
	const uint8_t in[12] = {0,
				(uint8_t)opcode,
				0,
				0,
				(uint8_t)(internal >> 8),
				(uint8_t)internal,
				(uint8_t)(suggested >> 8),
				(uint8_t)suggested,
				(uint8_t)(lifetime >> 24),
				(uint8_t)(lifetime >> 16),
				(uint8_t)(lifetime >> 8),
				(uint8_t)lifetime};
	uint8_t out[MODEL_PACKET_MAX];

	check(model_input(&model, now, client, in, sizeof(in), out) == 16);
	check(out[0] == 0 && out[1] == 128 + opcode);
	return (struct granted){
		.result = (unsigned)(out[2] << 8 | out[3]),
		.internal_port = (uint16_t)(out[8] << 8 | out[9]),
		.external_port = (uint16_t)(out[10] << 8 | out[11]),
		.lifetime = (uint32_t)out[12] << 24 | (uint32_t)out[13] << 16 |
			    (uint32_t)out[14] << 8 | out[15],
	};
}

static struct granted map(int opcode, unsigned internal, unsigned suggested, uint32_t lifetime)
{
	return map_as(CLIENT, opcode, internal, suggested, lifetime);
}

/* The one external port of the client's internal port, 0 = none. */
static uint16_t port_of(enum model_opcode opcode, uint16_t internal)
{
	uint16_t ports[2] = {0, 0};

	ck_assert_uint_le(model_lookup(&model, now, CLIENT, opcode, internal, ports, 2), 1);
	return ports[0];
}

/* Every line of the packet tables: what comes before, the request, its answer. */
static const struct line {
	const char *profile;
	uint32_t address;
	uint32_t clock;
	int32_t result;
	uint32_t max_lifetime;
	const char *before; /* a request, NULL = none */
	const char *request;
	const char *answer;
} lines[] = {
	/* external address */
	{"rfc", 0xcb007105, 86400, -1, 0, NULL, "00 00", "00 80 00 00 00 01 51 80 cb 00 71 05"},
	{"rfc", 0x64400907, 0x437, -1, 0, NULL, "00 00", "00 80 00 00 00 00 04 37 64 40 09 07"},
	{"rfc", 0, 9, -1, 0, NULL, "00 00", "00 80 00 03 00 00 00 09 00 00 00 00"},
	{"miniupnpd", 0, 9, -1, 0, NULL, "00 00", "00 80 00 03 00 00 00 09 00 00 00 00"},
	{"rfc", 0xcb007105, 4096, 2, 0, NULL, "00 00", "00 80 00 02 00 00 10 00 00 00 00 00"},
	{"rfc", 0, 5, 0, 0, NULL, "00 00", "00 80 00 00 00 00 00 05 00 00 00 00"},
	/* UDP */
	{"rfc", 1, 0x15182, -1, 3600, "00 01 00 00 1a e1 c8 d5 00 00 0e 10",
	 "00 01 00 00 1a e1 00 00 00 00 1c 20", "00 81 00 00 00 01 51 82 1a e1 c8 d5 00 00 0e 10"},
	{"rfc", 1, 0x15182, -1, 3600, NULL, "00 01 00 00 1a e1 c8 d5 00 00 1c 20",
	 "00 81 00 00 00 01 51 82 1a e1 c8 d5 00 00 0e 10"},
	{"rfc", 1, 0x15181, -1, 0, NULL, "00 01 00 00 9c 40 9c 40 00 00 1c 20",
	 "00 81 00 00 00 01 51 81 9c 40 9c 40 00 00 1c 20"},
	{"rfc", 1, 0x151e4, -1, 0, "00 01 00 00 9c 40 9c 40 00 00 1c 20",
	 "00 01 00 00 9c 40 00 00 00 00 00 00", "00 81 00 00 00 01 51 e4 9c 40 00 00 00 00 00 00"},
	{"rfc", 1, 0x151e4, -1, 0, NULL, "00 01 00 00 9c 40 00 00 00 00 00 00",
	 "00 81 00 00 00 01 51 e4 9c 40 00 00 00 00 00 00"},
	{"rfc", 1, 0x151e5, -1, 0, "00 01 00 00 9c 40 9c 40 00 00 1c 20",
	 "00 01 00 00 00 00 00 00 00 00 00 00", "00 81 00 00 00 01 51 e5 00 00 00 00 00 00 00 00"},
	/* TCP; the port of the line before is the one that is there already */
	{"rfc", 1, 0x12c, -1, 0, "00 02 00 00 00 50 c8 22 00 00 1c 20",
	 "00 02 00 00 00 50 00 50 00 00 1c 20", "00 82 00 00 00 00 01 2c 00 50 c8 22 00 00 1c 20"},
	{"miniupnpd", 1, 0x12d, -1, 0, NULL, "00 02 00 00 20 8d 00 00 00 00 02 58",
	 "00 82 00 00 00 00 01 2d 20 8d 20 8d 00 00 02 58"},
	{"rfc", 1, 0x12e, -1, 120, NULL, "00 02 00 00 55 f0 55 f1 00 00 1c 20",
	 "00 82 00 00 00 00 01 2e 55 f0 55 f1 00 00 00 78"},
	{"rfc", 1, 0x384, -1, 0, "00 02 00 00 20 8d 00 00 00 00 02 58",
	 "00 02 00 00 20 8d 00 00 00 00 00 00", "00 82 00 00 00 00 03 84 20 8d 00 00 00 00 00 00"},
	/* errors */
	{"rfc", 1, 0x12c, 2, 0, NULL, "00 02 00 00 00 50 00 50 00 00 1c 20",
	 "00 82 00 02 00 00 01 2c 00 50 00 00 00 00 00 00"},
	{"rfc", 1, 0x15180, 4, 0, NULL, "00 01 00 00 9c 40 9c 40 00 00 1c 20",
	 "00 81 00 04 00 01 51 80 9c 40 00 00 00 00 00 00"},
	{"rfc", 0, 4, -1, 0, NULL, "00 01 00 00 9c 41 9c 41 00 00 1c 20",
	 "00 81 00 03 00 00 00 04 9c 41 00 00 00 00 00 00"},
	{"echo", 1, 0x12c, 2, 0, NULL, "00 02 00 00 00 50 00 50 00 00 1c 20",
	 "00 82 00 02 00 00 01 2c 00 50 00 50 00 00 1c 20"},
	{"rfc", 1, 0x4d, 9, 0, NULL, "00 01 00 00 9c 40 9c 40 00 00 1c 20",
	 "00 81 00 09 00 00 00 4d 9c 40 00 00 00 00 00 00"},
	{"rfc", 1, 0x4d, 0xff01, 0, NULL, "00 01 00 00 9c 40 00 00 00 00 00 00",
	 "00 81 ff 01 00 00 00 4d 9c 40 00 00 00 00 00 00"},
	{"rfc", 1, 3, -1, 0, NULL, "00 01 00 00 00 00 00 00 00 00 00 3c",
	 "00 81 00 02 00 00 00 03 00 00 00 00 00 00 00 00"},
	{"miniupnpd", 1, 3, -1, 0, NULL, "00 01 00 00 00 00 00 00 00 00 00 3c",
	 "00 81 00 02 00 00 00 03 00 00 00 00 00 00 00 3c"},
	/* unsupported version */
	{"rfc", 1, 0x4b0, -1, 0, NULL, "02 00 00 00", "00 80 00 01 00 00 04 b0"},
	{"rfc", 1, 0x4b0, -1, 0, NULL, "02 01 00 00 00 00 1c 20", "00 80 00 01 00 00 04 b0"},
	{"echo", 1, 0x4b0, -1, 0, NULL, "02 01 00 00 00 00 1c 20", "00 81 00 01 00 00 04 b0"},
	{"pcponly", 1, 0x22b, -1, 0, NULL, "00 00",
	 "02 80 00 01 00 00 07 08 00 00 02 2b 00 00 00 00 00 00 00 00 00 00 00 00"},
	{"pcponly", 1, 0x22b, -1, 0, NULL, "00 02 00 00 00 50 00 50 00 00 1c 20",
	 "02 82 00 01 00 00 07 08 00 00 02 2b"},
	/* unsupported opcode */
	{"rfc", 1, 0x4a1, -1, 0, NULL, "00 03 00 00 9c 40 9c 40 00 00 1c 20",
	 "00 83 00 05 9c 40 9c 40 00 00 1c 20"},
	{"miniupnpd", 1, 0x4a1, -1, 0, NULL, "00 03 00 00 9c 40 9c 40 00 00 1c 20",
	 "00 83 00 05 00 00 04 a1"},
	{"rfc", 1, 0x4a1, -1, 0, NULL, "00 04", "00 84 00 05"},
	/* PCP: ANNOUNCE from 10.0.0.2, then from elsewhere, then MAP, then version 3 */
	{"miniupnpd", 1, 0x15180, -1, 0, NULL,
	 "02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 0a 00 00 02",
	 "02 80 00 00 00 00 00 00 00 01 51 80 00 00 00 00 00 00 00 00 00 00 00 00"},
	{"pcponly", 1, 0x15180, -1, 0, NULL,
	 "02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 0a 02 00 02",
	 "02 80 00 0c 00 00 07 08 00 01 51 80 00 00 00 00 00 00 00 00 00 00 00 00"},
	{"miniupnpd", 1, 1, -1, 0, NULL,
	 "02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 0a 02 00 02",
	 "02 80 00 00 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00"},
	{"miniupnpd", 1, 1, -1, 0, NULL,
	 "02 05 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 0a 00 00 02",
	 "02 85 00 04 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00"},
	{"pcponly", 1, 1, -1, 0, NULL,
	 "02 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 0a 00 00 02",
	 "02 81 00 04 00 00 07 08 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00"},
	{"miniupnpd", 1, 1, -1, 0, NULL,
	 "03 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 0a 00 00 02",
	 "02 80 00 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00"},
	{"miniupnpd", 1, 1, -1, 0, NULL, "02 00 00 00 00 00 00 00 00 00 00 00",
	 "00 80 00 03 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 00 00 00 00 00"},
	/* silence */
	{"rfc", 1, 1, -1, 0, NULL, "00", ""},
	{"rfc", 1, 1, -1, 0, NULL, "00 80 00 00 00 00 00 00 00 00 00 00", ""},
	{"rfc", 1, 1, -1, 0, NULL, "00 01 00 00 9c 40 9c 40 00 00 1c", ""},
	{"miniupnpd", 1, 1, -1, 0, NULL, "02 00", ""},
};

START_TEST(answers_byte_by_byte)
{
	const struct line *line = &lines[_i];

	begin(line->profile);
	model_set_address(&model, line->address);
	model.profile.max_lifetime = line->max_lifetime;
	if (line->before)
		ask(line->before);
	for (int i = 0; i < 3; i++)
		model.profile.forced_result[i] = line->result;
	model_set_clock(&model, now, line->clock);
	ck_assert_str_eq(ask(line->request), line->answer);
}
END_TEST

START_TEST(refusal_as_the_rfc_prints_it)
{
	begin("rfc");
	model_set_clock(&model, now, 0x4b0);
	model.profile.refusal = MODEL_REFUSAL_PRINTED;
	ck_assert_str_eq(ask("02 01 00 00"), "00 00 00 01 00 00 04 b0");
	model.profile.refusal = MODEL_REFUSAL_SILENT;
	ck_assert_str_eq(ask("02 01 00 00"), "");
}
END_TEST

START_TEST(announcements)
{
	uint8_t out[MODEL_PACKET_MAX];

	begin("rfc");
	model_set_address(&model, 0xcb007105);
	ck_assert_str_eq(to_hex(out, model_announcement(&model, now, out)),
			 "00 80 00 00 00 00 00 00 cb 00 71 05");
	ck_assert_str_eq(to_hex(out, model_announcement(&model, now + 7750, out)),
			 "00 80 00 00 00 00 00 07 cb 00 71 05");
	ck_assert_str_eq(to_hex(out, model_pcp_announcement(&model, now + 63999, out)),
			 "02 80 00 00 00 00 00 00 00 00 00 3f 00 00 00 00 00 00 00 00 00 00 00 00");
	model_set_clock(&model, now, 0x151b7);
	model_set_address(&model, 0xcb00714d);
	ck_assert_str_eq(to_hex(out, model_announcement(&model, now, out)),
			 "00 80 00 00 00 01 51 b7 cb 00 71 4d");
	model_set_clock(&model, now, 12);
	model_set_address(&model, 0);
	ck_assert_str_eq(to_hex(out, model_announcement(&model, now, out)),
			 "00 80 00 03 00 00 00 0c 00 00 00 00");
}
END_TEST

/* Of every request, every shorter one and one with more behind it. */
START_TEST(lengths)
{
	uint8_t in[64], out[MODEL_PACKET_MAX], exact[64];
	size_t len = from_hex("00 02 00 00 00 50 00 50 00 00 1c 20", in);

	begin("rfc");
	for (size_t n = 0; n < len; n++) {
		memcpy(exact, in, n);
		ck_assert_uint_eq(model_input(&model, now, CLIENT, exact, n, out), 0);
		ck_assert_uint_eq(model.broken, MODEL_RULE_LENGTH);
	}
	ck_assert_uint_eq(model_count(&model, now), 0);
	in[len] = 7;
	ck_assert_uint_eq(model_input(&model, now, CLIENT, in, len + 1, out), 16);
	ck_assert_uint_eq(model.broken, MODEL_RULE_LENGTH);
	ck_assert_uint_eq(model_count(&model, now), 1);
}
END_TEST

START_TEST(the_longest_packet)
{
	static uint8_t in[MODEL_PACKET_MAX + 1] = {0, 3};
	static uint8_t out[MODEL_PACKET_MAX];

	in[MODEL_PACKET_MAX - 1] = 0x5a;
	begin("rfc");
	ck_assert_uint_eq(model_input(&model, now, CLIENT, in, MODEL_PACKET_MAX, out),
			  MODEL_PACKET_MAX);
	ck_assert_uint_eq(out[MODEL_PACKET_MAX - 1], 0x5a);
	ck_assert_uint_eq(model_input(&model, now, CLIENT, in, MODEL_PACKET_MAX + 1, out), 0);
	begin("pcponly");
	ck_assert_uint_eq(model_input(&model, now, CLIENT, in, MODEL_PACKET_MAX, out),
			  MODEL_PACKET_MAX);
	ck_assert_uint_eq(out[MODEL_PACKET_MAX - 1], 0x5a);
}
END_TEST

START_TEST(what_clients_must_not_do_is_noted)
{
	static const struct {
		const char *request;
		uint32_t rule;
	} sins[] = {
		{"00 00", 0},
		{"00 01 00 00 9c 40 9c 40 00 00 1c 20", 0},
		{"00 01 00 00 9c 40 00 00 00 00 00 00", 0},
		{"00 01 00 00 00 00 00 00 00 00 00 00", 0},
		{"00 00 00", MODEL_RULE_LENGTH},
		{"00 01 00 01 9c 40 9c 40 00 00 1c 20", MODEL_RULE_RESERVED},
		{"00 01 00 00 9c 40 9c 40 00 00 00 00", MODEL_RULE_DELETE_PORT},
		{"00 01 00 00 00 00 9c 40 00 00 1c 20", MODEL_RULE_INTERNAL_ZERO},
		{"00 82 00 00 9c 40 9c 40 00 00 1c 20", MODEL_RULE_OPCODE},
		{"00 03", MODEL_RULE_OPCODE},
		{"01 00", MODEL_RULE_VERSION_ONE},
	};
	uint32_t ever = 0;

	begin("rfc");
	for (size_t i = 0; i < sizeof(sins) / sizeof(sins[0]); i++) {
		ask(sins[i].request);
		ck_assert_msg(model.broken == sins[i].rule, "%s", sins[i].request);
		ever |= sins[i].rule;
	}
	ck_assert_uint_eq(model.ever_broken, ever);
	ck_assert_uint_eq(ever, (MODEL_RULE_VERSION_ONE << 1) - 1); /* all that is of NAT-PMP */
	for (unsigned i = 0; i < MODEL_RULES; i++)
		ck_assert_str_ne(model_rule_text((enum model_rule)(1U << i)), "?");
	ck_assert_uint_eq(model.requests, sizeof(sins) / sizeof(sins[0]));
}
END_TEST

/* ------------------------------------------------------------ mappings -- */

START_TEST(a_repeated_request_returns_the_mapping)
{
	struct granted first, again;

	begin("rfc");
	first = map(MODEL_TCP, 80, 0, 7200);
	ck_assert_uint_ge(first.external_port, 49152);
	now += 3600 * SECOND;
	again = map(MODEL_TCP, 80, 8080, 7200);
	ck_assert_uint_eq(again.external_port, first.external_port);
	ck_assert_uint_eq(model_count(&model, now), 1);
	now += 7200 * SECOND - 1;
	ck_assert_uint_eq(port_of(MODEL_TCP, 80), first.external_port);
	now++;
	ck_assert_uint_eq(port_of(MODEL_TCP, 80), 0);
	ck_assert_uint_eq(model_count(&model, now), 0);
}
END_TEST

START_TEST(lifetimes_are_clamped)
{
	begin("rfc");
	model.profile.min_lifetime = 120;
	model.profile.max_lifetime = 86400;
	ck_assert_uint_eq(map(MODEL_UDP, 1, 1, 1).lifetime, 120);
	ck_assert_uint_eq(map(MODEL_UDP, 2, 2, UINT32_MAX).lifetime, 86400);
	ck_assert_uint_eq(map(MODEL_UDP, 3, 3, 7200).lifetime, 7200);
	model.profile.max_lifetime = 0;
	ck_assert_uint_eq(map(MODEL_UDP, 4, 4, UINT32_MAX).lifetime, UINT32_MAX);
	now += (uint64_t)UINT32_MAX * 1000 - 1;
	ck_assert_uint_eq(model_count(&model, now), 1);
	now++;
	ck_assert_uint_eq(model_count(&model, now), 0);
}
END_TEST

START_TEST(an_external_port_belongs_to_one_client)
{
	struct granted other;

	begin("rfc");
	ck_assert_uint_eq(map(MODEL_TCP, 80, 80, 60).external_port, 80);
	other = map_as(OTHER, MODEL_TCP, 80, 80, 60);
	ck_assert_uint_eq(other.result, 0);
	ck_assert_uint_ne(other.external_port, 80);
	/* the companion port is kept for the first client, RFC 6886 section 3.3 */
	ck_assert_uint_ne(map_as(OTHER, MODEL_UDP, 81, 80, 60).external_port, 80);
	ck_assert_uint_eq(map(MODEL_UDP, 80, 80, 60).external_port, 80);
	model.profile.reserves_companion = false;
	map(MODEL_TCP, 90, 90, 60);
	ck_assert_uint_eq(map_as(OTHER, MODEL_UDP, 90, 90, 60).external_port, 90);
}
END_TEST

START_TEST(the_companion_gets_the_same_port_unasked)
{
	uint16_t port;

	begin("rfc");
	port = map(MODEL_TCP, 6881, 0, 60).external_port;
	ck_assert_uint_eq(map(MODEL_UDP, 6881, 0, 60).external_port, port);
}
END_TEST

START_TEST(deletions_reach_only_what_they_name)
{
	begin("rfc");
	map(MODEL_TCP, 80, 80, 60);
	map(MODEL_UDP, 80, 80, 60);
	map(MODEL_TCP, 81, 81, 60);
	map_as(OTHER, MODEL_TCP, 82, 82, 60);
	ck_assert_uint_eq(map(MODEL_TCP, 82, 0, 0).result, 0);
	ck_assert_uint_eq(model_count(&model, now), 4);
	ck_assert_uint_eq(map(MODEL_TCP, 80, 0, 0).result, 0);
	ck_assert_uint_eq(port_of(MODEL_TCP, 80), 0);
	ck_assert_uint_eq(port_of(MODEL_UDP, 80), 80);
	map(MODEL_TCP, 80, 80, 60);
	ck_assert_uint_eq(map(MODEL_TCP, 0, 0, 0).result, 0);
	ck_assert_uint_eq(port_of(MODEL_TCP, 80), 0);
	ck_assert_uint_eq(port_of(MODEL_TCP, 81), 0);
	ck_assert_uint_eq(port_of(MODEL_UDP, 80), 80);
	ck_assert_uint_eq(model_count(&model, now), 2);
}
END_TEST

START_TEST(mappings_made_by_hand_stay)
{
	struct granted answer;

	begin("rfc");
	ck_assert(model_add_manual(&model, now, CLIENT, MODEL_TCP, 22, 2222));
	ck_assert(!model_add_manual(&model, now, OTHER, MODEL_TCP, 22, 2222));
	answer = map(MODEL_TCP, 22, 22, 60);
	ck_assert_uint_eq(answer.external_port, 2222);
	ck_assert_uint_eq(map(MODEL_TCP, 22, 0, 0).result, MODEL_NOT_AUTHORIZED);
	ck_assert_uint_eq(map(MODEL_TCP, 0, 0, 0).result, 0);
	model_restart(&model, now, false, false);
	now += UINT32_MAX * SECOND;
	ck_assert_uint_eq(port_of(MODEL_TCP, 22), 2222);
}
END_TEST

START_TEST(a_full_table)
{
	begin_with("rfc", 3, 1);
	ck_assert_uint_eq(map(MODEL_UDP, 1, 1, 10).result, 0);
	ck_assert_uint_eq(map(MODEL_UDP, 2, 2, 60).result, 0);
	model.profile.max_mappings = 2;
	ck_assert_uint_eq(map(MODEL_UDP, 3, 3, 60).result, MODEL_NO_RESOURCES);
	model.profile.max_mappings = 0;
	ck_assert_uint_eq(map(MODEL_UDP, 3, 3, 60).result, 0);
	ck_assert_uint_eq(map(MODEL_UDP, 4, 4, 60).result, MODEL_NO_RESOURCES);
	ck_assert_uint_eq(map(MODEL_UDP, 1, 1, 10).result, 0);
	now += 10 * SECOND;
	ck_assert_uint_eq(map(MODEL_UDP, 4, 4, 60).result, 0);
}
END_TEST

START_TEST(no_port_left)
{
	begin("rfc");
	model.profile.random_low = 50000;
	model.profile.random_high = 50001;
	ck_assert_uint_ne(map(MODEL_UDP, 1, 0, 60).external_port,
			  map(MODEL_UDP, 2, 0, 60).external_port);
	ck_assert_uint_eq(map(MODEL_UDP, 3, 0, 60).result, MODEL_NO_RESOURCES);
	ck_assert_uint_eq(map(MODEL_UDP, 3, 3, 60).external_port, 3);
}
END_TEST

START_TEST(no_address)
{
	begin("rfc");
	map(MODEL_TCP, 80, 80, 60);
	model_set_address(&model, 0);
	ck_assert_uint_eq(map(MODEL_TCP, 80, 80, 60).result, MODEL_NETWORK_FAILURE);
	ck_assert_uint_eq(map(MODEL_TCP, 80, 0, 0).result, 0);
	model_set_address(&model, 1);
	ck_assert_uint_eq(map(MODEL_TCP, 80, 80, 60).result, 0);
}
END_TEST

/* -------------------------------------------------------- forced answers -- */

START_TEST(a_forced_port_moves_the_mapping)
{
	begin("rfc");
	map(MODEL_TCP, 80, 80, 60);
	model.profile.forced_port = 5000;
	ck_assert_uint_eq(map(MODEL_TCP, 80, 80, 60).external_port, 5000);
	ck_assert_uint_eq(port_of(MODEL_TCP, 80), 5000);
	ck_assert_uint_eq(model_count(&model, now), 1);
	ck_assert_uint_eq(map(MODEL_TCP, 81, 81, 60).external_port, 5001);
	ck_assert_uint_eq(map(MODEL_TCP, 81, 81, 60).external_port, 5001);
	model.profile.forced_port = -1;
	ck_assert_uint_eq(map(MODEL_TCP, 80, 80, 60).external_port, 5000);
}
END_TEST

START_TEST(forced_zeros_are_lies)
{
	begin("rfc");
	map(MODEL_TCP, 80, 80, 60);
	model.profile.forced_port = 0;
	ck_assert_uint_eq(map(MODEL_TCP, 80, 80, 600).external_port, 0);
	ck_assert_uint_eq(map(MODEL_TCP, 81, 81, 600).external_port, 0);
	model.profile.forced_port = -1;
	model.profile.forced_lifetime = 0;
	ck_assert_uint_eq(map(MODEL_TCP, 80, 80, 600).lifetime, 0);
	ck_assert_uint_eq(map(MODEL_TCP, 80, 80, 600).external_port, 80);
	ck_assert_uint_eq(model_count(&model, now), 1);
	now += 60 * SECOND;
	ck_assert_uint_eq(model_count(&model, now), 0);
}
END_TEST

START_TEST(a_forced_lifetime_is_kept)
{
	begin("rfc");
	model.profile.forced_lifetime = 2;
	ck_assert_uint_eq(map(MODEL_TCP, 80, 80, 7200).lifetime, 2);
	now += 2 * SECOND;
	ck_assert_uint_eq(port_of(MODEL_TCP, 80), 0);
}
END_TEST

START_TEST(a_forced_result_changes_nothing)
{
	begin("rfc");
	map(MODEL_TCP, 80, 80, 60);
	model.profile.forced_result[MODEL_TCP] = 4;
	ck_assert_uint_eq(map(MODEL_TCP, 80, 0, 0).result, 4);
	ck_assert_uint_eq(map(MODEL_TCP, 81, 81, 60).result, 4);
	ck_assert_uint_eq(map(MODEL_UDP, 81, 81, 60).result, 0);
	ck_assert_uint_eq(port_of(MODEL_TCP, 80), 80);
	ck_assert_uint_eq(model_count(&model, now), 2);
}
END_TEST

/* ---------------------------------------------------- clock and restart -- */

START_TEST(the_clock)
{
	begin("rfc");
	ck_assert_uint_eq(model_clock(&model, now), 0);
	ck_assert_uint_eq(model_clock(&model, now + 999), 0);
	ck_assert_uint_eq(model_clock(&model, now + 1000), 1);
	ck_assert_uint_eq(model_clock(&model, now + 86400 * SECOND), 86400);
	model_set_clock(&model, now, UINT32_MAX);
	ck_assert_uint_eq(model_clock(&model, now), UINT32_MAX);
	ck_assert_uint_eq(model_clock(&model, now + 1000), 0);
}
END_TEST

START_TEST(a_lying_clock)
{
	struct model_profile profile;

	begin("rfc");
	profile = model.profile;
	profile.clock_permille = 500;
	model_set_profile(&model, now + 10500, &profile);
	ck_assert_uint_eq(model_clock(&model, now + 10500), 10);
	ck_assert_uint_eq(model_clock(&model, now + 10500 + 60 * SECOND), 40);
	/* nothing is lost to rounding, however often a profile is set */
	for (uint64_t t = 10500; t <= 70500; t += 100)
		model_set_profile(&model, now + t, &profile);
	ck_assert_uint_eq(model_clock(&model, now + 70500), 40);
	profile.clock_permille = 0;
	model_set_profile(&model, now + 70500, &profile);
	ck_assert_uint_eq(model_clock(&model, now + 999 * SECOND), 40);
}
END_TEST

START_TEST(restarts)
{
	begin("rfc");
	map(MODEL_TCP, 80, 80, 7200);
	now += 100 * SECOND;
	model_restart(&model, now, true, true);
	ck_assert_uint_eq(port_of(MODEL_TCP, 80), 80);
	ck_assert_uint_eq(model_clock(&model, now), 100);
	model_restart(&model, now, true, false);
	ck_assert_uint_eq(port_of(MODEL_TCP, 80), 80);
	ck_assert_uint_eq(model_clock(&model, now), 0);
	now += 5 * SECOND;
	model_restart(&model, now, false, true);
	ck_assert_uint_eq(port_of(MODEL_TCP, 80), 0);
	ck_assert_uint_eq(model_clock(&model, now), 5);
	map(MODEL_TCP, 80, 80, 7200);
	model_restart(&model, now, false, false);
	ck_assert_uint_eq(model_count(&model, now), 0);
	ck_assert_uint_eq(model_clock(&model, now), 0);
}
END_TEST

/* ------------------------------------------------------------ profiles -- */

START_TEST(profile_miniupnpd)
{
	uint16_t ports[3];

	begin("miniupnpd");
	ck_assert_uint_eq(map(MODEL_TCP, 80, 0, 60).external_port, 80);
	/* another suggestion: a second mapping; the same one again: a renewal */
	ck_assert_uint_eq(map(MODEL_TCP, 80, 90, 60).external_port, 90);
	ck_assert_uint_eq(map(MODEL_TCP, 80, 90, 60).external_port, 90);
	ck_assert_uint_eq(model_lookup(&model, now, CLIENT, MODEL_TCP, 80, ports, 3), 2);
	ck_assert_uint_eq(ports[0] + ports[1], 170);
	/* a taken port: the next one, and that one again */
	ck_assert_uint_eq(map_as(OTHER, MODEL_TCP, 80, 80, 60).external_port, 81);
	ck_assert_uint_eq(map_as(OTHER, MODEL_TCP, 80, 80, 60).external_port, 81);
	/* from the last port on to the first */
	ck_assert_uint_eq(map_as(OTHER, MODEL_UDP, 80, 65535, 60).external_port, 65535);
	ck_assert_uint_eq(map_as(OTHER, MODEL_UDP, 80, 65535, 60).external_port, 65535);
	ck_assert_uint_eq(map(MODEL_TCP, 70, 65535, 60).external_port, 1);
	/* from a forbidden port on to the first allowed one */
	model.profile.lowest_port = 1024;
	ck_assert_uint_eq(map(MODEL_TCP, 50, 50, 60).external_port, 1024);
	ck_assert_uint_eq(map(MODEL_TCP, 50, 50, 60).external_port, 1024);
	/* delete-all of one protocol */
	model.profile.lowest_port = 0;
	ck_assert_uint_eq(map_as(OTHER, MODEL_UDP, 80, 0, 0).result, 0);
	ck_assert_uint_eq(map(MODEL_UDP, 80, 0, 60).external_port, 80);
	ck_assert_uint_eq(map(MODEL_UDP, 0, 0, 0).result, 0);
	ck_assert_uint_eq(model_count(&model, now), 1);
	/* an endless lifetime */
	ck_assert_uint_eq(map(MODEL_UDP, 7, 7, UINT32_MAX).lifetime, UINT32_MAX);
	ck_assert_uint_eq(port_of(MODEL_UDP, 7), 0);
	/* one deletion takes both mappings of an internal port */
	map(MODEL_TCP, 80, 70, 60);
	map(MODEL_TCP, 80, 71, 60);
	ck_assert_uint_eq(map(MODEL_TCP, 80, 0, 0).result, 0);
	ck_assert_uint_eq(port_of(MODEL_TCP, 80), 0);
	/* no address, or a private one: mappings all the same */
	model_set_address(&model, 0);
	ck_assert_uint_eq(map(MODEL_TCP, 80, 0, 60).result, 0);
	model_set_clock(&model, now, 9);
	model_set_address(&model, 0xc0a80001);
	ck_assert_str_eq(ask("00 00"), "00 80 00 03 00 00 00 09 00 00 00 00");
}
END_TEST

START_TEST(private_addresses)
{
	static const uint32_t denied[] = {0x0a000000, 0x0affffff, 0xac100000, 0xac1fffff,
					  0xc0a80000, 0xc0a8ffff, 0x64400000, 0x647fffff};
	static const uint32_t told[] = {0x09ffffff, 0x0b000000, 0xac0fffff, 0xac200000,
					0xc0a7ffff, 0xc0a90000, 0x643fffff, 0x64800000};

	begin("miniupnpd");
	for (size_t i = 0; i < 8; i++) {
		model_set_address(&model, denied[i]);
		ask("00 00");
		ck_assert_int_eq(strncmp(hex, "00 80 00 03", 11), 0);
		model_set_address(&model, told[i]);
		ask("00 00");
		ck_assert_int_eq(strncmp(hex, "00 80 00 00", 11), 0);
	}
}
END_TEST

START_TEST(profile_echo)
{
	begin("echo");
	map(MODEL_TCP, 80, 8080, 60);
	ck_assert_str_eq(ask("00 02 00 00 00 50 00 00 00 00 00 00"),
			 "00 82 00 00 00 00 00 00 00 50 1f 90 00 00 00 00");
	model.profile.forced_result[MODEL_ADDRESS] = 2;
	ck_assert_str_eq(ask("00 00"), "00 80 00 02 00 00 00 00 0b 16 21 2c");
}
END_TEST

START_TEST(profile_highport)
{
	begin("highport");
	for (unsigned port = 49152; port < 49152 + SLOTS; port++) {
		struct granted granted = map(MODEL_UDP, port, port, 60);

		ck_assert_uint_ne(granted.external_port, port);
		ck_assert_uint_ge(granted.external_port, 49152);
		ck_assert_uint_eq(map(MODEL_UDP, port, granted.external_port, 60).external_port,
				  granted.external_port);
	}
	ck_assert_uint_eq(model_count(&model, now), SLOTS);
}
END_TEST

START_TEST(a_denied_suggestion_is_not_drawn_either)
{
	begin_with("highport", SLOTS, (uint64_t)_i);
	model.profile.random_low = 50000;
	model.profile.random_high = 50001;
	ck_assert_uint_eq(map(MODEL_UDP, 1, 50000, 60).external_port, 50001);
}
END_TEST

START_TEST(profile_splitports)
{
	uint16_t tcp, udp;

	begin("splitports");
	tcp = map(MODEL_TCP, 6881, 6881, 60).external_port;
	ck_assert_uint_eq(tcp, 6881);
	udp = map(MODEL_UDP, 6881, tcp, 60).external_port;
	ck_assert_uint_ne(udp, tcp);
	ck_assert_uint_eq(map(MODEL_UDP, 6881, tcp, 60).external_port, udp);
	map(MODEL_UDP, 6881, 0, 0);
	ck_assert_uint_ne(map(MODEL_UDP, 6881, 0, 60).external_port, tcp);
	map(MODEL_UDP, 6881, 0, 0);
	map(MODEL_TCP, 6881, 0, 0);
	ck_assert_uint_eq(map(MODEL_TCP, 6881, 40001, 60).external_port, 40001);
	ck_assert_uint_eq(map(MODEL_UDP, 6881, 40001, 60).external_port, 40001);
	map(MODEL_TCP, 7000, 40000, 60);
	ck_assert_uint_ne(map(MODEL_UDP, 7000, 40000, 60).external_port, 40000);
}
END_TEST

START_TEST(profile_vpn)
{
	struct granted udp, tcp, other;

	begin("vpn");
	udp = map(MODEL_UDP, 0, 1, 7200);
	ck_assert_uint_eq(model.broken, 0);
	ck_assert_uint_eq(udp.internal_port, 0);
	ck_assert_uint_eq(udp.lifetime, 60);
	ck_assert_uint_eq(udp.result, 0);
	tcp = map(MODEL_TCP, 0, 1, 30);
	ck_assert_uint_eq(tcp.external_port, udp.external_port);
	ck_assert_uint_eq(tcp.lifetime, 60);
	/* forwarded to the same number */
	ck_assert_uint_eq(port_of(MODEL_UDP, udp.external_port), udp.external_port);
	ck_assert_uint_eq(port_of(MODEL_TCP, udp.external_port), udp.external_port);
	ck_assert_uint_eq(map(MODEL_UDP, 0, 1, 60).external_port, udp.external_port);
	ck_assert_uint_eq(map(MODEL_UDP, 4711, 1, 60).internal_port, 4711);
	ck_assert_uint_eq(model_count(&model, now), 2);
	other = map_as(OTHER, MODEL_UDP, 0, udp.external_port, 60);
	ck_assert_uint_ne(other.external_port, udp.external_port);
	model_restart(&model, now, false, false);
	ck_assert_uint_ne(map(MODEL_UDP, 0, 1, 60).external_port, udp.external_port);
}
END_TEST

START_TEST(profile_vpn_named)
{
	struct granted granted;

	begin("vpn-named");
	granted = map(MODEL_UDP, 0, 1, 60);
	ck_assert_uint_ne(granted.external_port, 0);
	ck_assert_uint_eq(granted.internal_port, granted.external_port);
}
END_TEST

START_TEST(profile_noaddress)
{
	begin("noaddress");
	ck_assert_str_eq(ask("00 00"), "00 80 00 03 00 00 00 00 00 00 00 00");
	ck_assert_uint_eq(map(MODEL_TCP, 80, 80, 60).result, 0);
}
END_TEST

START_TEST(profile_names)
{
	ck_assert_ptr_null(model_profile_find("no such"));
	for (size_t i = 0; model_profiles[i]; i++) {
		ck_assert_ptr_eq(model_profile_find(model_profiles[i]->name), model_profiles[i]);
		ck_assert_uint_gt(strlen(model_profiles[i]->about), 0);
	}
}
END_TEST

/* --------------------------------------------------------------- table -- */

START_TEST(seeds)
{
	uint16_t first[8];
	unsigned differ = 0;

	begin_with("rfc", SLOTS, 42);
	for (unsigned i = 0; i < 8; i++)
		first[i] = map(MODEL_UDP, 1000 + i, 0, 60).external_port;
	begin_with("rfc", SLOTS, 42);
	for (unsigned i = 0; i < 8; i++)
		ck_assert_uint_eq(map(MODEL_UDP, 1000 + i, 0, 60).external_port, first[i]);
	begin_with("rfc", SLOTS, 43);
	for (unsigned i = 0; i < 8; i++)
		differ += map(MODEL_UDP, 1000 + i, 0, 60).external_port != first[i];
	ck_assert_uint_ge(differ, 7);
}
END_TEST

/* Everything collides in it. */
START_TEST(a_tiny_table)
{
	begin_with("rfc", 2, 1);
	ck_assert_uint_eq(map(MODEL_TCP, 80, 80, 10).external_port, 80);
	ck_assert_uint_eq(map(MODEL_UDP, 80, 80, 60).external_port, 80);
	ck_assert_uint_eq(model_next_expiry(&model), now + 10 * SECOND);
	model_expire(&model, now + 10 * SECOND);
	ck_assert_uint_eq(model_next_expiry(&model), now + 60 * SECOND);
	ck_assert_uint_eq(port_of(MODEL_TCP, 80), 0);
	ck_assert_uint_eq(port_of(MODEL_UDP, 80), 80);
}
END_TEST

/* What the change hook was told, by opcode and external port. */
struct diary {
	bool live[3][65536];
	size_t count;
	size_t changes;
};

static void write_diary(void *arg, const struct model_mapping *mapping, bool came)
{
	struct diary *diary = arg;
	bool *live = &diary->live[mapping->opcode][mapping->external_port];

	check(*live != came);
	*live = came;
	diary->count += came ? 1 : (size_t)-1;
	diary->changes++;
}

START_TEST(changes_are_told)
{
	static struct diary diary;

	memset(&diary, 0, sizeof(diary));
	begin("rfc");
	model.table.on_change = write_diary;
	model.table.on_change_arg = &diary;
	map(MODEL_TCP, 80, 80, 60);
	ck_assert(diary.live[MODEL_TCP][80]);
	map(MODEL_TCP, 80, 80, 60);
	ck_assert_uint_eq(diary.changes, 1);
	model.profile.forced_port = 81;
	map(MODEL_TCP, 80, 80, 60);
	ck_assert(!diary.live[MODEL_TCP][80] && diary.live[MODEL_TCP][81]);
	ck_assert_uint_eq(model_next_expiry(&model), now + 60 * SECOND);
	model_expire(&model, now + 60 * SECOND - 1);
	ck_assert_uint_eq(diary.count, 1);
	model_expire(&model, now + 60 * SECOND);
	ck_assert_uint_eq(diary.count, 0);
	ck_assert_uint_eq(model_next_expiry(&model), UINT64_MAX);
}
END_TEST

/* A slow and simple table beside the real one, a long random life. */
struct plain {
	uint64_t expires; /* 0 = no mapping */
	uint16_t external_port;
};

static struct plain plain[2][3][256]; /* by client, opcode, internal port */

static uint32_t draw(uint64_t *seed, uint32_t below)
{
	*seed = *seed * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(*seed >> 33) % below;
}

static void compare_tables(const struct diary *diary)
{
	size_t count = 0;

	for (uint32_t client = 0; client < 2; client++)
		for (unsigned opcode = 1; opcode < 3; opcode++)
			for (uint16_t port = 1; port < 256; port++) {
				const struct plain *entry = &plain[client][opcode][port];
				uint16_t external[2] = {0};
				size_t n =
					model_lookup(&model, now, CLIENT + client,
						     (enum model_opcode)opcode, port, external, 2);

				check(n == (entry->expires > now));
				check(n == 0 || external[0] == entry->external_port);
				count += n;
			}
	ck_assert_uint_eq(model_count(&model, now), count);
	model_expire(&model, now);
	ck_assert_uint_eq(diary->count, count);
}

START_TEST(a_long_random_life)
{
	static struct diary diary;
	uint64_t seed = (uint64_t)_i;

	memset(&diary, 0, sizeof(diary));
	memset(plain, 0, sizeof(plain));
	begin_with("rfc", 300, seed);
	model.table.on_change = write_diary;
	model.table.on_change_arg = &diary;
	for (int step = 0; step < 20000; step++) {
		uint32_t client = draw(&seed, 2);
		uint16_t port = (uint16_t)(1 + draw(&seed, 255));
		int opcode = 1 + (int)draw(&seed, 2);
		uint32_t lifetime = draw(&seed, 4) ? draw(&seed, 600) : 0;
		unsigned suggested = draw(&seed, 300);
		struct plain *entry = &plain[client][opcode][port];
		struct granted granted = map_as(CLIENT + client, opcode, port, suggested, lifetime);

		if (granted.result == MODEL_NO_RESOURCES) {
			check(entry->expires <= now && model_count(&model, now) == 300);
		} else {
			check(granted.result == 0);
			if (entry->expires > now && lifetime)
				check(granted.external_port == entry->external_port);
			entry->external_port = granted.external_port;
			entry->expires = lifetime ? now + lifetime * SECOND : 0;
		}
		now += draw(&seed, 2000);
		if (step % 100 == 0)
			compare_tables(&diary);
	}
	model_restart(&model, now, false, false);
	ck_assert_uint_eq(diary.count, 0);
}
END_TEST

START_TEST(four_thousand_mappings)
{
	begin_with("rfc", 4096, 1);
	for (unsigned port = 1; port <= 4096; port++)
		ck_assert_uint_eq(map(MODEL_TCP, port, port, 7200).external_port, port);
	ck_assert_uint_eq(map(MODEL_TCP, 5000, 5000, 7200).result, MODEL_NO_RESOURCES);
	for (uint16_t port = 1; port <= 4096; port++)
		ck_assert_uint_eq(port_of(MODEL_TCP, port), port);
	for (unsigned port = 1; port <= 4096; port += 2)
		map(MODEL_TCP, port, 0, 0);
	ck_assert_uint_eq(model_count(&model, now), 2048);
	for (uint16_t port = 1; port <= 4096; port++)
		ck_assert_uint_eq(port_of(MODEL_TCP, port), port % 2 ? 0 : port);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("gateway-model");
	TCase *packets = tcase_create("packets");
	TCase *mappings = tcase_create("mappings");
	TCase *profiles = tcase_create("profiles");
	TCase *table = tcase_create("table");

	tcase_add_loop_test(packets, answers_byte_by_byte, 0, sizeof(lines) / sizeof(lines[0]));
	tcase_add_test(packets, refusal_as_the_rfc_prints_it);
	tcase_add_test(packets, announcements);
	tcase_add_test(packets, lengths);
	tcase_add_test(packets, the_longest_packet);
	tcase_add_test(packets, what_clients_must_not_do_is_noted);
	suite_add_tcase(s, packets);
	tcase_add_test(mappings, a_repeated_request_returns_the_mapping);
	tcase_add_test(mappings, lifetimes_are_clamped);
	tcase_add_test(mappings, an_external_port_belongs_to_one_client);
	tcase_add_test(mappings, the_companion_gets_the_same_port_unasked);
	tcase_add_test(mappings, deletions_reach_only_what_they_name);
	tcase_add_test(mappings, mappings_made_by_hand_stay);
	tcase_add_test(mappings, a_full_table);
	tcase_add_test(mappings, no_port_left);
	tcase_add_test(mappings, no_address);
	tcase_add_test(mappings, a_forced_port_moves_the_mapping);
	tcase_add_test(mappings, forced_zeros_are_lies);
	tcase_add_test(mappings, a_forced_lifetime_is_kept);
	tcase_add_test(mappings, a_forced_result_changes_nothing);
	tcase_add_test(mappings, the_clock);
	tcase_add_test(mappings, a_lying_clock);
	tcase_add_test(mappings, restarts);
	suite_add_tcase(s, mappings);
	tcase_add_test(profiles, profile_miniupnpd);
	tcase_add_test(profiles, private_addresses);
	tcase_add_test(profiles, profile_echo);
	tcase_add_test(profiles, profile_highport);
	tcase_add_loop_test(profiles, a_denied_suggestion_is_not_drawn_either, 0, 8);
	tcase_add_test(profiles, profile_splitports);
	tcase_add_test(profiles, profile_vpn);
	tcase_add_test(profiles, profile_vpn_named);
	tcase_add_test(profiles, profile_noaddress);
	tcase_add_test(profiles, profile_names);
	suite_add_tcase(s, profiles);
	tcase_add_test(table, seeds);
	tcase_add_test(table, a_tiny_table);
	tcase_add_test(table, changes_are_told);
	tcase_add_loop_test(table, a_long_random_life, 0, 5);
	tcase_add_test(table, four_thousand_mappings);
	tcase_set_timeout(table, 60);
	suite_add_tcase(s, table);
	return s;
}

int main(void)
{
	SRunner *runner = srunner_create(suite());
	int failed;

	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
