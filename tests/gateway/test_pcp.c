/* SPDX-License-Identifier: MIT */
/* The gateway model as a PCP server, against packets written down by hand from RFC 6887. */
#include "model.h"
#include "test_hex.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS   64
#define SECOND  ((uint64_t)1000)
#define START   (7 * SECOND)
#define ADDRESS 0xcb007105U /* 203.0.113.5 */

/* The pieces that every packet is made of. */
#define CLIENT4  "00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0a" /* 192.168.1.10 */
#define CLIENT6  "20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 10"
#define NONE4    "00 00 00 00 00 00 00 00 00 00 ff ff 00 00 00 00"
#define NONE6    "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
#define EXTERNAL "00 00 00 00 00 00 00 00 00 00 ff ff cb 00 71 05"
#define ZEROS    "00 00 00 00 00 00 00 00 00 00 00 00"
#define NONCE    "00 11 22 33 44 55 66 77 88 99 aa bb"
#define NONCE2   "0f 11 22 33 44 55 66 77 88 99 aa bb"
#define TCP      " 06 00 00 00 "
#define UDP      " 11 00 00 00 "

static struct model model;
static struct model_slot slots[SLOTS];
static uint64_t now;

static struct model_host host(const char *text)
{
	struct model_host host;

	ck_assert_uint_eq(from_hex(text, host.bytes), sizeof(host.bytes));
	return host;
}

static void begin(const char *profile)
{
	const struct model_profile *found = model_profile_find(profile);

	ck_assert_ptr_nonnull(found);
	now = START;
	model_init(&model, found, slots, SLOTS, 1, now);
	model_set_address(&model, ADDRESS);
}

/* The answer as hex with blanks; "" = silence. */
static const char *ask_from(const char *client, const char *request)
{
	struct model_host from = host(client);
	uint8_t out[MODEL_PACKET_MAX];
	uint8_t in[MODEL_PACKET_MAX];
	size_t len = from_hex(request, in);

	return to_hex(out, model_input_from(&model, now, &from, in, len, out));
}

static const char *ask(const char *request)
{
	return ask_from(CLIENT4, request);
}

/* ---------------------------------------------------------------- lines -- */

static void map_51413(void)
{
	model.profile.forced_port = 51413;
}

static void mapped_51413(void)
{
	model.profile.forced_port = 51413;
	ask("02 01 00 00 00 00 1c 20 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE4);
	model.profile.forced_port = -1;
}

static void mapped_by_another_nonce(void)
{
	ask("02 01 00 00 00 00 15 18 " CLIENT4 NONCE2 UDP "9c 40 c8 d5 " NONE4);
}

static void no_resources(void)
{
	model.profile.forced_pcp_result[MODEL_WISH_CREATE] = MODEL_PCP_NO_RESOURCES;
}

static void unsupported_version(void)
{
	model.profile.forced_pcp_result[MODEL_WISH_CREATE] = MODEL_PCP_UNSUPP_VERSION;
}

static void made_by_hand(void)
{
	ck_assert(model_add_manual(&model, now, 0xc0a8010a, MODEL_TCP, 80, 80));
}

static void tails(void)
{
	model.profile.tail = MODEL_TAIL_ERRORS;
}

static void version_three_for_long(void)
{
	model.profile.tail = MODEL_TAIL_NONE;
	model.profile.long_error_lifetime = 1800;
}

static void lingers(void)
{
	mapped_51413();
	model.profile.deletion_leaves = 90;
}

static void no_address(void)
{
	model_set_address(&model, 0);
}

/* What comes before, the request, its answer. */
static const struct line {
	const char *profile;
	const char *client;
	uint32_t clock;
	void (*before)(void);
	const char *request;
	const char *answer;
} lines[] = {
	/* ANNOUNCE */
	{"rfc-pcp", CLIENT4, 86400, NULL, "02 00 00 00 00 00 00 00 " CLIENT4,
	 "02 80 00 00 00 00 00 00 00 01 51 80 " ZEROS},
	{"pcp", CLIENT6, 0, NULL, "02 00 00 00 00 00 00 00 " CLIENT6,
	 "02 80 00 00 00 00 00 00 00 00 00 00 " ZEROS},
	{"miniupnpd", "00 00 00 00 00 00 00 00 00 00 ff ff 0a 02 00 02", 63, NULL,
	 "02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 0a 02 00 02",
	 "02 80 00 00 00 00 00 00 00 00 00 3f " ZEROS},
	{"rfc-pcp", CLIENT4, 86400, NULL,
	 "02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 0a 02 00 02",
	 "02 80 00 0c 00 00 07 08 00 01 51 80 " ZEROS},
	/* MAP */
	{"rfc-pcp", CLIENT4, 86401, map_51413,
	 "02 01 00 00 00 00 1c 20 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE4,
	 "02 81 00 00 00 00 1c 20 00 01 51 81 " ZEROS " " NONCE UDP "9c 40 c8 d5 " EXTERNAL},
	{"rfc-pcp", CLIENT4, 86401, mapped_51413,
	 "02 01 00 00 00 00 1c 20 " CLIENT4 NONCE UDP "9c 40 c8 d5 " EXTERNAL,
	 "02 81 00 00 00 00 1c 20 00 01 51 81 " ZEROS " " NONCE UDP "9c 40 c8 d5 " EXTERNAL},
	{"pcp", CLIENT6, 0x1f4, NULL,
	 "02 01 00 00 00 00 0e 10 " CLIENT6 NONCE TCP "01 bb 00 00 " NONE6,
	 "02 81 00 00 00 00 0e 10 00 00 01 f4 " ZEROS " " NONCE TCP "01 bb 01 bb " CLIENT6},
	{"rfc-pcp", CLIENT4, 0x15182, no_resources,
	 "02 01 00 00 00 00 1c 20 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE4,
	 "02 81 00 08 00 00 00 1e 00 01 51 82 " ZEROS " " NONCE UDP "9c 40 00 00 " NONE4},
	{"rfc-pcp", CLIENT4, 0x15183, mapped_by_another_nonce,
	 "02 01 00 00 00 00 1c 20 " CLIENT4 NONCE UDP "9c 40 c8 d5 " EXTERNAL,
	 "02 81 00 02 00 00 15 18 00 01 51 83 " ZEROS " " NONCE UDP "9c 40 c8 d5 " EXTERNAL},
	{"rfc-pcp", CLIENT4, 0x151e5, made_by_hand,
	 "02 01 00 00 00 00 1c 20 " CLIENT4 NONCE TCP "00 50 00 00 " NONE4,
	 "02 81 00 00 ff ff ff ff 00 01 51 e5 " ZEROS " " NONCE TCP "00 50 00 50 " EXTERNAL},
	{"rfc-pcp", "00 00 00 00 00 00 00 00 00 00 ff ff 0a 00 00 01", 0x151e6, tails,
	 "02 01 00 00 00 00 1c 20 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE4,
	 "02 81 00 0c 00 00 07 08 00 01 51 e6 00 00 00 00 00 00 ff ff c0 a8 01 0a " NONCE UDP
	 "9c 40 00 00 " NONE4},
	{"miniupnpd", CLIENT4, 5, no_address,
	 "02 01 00 00 00 00 1c 20 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE4,
	 "02 81 00 07 00 00 00 1e 00 00 00 05 " ZEROS " " NONCE UDP "9c 40 00 00 " NONE4},
	/* deletions */
	{"rfc-pcp", CLIENT4, 0x151e4, mapped_51413,
	 "02 01 00 00 00 00 00 00 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE4,
	 "02 81 00 00 00 00 00 00 00 01 51 e4 " ZEROS " " NONCE UDP "9c 40 00 00 " NONE4},
	{"rfc-pcp", CLIENT4, 0x151e4, NULL,
	 "02 01 00 00 00 00 00 00 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE4,
	 "02 81 00 00 00 00 00 00 00 01 51 e4 " ZEROS " " NONCE UDP "9c 40 00 00 " NONE4},
	{"rfc-pcp", CLIENT4, 0x151e4, lingers,
	 "02 01 00 00 00 00 00 00 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE4,
	 "02 81 00 00 00 00 00 5a 00 01 51 e4 " ZEROS " " NONCE UDP "9c 40 c8 d5 " EXTERNAL},
	{"rfc-pcp", CLIENT4, 7, mapped_by_another_nonce,
	 "02 01 00 00 00 00 00 00 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE4,
	 "02 81 00 02 00 00 15 18 00 00 00 07 " ZEROS " " NONCE UDP "9c 40 00 00 " NONE4},
	{"rfc-pcp", CLIENT4, 7, made_by_hand,
	 "02 01 00 00 00 00 00 00 " CLIENT4 NONCE TCP "00 50 00 00 " NONE4,
	 "02 81 00 02 00 00 07 08 00 00 00 07 " ZEROS " " NONCE TCP "00 50 00 00 " NONE4},
	{"miniupnpd", CLIENT4, 7, mapped_51413,
	 "02 01 00 00 00 00 00 00 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE4,
	 "02 81 00 00 00 00 00 00 00 00 00 07 " ZEROS " " NONCE UDP "9c 40 00 00 " EXTERNAL},
	{"miniupnpd", CLIENT4, 7, NULL,
	 "02 01 00 00 00 00 00 00 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE4,
	 "02 81 00 08 00 00 00 1e 00 00 00 07 " ZEROS " " NONCE UDP "9c 40 00 00 " EXTERNAL},
	{"miniupnpd", CLIENT4, 7, mapped_by_another_nonce,
	 "02 01 00 00 00 00 00 00 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE4,
	 "02 81 00 02 00 00 00 00 00 00 00 07 " ZEROS " " NONCE UDP "9c 40 00 00 " EXTERNAL},
	/* all ports, all protocols, one that has none, a port of all protocols */
	{"rfc-pcp", CLIENT4, 1, NULL,
	 "02 01 00 00 00 00 02 58 " CLIENT4 NONCE TCP "00 00 00 00 " NONE4,
	 "02 81 00 09 00 00 07 08 00 00 00 01 " ZEROS " " NONCE TCP "00 00 00 00 " NONE4},
	{"rfc-pcp", CLIENT4, 1, NULL,
	 "02 01 00 00 00 00 02 58 " CLIENT4 NONCE " 00 00 00 00 00 00 00 00 " NONE4,
	 "02 81 00 09 00 00 07 08 00 00 00 01 " ZEROS " " NONCE " 00 00 00 00 00 00 00 00 " NONE4},
	{"rfc-pcp", CLIENT4, 1, NULL,
	 "02 01 00 00 00 00 02 58 " CLIENT4 NONCE " 32 00 00 00 00 50 00 00 " NONE4,
	 "02 81 00 09 00 00 07 08 00 00 00 01 " ZEROS " " NONCE " 32 00 00 00 00 50 00 00 " NONE4},
	{"rfc-pcp", CLIENT4, 1, NULL,
	 "02 01 00 00 00 00 02 58 " CLIENT4 NONCE " 00 00 00 00 00 50 00 00 " NONE4,
	 "02 81 00 03 00 00 07 08 00 00 00 01 " ZEROS " " NONCE " 00 00 00 00 00 50 00 00 " NONE4},
	{"miniupnpd", CLIENT4, 1, NULL,
	 "02 01 00 00 00 00 02 58 " CLIENT4 NONCE TCP "00 00 00 00 " NONE4,
	 "02 81 00 03 00 00 00 00 00 00 00 01 " ZEROS " " NONCE TCP "00 00 00 00 " NONE4},
	{"rfc-pcp", CLIENT4, 1, NULL, /* the wildcard mapping, which there is not */
	 "02 01 00 00 00 00 00 00 " CLIENT4 NONCE TCP "00 00 00 00 " NONE4,
	 "02 81 00 00 00 00 00 00 00 00 00 01 " ZEROS " " NONCE TCP "00 00 00 00 " NONE4},
	/* PEER, AUTHENTICATION */
	{"pcp", CLIENT6, 0x15249, NULL,
	 "02 02 00 00 00 00 02 58 " CLIENT6 NONCE UDP "13 c4 00 00 " NONE6
	 " 13 c4 00 00 20 01 0d b8 00 09 00 00 00 00 00 00 00 00 00 07",
	 "02 82 00 04 00 00 07 08 00 01 52 49 " ZEROS " " NONCE UDP "13 c4 00 00 " NONE6
	 " 13 c4 00 00 20 01 0d b8 00 09 00 00 00 00 00 00 00 00 00 07"},
	{"rfc-pcp", CLIENT4, 1, NULL, "02 03 00 00 00 00 00 00 " CLIENT4,
	 "02 83 00 04 00 00 07 08 00 00 00 01 " ZEROS},
	/* options: PREFER_FAILURE, THIRD_PARTY, FILTER, PORT_SET */
	{"rfc-pcp", CLIENT4, 1, NULL,
	 "02 01 00 00 00 00 02 58 " CLIENT4 NONCE TCP "c3 55 c3 55 " NONE4 " 02 00 00 00",
	 "02 81 00 00 00 00 02 58 00 00 00 01 " ZEROS " " NONCE TCP "c3 55 c3 55 " EXTERNAL
	 " 02 00 00 00"},
	{"rfc-pcp", CLIENT4, 1, NULL,
	 "02 01 00 00 00 00 02 58 " CLIENT4 NONCE TCP "c3 55 00 00 " NONE4 " 02 00 00 00",
	 "02 81 00 06 00 00 07 08 00 00 00 01 " ZEROS " " NONCE TCP "c3 55 00 00 " NONE4
	 " 02 00 00 00"},
	{"miniupnpd", CLIENT4, 1, NULL,
	 "02 01 00 00 00 00 02 58 " CLIENT4 NONCE TCP "c3 55 00 00 " NONE4 " 02 00 00 00",
	 "02 81 00 06 00 00 00 00 00 00 00 01 " ZEROS " " NONCE TCP "c3 55 00 00 " NONE4
	 " 02 00 00 00"},
	{"rfc-pcp", CLIENT4, 1, NULL,
	 "02 01 00 00 00 00 02 58 " CLIENT4 NONCE TCP "c3 55 c3 55 " NONE4
	 " 02 00 00 04 00 00 00 00",
	 "02 81 00 06 00 00 07 08 00 00 00 01 " ZEROS " " NONCE TCP "c3 55 c3 55 " NONE4
	 " 02 00 00 04 00 00 00 00"},
	{"rfc-pcp", CLIENT4, 1, NULL,
	 "02 01 00 00 00 00 02 58 " CLIENT4 NONCE TCP "c3 55 c3 55 " NONE4
	 " 02 00 00 00 02 00 00 00",
	 "02 81 00 06 00 00 07 08 00 00 00 01 " ZEROS " " NONCE TCP "c3 55 c3 55 " NONE4
	 " 02 00 00 00 02 00 00 00"},
	{"rfc-pcp", CLIENT4, 1, NULL, /* longer than the packet */
	 "02 01 00 00 00 00 02 58 " CLIENT4 NONCE TCP "c3 55 c3 55 " NONE4 " 80 00 00 04",
	 "02 81 00 06 00 00 07 08 00 00 00 01 " ZEROS " " NONCE TCP "c3 55 c3 55 " NONE4
	 " 80 00 00 04"},
	{"rfc-pcp", CLIENT4, 1, NULL,
	 "02 01 00 00 00 00 02 58 " CLIENT4 NONCE TCP "00 50 00 00 " NONE4
	 " 01 00 00 10 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 32",
	 "02 81 00 05 00 00 07 08 00 00 00 01 " ZEROS " " NONCE TCP "00 50 00 00 " NONE4
	 " 01 00 00 10 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 32"},
	{"rfc-pcp", CLIENT4, 1, NULL,
	 "02 01 00 00 00 00 02 58 " CLIENT4 NONCE TCP "00 50 00 50 " NONE4
	 " 03 00 00 14 00 80 00 00 00 00 00 00 00 00 00 00 00 00 ff ff c6 33 64 07",
	 "02 81 00 05 00 00 07 08 00 00 00 01 " ZEROS " " NONCE TCP "00 50 00 50 " NONE4
	 " 03 00 00 14 00 80 00 00 00 00 00 00 00 00 00 00 00 00 ff ff c6 33 64 07"},
	{"miniupnpd", CLIENT4, 1, NULL,
	 "02 01 00 00 00 00 02 58 " CLIENT4 NONCE TCP "00 50 00 00 " NONE4
	 " 03 00 00 14 00 80 00 00 00 00 00 00 00 00 00 00 00 00 ff ff c6 33 64 07",
	 "02 81 00 00 00 00 02 58 00 00 00 01 " ZEROS " " NONCE TCP "00 50 00 50 " EXTERNAL
	 " 03 00 00 14 00 80 00 00 00 00 00 00 00 00 00 00 00 00 ff ff c6 33 64 07"},
	{"rfc-pcp", CLIENT4, 1, NULL,
	 "02 01 00 00 00 00 0e 10 " CLIENT4 NONCE UDP "c3 50 c3 50 " NONE4
	 " 82 00 00 05 00 64 c3 50 00 00 00 00",
	 "02 81 00 00 00 00 0e 10 00 00 00 01 " ZEROS " " NONCE UDP "c3 50 c3 50 " EXTERNAL},
	{"miniupnpd", CLIENT4, 1, NULL, /* comes back though nothing was done about it */
	 "02 01 00 00 00 00 0e 10 " CLIENT4 NONCE UDP "c3 50 c3 50 " NONE4
	 " 82 00 00 05 00 64 c3 50 00 00 00 00",
	 "02 81 00 00 00 00 0e 10 00 00 00 01 " ZEROS " " NONCE UDP "c3 50 c3 50 " EXTERNAL
	 " 82 00 00 05 00 64 c3 50 00 00 00 00"},
	{"rfc-pcp", CLIENT4, 1, mapped_51413,
	 "02 01 00 00 00 00 00 00 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE4
	 " 80 00 00 06 6d 79 20 61 70 70 00 00",
	 "02 81 00 06 00 00 07 08 00 00 00 01 " ZEROS " " NONCE UDP "9c 40 00 00 " NONE4
	 " 80 00 00 06 6d 79 20 61 70 70 00 00"},
	{"repcpd", CLIENT4, 1, NULL,
	 "02 01 00 00 00 00 0e 10 " CLIENT4 NONCE UDP "c3 50 c3 50 " NONE4
	 " 01 00 00 10 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 32",
	 "02 81 00 00 00 00 0e 10 00 00 00 01 " ZEROS " " NONCE UDP "c3 50 c3 50 " EXTERNAL},
	{"repcpd", CLIENT4, 1, NULL,
	 "02 01 00 00 00 00 0e 10 " CLIENT4 NONCE UDP "c3 50 c3 50 " NONE4 " 02 00 00 00",
	 "02 81 00 0b 00 00 00 1e 00 00 00 01 " ZEROS " " NONCE UDP "c3 50 c3 50 " NONE4
	 " 02 00 00 00"},
	/* lengths */
	{"rfc-pcp", CLIENT4, 1, NULL,
	 "02 01 00 00 00 00 0e 10 " CLIENT4 NONCE UDP "c3 50 c3 50 00 00 00 00",
	 "02 81 00 03 00 00 07 08 00 00 00 01 " ZEROS " " NONCE UDP "c3 50 c3 50 00 00 00 00"},
	{"rfc-pcp", CLIENT4, 1, NULL, "02 01 00 00 00 00 0e 10 " CLIENT4 " 11",
	 "02 81 00 03 00 00 07 08 00 00 00 01 00 00 00 00 00 00 ff ff c0 a8 01 0a 11 00 00 00"},
	{"rfc-pcp", CLIENT4, 1, NULL, "02 01 00 00", "02 81 00 03 00 00 07 08 00 00 00 01 " ZEROS},
	{"miniupnpd", CLIENT4, 1, NULL, "02 01 00 00 00 00 0e 10 " CLIENT4 " 11",
	 "00 80 00 03 00 00 00 00 00 00 00 01 " ZEROS},
	{"rfc-pcp", CLIENT4, 1, NULL, "02 01 00", ""},
	{"rfc-pcp", CLIENT4, 1, NULL, "02 81 00 00 00 00 00 00 " CLIENT4, ""},
	/* versions */
	{"miniupnpd", CLIENT4, 0x22b, NULL, "03 00 00 00 00 00 00 00 " CLIENT4,
	 "02 80 00 01 00 00 00 00 00 00 02 2b " ZEROS},
	{"rfc-pcp", CLIENT4, 0x22b, NULL, "01 00 00 00 00 00 00 00 " CLIENT4,
	 "02 80 00 01 00 00 07 08 00 00 02 2b 00 00 00 00 00 00 ff ff c0 a8 01 0a"},
	{"pcp3", CLIENT4, 0x22b, version_three_for_long, "02 00 00 00 00 00 00 00 " CLIENT4,
	 "03 80 00 01 00 00 07 08 00 00 02 2b " ZEROS},
	{"pcp3", CLIENT4, 0x22b, NULL, "02 00 00 00 00 00 00 00 " CLIENT4,
	 "03 80 00 01 00 00 00 3c 00 00 02 2b 00 00 00 00 00 00 ff ff c0 a8 01 0a"},
	{"rfc-pcp", CLIENT4, 0x22b, unsupported_version,
	 "02 01 00 00 00 00 1c 20 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE4,
	 "02 81 00 01 00 00 07 08 00 00 02 2b " ZEROS " " NONCE UDP "9c 40 00 00 " NONE4},
	{"pcp", CLIENT4, 0x22b, NULL, "00 00", "02 80 00 01 00 00 07 08 00 00 02 2b " ZEROS},
	{"pcp", CLIENT4, 0x22b, NULL, "00 02 00 00 00 50 00 50 00 00 1c 20",
	 "02 82 00 01 00 00 07 08 00 00 02 2b"},
	{"repcpd", CLIENT4, 1, NULL, "00 02 00 00 00 50 00 50 00 00 1c 20", ""},
	{"rfc-pcp", CLIENT4, 0x0c, NULL, "00 00", "00 80 00 00 00 00 00 0c cb 00 71 05"},
	{"rfc-pcp", CLIENT6, 1, NULL, "00 00", ""},
	/* gateways without PCP */
	{"rfc", CLIENT4, 0x4b0, NULL, "02 00 00 00 00 00 00 00 " CLIENT4,
	 "00 80 00 01 00 00 04 b0"},
	{"rfc", CLIENT6, 0x4b0, NULL, "02 00 00 00 00 00 00 00 " CLIENT6, ""},
	{"stallone", CLIENT4, 1, NULL, "02 00 00 00 00 00 00 00 " CLIENT4, "00 80 00 01"},
	{"miniupnpd-nopcp", CLIENT4, 0x4b0, NULL, "02 01 00 00 00 00 00 00 " CLIENT4,
	 "00 81 00 01 00 00 04 b0"},
	{"drops-pcp", CLIENT4, 1, NULL, "02 00 00 00 00 00 00 00 " CLIENT4, ""},
	{"drops-pcp", CLIENT4, 1, NULL, "00 00", "00 80 00 00 00 00 00 01 cb 00 71 05"},
	{"pcponly", CLIENT4, 1, NULL,
	 "02 01 00 00 00 00 1c 20 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE4,
	 "02 81 00 04 00 00 07 08 00 00 00 01 " ZEROS " " NONCE UDP "9c 40 00 00 " NONE4},
};

START_TEST(answers_byte_by_byte)
{
	const struct line *line = &lines[_i];
	uint8_t bytes[MODEL_PACKET_MAX];
	char wanted[sizeof(hex)];

	/* to_hex() sees to the blanks, and keeps one packet at a time */
	strcpy(wanted, to_hex(bytes, from_hex(line->answer, bytes)));
	begin(line->profile);
	if (line->before)
		line->before();
	model_set_clock(&model, now, line->clock);
	ck_assert_str_eq(ask_from(line->client, line->request), wanted);
}
END_TEST

/* -------------------------------------------------------------- mappings -- */

struct granted {
	unsigned result;
	uint16_t external_port;
	uint32_t lifetime;
	bool has_gateway_address; /* or, for IPv6, the client's own */
};

struct wish {
	const char *client;
	const char *nonce;
	const char *option; /* "" = none */
	int protocol;
};

static const struct wish tcp = {CLIENT4, NONCE, "", 6};
static const struct wish tcp2 = {CLIENT4, NONCE2, "", 6}; /* of another nonce */
static const struct wish pinhole = {CLIENT6, NONCE, "", 6};
static const struct wish tcp_or_fail = {CLIENT4, NONCE, "02 00 00 00", 6};
static const struct wish other = {"00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0b", NONCE, "", 6};
static const struct wish other_or_fail = {"00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0b", NONCE,
					  "02 00 00 00", 6};

static struct granted map(const struct wish *wish, unsigned internal, unsigned suggested,
			  uint32_t lifetime)
{
	struct model_host client = host(wish->client), address = host(EXTERNAL);
	bool ipv4 = model_host_is_ipv4(&client);
	char text[400];
	uint8_t in[128], out[MODEL_PACKET_MAX];
	size_t len;

	snprintf(text, sizeof(text), "02 01 00 00 %08x %s %s %02x 00 00 00 %04x %04x %s %s",
		 lifetime, wish->client, wish->nonce, (unsigned)wish->protocol, internal, suggested,
		 ipv4 ? NONE4 : NONE6, wish->option);
	len = from_hex(text, in);
	ck_assert_uint_ge(model_input_from(&model, now, &client, in, len, out), 60);
	ck_assert(out[0] == 2 && out[1] == 0x81 && memcmp(in + 24, out + 24, 18) == 0);
	return (struct granted){
		.result = out[3],
		.lifetime = (uint32_t)out[4] << 24 | (uint32_t)out[5] << 16 |
			    (uint32_t)out[6] << 8 | out[7],
		.external_port = (uint16_t)(out[42] << 8 | out[43]),
		.has_gateway_address =
			memcmp(out + 44, ipv4 ? address.bytes : client.bytes, 16) == 0,
	};
}

static const struct model_mapping *mapping_of(const struct wish *wish, uint16_t internal)
{
	struct model_host client = host(wish->client);

	return model_find(&model, now, &client, wish->protocol == 17 ? MODEL_UDP : MODEL_TCP,
			  internal, MODEL_BY_ANY, NULL);
}

static uint16_t port_of(const struct wish *wish, uint16_t internal)
{
	const struct model_mapping *mapping = mapping_of(wish, internal);

	return mapping ? mapping->external_port : 0;
}

/* TCP port 80 by NAT-PMP; what comes back. */
static const char *natpmp_80(const char *suggested_and_lifetime)
{
	char text[64];

	snprintf(text, sizeof(text), "00 02 00 00 00 50 %s", suggested_and_lifetime);
	return ask(text);
}

START_TEST(a_mapping_lives_as_long_as_granted)
{
	const struct model_mapping *mapping;
	struct granted granted;
	uint8_t nonce[MODEL_NONCE];

	begin("rfc-pcp");
	granted = map(&tcp, 80, 8080, 600);
	ck_assert_uint_eq(granted.result, 0);
	ck_assert_uint_eq(granted.external_port, 8080);
	ck_assert_uint_eq(granted.lifetime, 600);
	ck_assert(granted.has_gateway_address);
	mapping = mapping_of(&tcp, 80);
	ck_assert_ptr_nonnull(mapping);
	ck_assert_uint_eq(mapping->external_port, 8080);
	ck_assert_uint_eq(mapping->maker, MODEL_BY_PCP);
	from_hex(NONCE, nonce);
	ck_assert_mem_eq(mapping->nonce, nonce, sizeof(nonce));
	ck_assert_ptr_null(mapping_of(&other, 80));
	now += 600 * SECOND - 1;
	ck_assert_uint_eq(port_of(&tcp, 80), 8080);
	now++;
	ck_assert_ptr_null(mapping_of(&tcp, 80));
}
END_TEST

START_TEST(a_port_belongs_to_one_client)
{
	begin("rfc-pcp");
	ck_assert_uint_eq(map(&tcp, 80, 8080, 600).external_port, 8080);
	ck_assert_uint_ne(map(&other, 80, 8080, 600).external_port, 8080);
	ck_assert_uint_eq(map(&other_or_fail, 81, 8080, 600).result,
			  MODEL_PCP_CANNOT_PROVIDE_EXTERNAL);
	ck_assert_ptr_null(mapping_of(&other, 81));
	/* another port than the one it has; then that one */
	ck_assert_uint_eq(map(&tcp_or_fail, 80, 8081, 600).result,
			  MODEL_PCP_CANNOT_PROVIDE_EXTERNAL);
	ck_assert_uint_eq(map(&tcp_or_fail, 80, 8080, 600).result, 0);
	begin("miniupnpd");
	ck_assert_uint_eq(map(&tcp, 80, 8080, 600).external_port, 8080);
	ck_assert_uint_eq(map(&other_or_fail, 81, 8080, 600).external_port, 8081);
	begin("miniupnpd-2.3.11");
	ck_assert_uint_eq(map(&tcp, 80, 8080, 600).external_port, 8080);
	ck_assert_uint_eq(map(&other_or_fail, 81, 8080, 600).result,
			  MODEL_PCP_CANNOT_PROVIDE_EXTERNAL);
}
END_TEST

START_TEST(lifetimes_are_clamped)
{
	begin("miniupnpd");
	ck_assert_uint_eq(map(&tcp, 80, 0, 60).lifetime, 120);
	ck_assert_uint_eq(map(&tcp, 81, 0, UINT32_MAX).lifetime, 86400);
	ck_assert_uint_eq(map(&tcp, 82, 0, 7200).lifetime, 7200);
	/* not those of NAT-PMP */
	ck_assert_str_eq(natpmp_80("00 50 00 00 00 3c"),
			 "00 82 00 00 00 00 00 00 00 50 00 50 00 00 00 3c");
}
END_TEST

START_TEST(nonces)
{
	static const struct {
		const char *profile;
		unsigned renewal, renewal6;
		uint32_t lifetime;
	} made[] = {{"rfc-pcp", 2, 2, 600}, {"miniupnpd", 0, 0, 0}, {"miniupnpd-2.3.11", 0, 2, 0}};
	struct wish pinhole2 = {CLIENT6, NONCE2, "", 6};

	for (size_t i = 0; i < 3; i++) {
		begin(made[i].profile);
		map(&tcp, 80, 80, 600);
		map(&pinhole, 80, 0, 600);
		ck_assert_uint_eq(map(&tcp2, 80, 0, 0).result, MODEL_PCP_NOT_AUTHORIZED);
		ck_assert_uint_eq(map(&tcp2, 80, 0, 0).lifetime, made[i].lifetime);
		ck_assert_uint_eq(port_of(&tcp, 80), 80);
		ck_assert_uint_eq(map(&tcp2, 80, 80, 600).result, made[i].renewal);
		ck_assert_uint_eq(map(&pinhole2, 80, 0, 600).result, made[i].renewal6);
		/* who renewed it last may delete it */
		ck_assert_uint_eq(map(made[i].renewal ? &tcp : &tcp2, 80, 0, 0).result, 0);
		ck_assert_ptr_null(mapping_of(&tcp, 80));
		ck_assert_ptr_nonnull(mapping_of(&pinhole, 80));
	}
	begin("rfc-pcp");
	model.profile.nonces = MODEL_NONCES_NONE;
	map(&tcp, 80, 80, 600);
	ck_assert_uint_eq(map(&tcp2, 80, 0, 0).result, 0);
	ck_assert_ptr_null(mapping_of(&tcp, 80));
}
END_TEST

/* IPv6 hosts may have the same port open, and IPv4 beside them. */
START_TEST(pinholes)
{
	static const struct wish second = {"20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 11", NONCE,
					   "", 6};
	struct wish exact = {CLIENT6, NONCE, "02 00 00 00", 6};
	struct granted granted;

	begin("rfc-pcp");
	granted = map(&pinhole, 443, 0, 600);
	ck_assert_uint_eq(granted.result, 0);
	ck_assert_uint_eq(granted.external_port, 443);
	ck_assert(granted.has_gateway_address);
	ck_assert_uint_eq(map(&second, 443, 9, 600).external_port, 443);
	ck_assert_uint_eq(map(&tcp, 443, 443, 600).external_port, 443);
	ck_assert_uint_eq(model_count(&model, now), 3);
	ck_assert_uint_eq(map(&pinhole, 443, 0, 0).result, 0);
	ck_assert_ptr_null(mapping_of(&pinhole, 443));
	ck_assert_ptr_nonnull(mapping_of(&second, 443));
	ck_assert_ptr_nonnull(mapping_of(&tcp, 443));
	ck_assert_uint_eq(map(&exact, 7, 8, 600).result, MODEL_PCP_CANNOT_PROVIDE_EXTERNAL);
	ck_assert_uint_eq(map(&exact, 7, 7, 600).result, 0);
	/* no external IPv4 address: no matter */
	model_set_address(&model, 0);
	ck_assert_uint_eq(map(&pinhole, 443, 0, 600).result, 0);
	ck_assert_uint_eq(map(&tcp, 80, 80, 600).result, MODEL_PCP_NETWORK_FAILURE);
	/* miniupnpd: the renewal tells what was suggested */
	begin("miniupnpd");
	ck_assert_uint_eq(map(&pinhole, 443, 8443, 600).external_port, 443);
	ck_assert_uint_eq(map(&pinhole, 443, 8443, 600).external_port, 8443);
	ck_assert_uint_eq(model_count(&model, now), 1);
}
END_TEST

START_TEST(two_protocols_with_mappings_of_their_own)
{
	struct model_host client = host(CLIENT4);
	const struct model_mapping *first;

	begin("rfc-pcp");
	natpmp_80("1f 90 00 00 02 58");
	ck_assert_uint_eq(mapping_of(&tcp, 80)->maker, MODEL_BY_NATPMP);
	ck_assert_uint_ne(map(&tcp, 80, 8080, 600).external_port, 8080);
	ck_assert_uint_eq(model_count(&model, now), 2);
	first = model_find(&model, now, &client, MODEL_TCP, 80, MODEL_BY_ANY, NULL);
	ck_assert_ptr_nonnull(model_find(&model, now, &client, MODEL_TCP, 80, MODEL_BY_ANY, first));
	ck_assert_uint_eq(map(&tcp, 80, 0, 0).result, 0);
	ck_assert_uint_eq(port_of(&tcp, 80), 8080);
	ck_assert_ptr_null(model_find(&model, now, &client, MODEL_TCP, 80, MODEL_BY_PCP, NULL));
	ck_assert_ptr_nonnull(
		model_find(&model, now, &client, MODEL_TCP, 80, MODEL_BY_NATPMP, NULL));
	natpmp_80("00 00 00 00 00 00");
	ck_assert_uint_eq(model_count(&model, now), 0);
}
END_TEST

START_TEST(two_protocols_with_one_table)
{
	begin("miniupnpd");
	natpmp_80("1f 90 00 00 02 58");
	/* not made by PCP: nothing it may delete, but it may take it over */
	ck_assert_uint_eq(map(&tcp, 80, 0, 0).result, MODEL_PCP_NOT_AUTHORIZED);
	ck_assert_uint_eq(map(&tcp, 80, 8080, 600).external_port, 8080);
	ck_assert_uint_eq(model_count(&model, now), 1);
	ck_assert_uint_eq(mapping_of(&tcp, 80)->maker, MODEL_BY_PCP);
	/* NAT-PMP deletes none of PCP's, and says success */
	ck_assert_str_eq(natpmp_80("00 00 00 00 00 00"),
			 "00 82 00 00 00 00 00 00 00 50 00 00 00 00 00 00");
	ck_assert_str_eq(ask("00 02 00 00 00 00 00 00 00 00 00 00"),
			 "00 82 00 00 00 00 00 00 00 00 00 00 00 00 00 00");
	ck_assert_uint_eq(port_of(&tcp, 80), 8080);
	natpmp_80("1f 90 00 00 02 58");
	ck_assert_uint_eq(mapping_of(&tcp, 80)->maker, MODEL_BY_NATPMP);
	natpmp_80("00 00 00 00 00 00");
	ck_assert_ptr_null(mapping_of(&tcp, 80));
}
END_TEST

START_TEST(a_deletion_that_takes_its_time)
{
	begin("rfc-pcp");
	model.profile.deletion_leaves = 90;
	map(&tcp, 80, 80, 600);
	ck_assert_uint_eq(map(&tcp, 80, 0, 0).lifetime, 90);
	now += 30 * SECOND;
	ck_assert_uint_eq(map(&tcp, 80, 0, 0).lifetime, 60);
	now += 60 * SECOND - 1;
	ck_assert_uint_eq(port_of(&tcp, 80), 80);
	now++;
	ck_assert_ptr_null(mapping_of(&tcp, 80));
}
END_TEST

START_TEST(forced_results)
{
	begin("rfc-pcp");
	map(&tcp, 80, 80, 600);
	model.profile.forced_pcp_result[MODEL_WISH_CREATE] = MODEL_PCP_USER_EX_QUOTA;
	ck_assert_uint_eq(map(&tcp, 81, 81, 600).result, MODEL_PCP_USER_EX_QUOTA);
	ck_assert_uint_eq(map(&tcp, 81, 81, 600).lifetime, 30);
	ck_assert_uint_eq(map(&tcp, 80, 80, 600).result, 0);
	model.profile.forced_pcp_result[MODEL_WISH_RENEW] = 200;
	model.profile.forced_error_lifetime = 7;
	ck_assert_uint_eq(map(&tcp, 80, 80, 600).result, 200);
	ck_assert_uint_eq(map(&tcp, 80, 80, 600).lifetime, 7);
	ck_assert_uint_eq(map(&tcp, 80, 0, 0).result, 0);
	model.profile.forced_pcp_result[MODEL_WISH_DELETE] = MODEL_PCP_NO_RESOURCES;
	model.profile.forced_error_lifetime = 0;
	ck_assert_uint_eq(map(&tcp, 80, 0, 0).result, MODEL_PCP_NO_RESOURCES);
	ck_assert_uint_eq(map(&tcp, 80, 0, 0).lifetime, 0);
	model.profile.forced_pcp_result[MODEL_WISH_ANNOUNCE] = MODEL_PCP_NOT_AUTHORIZED;
	model.profile.forced_error_lifetime = UINT32_MAX;
	ck_assert_str_eq(ask("02 00 00 00 00 00 00 00 " CLIENT4),
			 "02 80 00 02 ff ff ff ff 00 00 00 00 " ZEROS);
}
END_TEST

START_TEST(forced_grants)
{
	begin("rfc-pcp");
	model.profile.forced_lifetime = 90;
	model.profile.forced_port = 9005;
	ck_assert_uint_eq(map(&tcp, 80, 80, 600).lifetime, 90);
	ck_assert_uint_eq(port_of(&tcp, 80), 9005);
	model.profile.forced_port = 9006; /* moves it at its renewal */
	ck_assert_uint_eq(map(&tcp, 80, 9005, 600).external_port, 9006);
	ck_assert_uint_eq(port_of(&tcp, 80), 9006);
	/* lies change nothing */
	model.profile.forced_port = 0;
	ck_assert_uint_eq(map(&tcp, 80, 9006, 600).external_port, 0);
	model.profile.forced_port = -1;
	model.profile.forced_lifetime = 0;
	ck_assert_uint_eq(map(&tcp, 80, 9006, 600).lifetime, 0);
	ck_assert_uint_eq(map(&tcp, 81, 81, 600).lifetime, 0);
	ck_assert_uint_eq(port_of(&tcp, 80), 9006);
	ck_assert_uint_eq(port_of(&tcp, 81), 0);
	model.profile.forced_lifetime = UINT32_MAX;
	ck_assert_uint_eq(map(&tcp, 80, 9006, 600).lifetime, UINT32_MAX);
}
END_TEST

START_TEST(protocols_come_and_go)
{
	begin("rfc");
	ck_assert_str_eq(ask("02 00 00 00 00 00 00 00 " CLIENT4), "00 80 00 01 00 00 00 00");
	model.profile.pcp = MODEL_PCP_TOO;
	ck_assert_uint_eq(map(&tcp, 80, 80, 600).result, 0);
	ck_assert_str_eq(ask("00 00"), "00 80 00 00 00 00 00 00 cb 00 71 05");
	model.profile.pcp = MODEL_PCP_ONLY;
	ck_assert_str_eq(ask("00 00"), "02 80 00 01 00 00 07 08 00 00 00 00 " ZEROS);
	model.profile.pcp = MODEL_PCP_NONE;
	ck_assert_str_eq(ask("02 00 00 00 00 00 00 00 " CLIENT4), "00 80 00 01 00 00 00 00");
	ck_assert_uint_eq(port_of(&tcp, 80), 80);
}
END_TEST

START_TEST(two_clocks)
{
	begin("rfc-pcp");
	model_set_clock(&model, now, 100);
	now += 5 * SECOND;
	ck_assert_uint_eq(model_clock(&model, now), 105);
	ck_assert_uint_eq(model_pcp_clock(&model, now), 105);
	model_set_pcp_clock(&model, now, 7);
	ck_assert_uint_eq(model_clock(&model, now), 105);
	ck_assert_str_eq(ask("02 00 00 00 00 00 00 00 " CLIENT4),
			 "02 80 00 00 00 00 00 00 00 00 00 07 " ZEROS);
	model_set_natpmp_clock(&model, now, 9);
	ck_assert_uint_eq(model_pcp_clock(&model, now + 999), 7);
	ck_assert_str_eq(ask("00 00"), "00 80 00 00 00 00 00 09 cb 00 71 05");
	model_restart(&model, now, true, true);
	ck_assert_uint_eq(model_pcp_clock(&model, now), 7);
	model_restart(&model, now, true, false);
	ck_assert_uint_eq(model_pcp_clock(&model, now), 0);
	ck_assert_uint_eq(model_clock(&model, now), 0);
}
END_TEST

START_TEST(a_mapping_is_told_unasked)
{
	uint8_t out[MODEL_PACKET_MAX];

	begin("rfc-pcp");
	map(&tcp, 80, 80, 600);
	map(&tcp, 81, 81, 600);
	ck_assert(!model_move(&model, mapping_of(&tcp, 80), 81));
	ck_assert(model_move(&model, mapping_of(&tcp, 80), 80));
	ck_assert(model_move(&model, mapping_of(&tcp, 80), 8080));
	ck_assert_uint_eq(port_of(&tcp, 80), 8080);
	model_set_clock(&model, now, 0x151e5);
	model_set_address(&model, 0xcb00714d);
	now += 500 * SECOND;
	ck_assert_str_eq(to_hex(out, model_pcp_update(&model, now, mapping_of(&tcp, 80), out)),
			 "02 81 00 00 00 00 00 64 00 01 53 d9 " ZEROS " " NONCE TCP
			 "00 50 1f 90 00 00 00 00 00 00 00 00 00 00 ff ff cb 00 71 4d");
}
END_TEST

/* ----------------------------------------------------------------- rules -- */

static const struct {
	const char *request;
	uint32_t rules;
} sins[] = {
	{"02 00 00 00 00 00 00 00 " CLIENT4, 0},
	{"02 01 00 00 00 00 1c 20 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE4, 0},
	{"02 01 00 00 00 00 1c 20 " CLIENT4 NONCE UDP "9c 40 00 00 " EXTERNAL, 0},
	{"02 01 00 00 00 00 00 00 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE4, 0},
	{"02 01 00 00 00 00 02 58 " CLIENT4 NONCE TCP "c3 55 c3 55 " NONE4 " 02 00 00 00", 0},
	{"02 01 00 00", MODEL_RULE_LENGTH},
	{"02 00 00 00 00 00 00 00 " CLIENT4 "00", MODEL_RULE_LENGTH},
	{"02 01 00 00 00 00 00 00 " CLIENT4, MODEL_RULE_LENGTH},
	{"02 00 01 00 00 00 00 00 " CLIENT4, MODEL_RULE_RESERVED},
	{"02 01 00 00 00 00 1c 20 " CLIENT4 NONCE "11 00 00 01 9c 40 00 00 " NONE4,
	 MODEL_RULE_RESERVED},
	{"02 80 00 00 00 00 00 00 " CLIENT4, MODEL_RULE_OPCODE},
	{"02 03 00 00 00 00 00 00 " CLIENT4, MODEL_RULE_OPCODE},
	{"01 00 00 00 00 00 00 00 " CLIENT4, MODEL_RULE_VERSION_ONE},
	{"02 00 00 00 00 00 00 01 " CLIENT4, MODEL_RULE_ANNOUNCE_LIFETIME},
	{"02 00 00 00 00 00 00 00 " NONE4, MODEL_RULE_CLIENT_ADDRESS},
	{"02 01 00 00 00 00 00 00 " CLIENT4 NONCE UDP "9c 40 9c 40 " NONE4, MODEL_RULE_DELETE_PORT},
	{"02 01 00 00 00 00 00 00 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE6,
	 MODEL_RULE_DELETE_ADDRESS},
	{"02 01 00 00 00 00 00 00 " CLIENT4 NONCE UDP "9c 40 00 00 " EXTERNAL,
	 MODEL_RULE_DELETE_ADDRESS},
	{"02 01 00 00 00 00 00 00 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE4 " 80 00 00 00",
	 MODEL_RULE_DELETE_OPTION},
	{"02 01 00 00 00 00 1c 20 " CLIENT4 NONCE UDP "9c 40 00 00 " NONE6, MODEL_RULE_FAMILY},
	{"02 01 00 00 00 00 1c 20 " CLIENT4 ZEROS UDP "9c 40 00 00 " NONE4, MODEL_RULE_NONCE},
	{"02 01 00 00 00 00 1c 20 " CLIENT4 NONCE UDP "00 00 00 00 " NONE4,
	 MODEL_RULE_INTERNAL_ZERO},
	{"02 01 00 00 00 00 02 58 " CLIENT4 NONCE TCP "c3 55 00 00 " NONE4 " 02 00 00 00",
	 MODEL_RULE_OPTION},
	{"02 01 00 00 00 00 02 58 " CLIENT4 NONCE TCP "c3 55 00 00 " NONE4 " 80 00 00 04",
	 MODEL_RULE_OPTION},
	{"02 01 00 00 00 00 02 58 " CLIENT4 NONCE TCP "00 50 00 00 " NONE4
	 " 01 00 00 10 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 32",
	 MODEL_RULE_THIRD_PARTY},
};

START_TEST(what_clients_must_not_do_is_noted)
{
	for (size_t i = 0; i < sizeof(sins) / sizeof(sins[0]); i++) {
		begin(i % 2 ? "rfc" : "rfc-pcp"); /* whether it speaks PCP or not */
		ask(sins[i].request);
		ck_assert_msg(model.broken == sins[i].rules, "%s: %x", sins[i].request,
			      model.broken);
	}
	begin("rfc-pcp");
	ask_from(CLIENT6, "02 01 00 00 00 00 1c 20 " CLIENT6 NONCE UDP "9c 40 00 00 " NONE4);
	ck_assert_uint_eq(model.broken, MODEL_RULE_FAMILY);
	ask_from(CLIENT6, "02 01 00 00 00 00 00 00 " CLIENT6 NONCE UDP "9c 40 00 00 " NONE4);
	ck_assert_uint_eq(model.broken, MODEL_RULE_DELETE_ADDRESS);
	ask_from(CLIENT6, "02 01 00 00 00 00 00 00 " CLIENT6 NONCE UDP "9c 40 00 00 " NONE6);
	ck_assert_uint_eq(model.broken, 0);
}
END_TEST

START_TEST(renewals_too_soon_are_noted)
{
	begin("rfc-pcp");
	map(&tcp, 80, 80, 600);
	now += 3 * SECOND; /* the creation again: its answer may have been lost */
	map(&tcp, 80, 80, 600);
	ck_assert_uint_eq(model.broken, 0);
	now += 4 * SECOND;
	map(&tcp, 80, 80, 600);
	ck_assert_uint_eq(model.broken, 0);
	now += 4 * SECOND - 1;
	map(&tcp, 80, 80, 600);
	ck_assert_uint_eq(model.broken, MODEL_RULE_TOO_SOON);
	map(&tcp, 81, 81, 600); /* another one */
	ck_assert_uint_eq(model.broken, 0);
	map(&tcp, 80, 0, 0);
	ck_assert_uint_eq(model.broken, 0);
	/* its clock shows a restart: all are asked for again */
	map(&tcp, 80, 80, 600);
	map(&tcp, 80, 80, 600);
	model_set_clock(&model, now, 0);
	map(&tcp, 80, 80, 600);
	ck_assert_uint_eq(model.broken, 0);
}
END_TEST

/* No byte of any packet makes it read or write where it should not. */
START_TEST(mutilated_packets)
{
	uint8_t in[MODEL_PACKET_MAX], out[MODEL_PACKET_MAX];
	struct model_host client = host(CLIENT4);

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		size_t len = from_hex(lines[i].request, in);
		uint8_t *exact = malloc(len);

		begin(lines[i].profile);
		for (size_t n = 0; n <= len; n++) {
			uint8_t *cut = malloc(n ? n : 1);

			memcpy(cut, in, n);
			model_input_from(&model, now, &client, cut, n, out);
			free(cut);
		}
		memcpy(exact, in, len);
		for (size_t bit = 0; bit < 8 * len; bit++) {
			exact[bit / 8] ^= (uint8_t)(1 << bit % 8);
			ck_assert_uint_le(model_input_from(&model, now, &client, exact, len, out),
					  MODEL_PACKET_MAX);
			exact[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		free(exact);
	}
}
END_TEST

START_TEST(the_longest_packet)
{
	uint8_t in[MODEL_PACKET_MAX + 4] = {0}, out[MODEL_PACKET_MAX];
	struct model_host client = host(CLIENT4);
	size_t len =
		from_hex("02 01 00 00 00 00 02 58 " CLIENT4 NONCE TCP "c3 55 00 00 " NONE4, in);

	from_hex("80 00 04 0c", in + len); /* 1036 bytes behind it */
	in[MODEL_PACKET_MAX - 1] = 0x5a;
	begin("miniupnpd");
	ck_assert_uint_eq(model_input_from(&model, now, &client, in, MODEL_PACKET_MAX, out),
			  MODEL_PACKET_MAX);
	ck_assert_uint_eq(out[3], 0);
	ck_assert_uint_eq(out[MODEL_PACKET_MAX - 1], 0x5a);
	begin("rfc-pcp");
	ck_assert_uint_eq(model_input_from(&model, now, &client, in, MODEL_PACKET_MAX, out), 60);
	ck_assert_uint_eq(model_input_from(&model, now, &client, in, MODEL_PACKET_MAX + 4, out), 0);
	ck_assert_uint_eq(model.broken, MODEL_RULE_LENGTH);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("gateway-pcp");
	TCase *packets = tcase_create("packets");
	TCase *mappings = tcase_create("mappings");
	TCase *rules = tcase_create("rules");

	tcase_add_loop_test(packets, answers_byte_by_byte, 0, sizeof(lines) / sizeof(lines[0]));
	tcase_add_test(packets, mutilated_packets);
	tcase_add_test(packets, the_longest_packet);
	suite_add_tcase(s, packets);
	tcase_add_test(mappings, a_mapping_lives_as_long_as_granted);
	tcase_add_test(mappings, a_port_belongs_to_one_client);
	tcase_add_test(mappings, lifetimes_are_clamped);
	tcase_add_test(mappings, nonces);
	tcase_add_test(mappings, pinholes);
	tcase_add_test(mappings, two_protocols_with_mappings_of_their_own);
	tcase_add_test(mappings, two_protocols_with_one_table);
	tcase_add_test(mappings, a_deletion_that_takes_its_time);
	tcase_add_test(mappings, forced_results);
	tcase_add_test(mappings, forced_grants);
	tcase_add_test(mappings, protocols_come_and_go);
	tcase_add_test(mappings, two_clocks);
	tcase_add_test(mappings, a_mapping_is_told_unasked);
	suite_add_tcase(s, mappings);
	tcase_add_test(rules, what_clients_must_not_do_is_noted);
	tcase_add_test(rules, renewals_too_soon_are_noted);
	suite_add_tcase(s, rules);
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
