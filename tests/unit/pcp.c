/* SPDX-License-Identifier: MIT */
/* Bytes both ways: the packets of RFC 6887 that we send or may get, and damaged ones. */
#include <stdlib.h>
#include <string.h>

#include "core/pcp.h"
#include "core/siphash.h"
#include "story.h"
#include "suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* An IPv4 address as PCP writes it, in an initialiser. */
#define V4(a, b, c, d)                                                                             \
	{                                                                                          \
		{                                                                                  \
			[10] = 0xff, 0xff, a, b, c, d                                              \
		}                                                                                  \
	}
#define V6_GATEWAY                                                                                 \
	{                                                                                          \
		{                                                                                  \
			0xfe, 0x80, [15] = 1                                                       \
		}                                                                                  \
	}
#define V6_OWN                                                                                     \
	{                                                                                          \
		{                                                                                  \
			0x20, 0x01, 0x0d, 0xb8, 0, 1, [15] = 0x10                                  \
		}                                                                                  \
	}
#define SECRET                                                                                     \
	{                                                                                          \
		0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15                               \
	}

enum { NONCE = 24, NONCE_LEN = 12, MAP_LEN = 60 };

static const struct ends v4_ends = {V4(192, 168, 1, 10), V4(192, 168, 1, 1), SECRET};
static const struct ends v6_ends = {V6_OWN, V6_GATEWAY, SECRET};

/* The nonce of a mapping, by other code than the library's. */
static void make_nonce(const struct ends *ends, uint8_t protocol, unsigned port, uint8_t *nonce)
{
	uint8_t mapping[35], hash[SIPHASH_LEN];

	memcpy(mapping, &ends->gateway, 16);
	memcpy(mapping + 16, &ends->own, 16);
	mapping[32] = protocol;
	mapping[33] = (uint8_t)(port >> 8);
	mapping[34] = (uint8_t)port;
	siphash(ends->secret, mapping, sizeof(mapping), hash);
	memcpy(nonce, hash, NONCE_LEN);
}

/* A packet in hex. The nonce of our secret takes the place of the one that a MAP packet has. */
static size_t load(const char *hex, const struct ends *ends, uint8_t bytes[RESPONSE_MAX])
{
	size_t len = from_hex(hex, 0, bytes, RESPONSE_MAX);

	if (len >= MAP_LEN)
		make_nonce(ends, bytes[36], (unsigned)bytes[40] << 8 | bytes[41], bytes + NONCE);
	return len;
}

/* In memory of exactly its size, at an odd address: sanitizers see any byte read too many. */
static struct response decode_exactly(const uint8_t *bytes, size_t len, const struct ends *ends)
{
	uint8_t *copy = malloc(len + 1);

	ck_assert_ptr_nonnull(copy);
	memcpy(copy + 1, bytes, len);
	struct response r = dialect_pcp.decode(copy + 1, len, NULL, ends);
	free(copy);
	return r;
}

static struct response decode(const char *hex, const struct ends *ends)
{
	uint8_t bytes[RESPONSE_MAX];
	size_t len = load(hex, ends, bytes);

	return decode_exactly(bytes, len, ends);
}

static void assert_same(const struct response *is, const struct response *wanted, const char *what)
{
	ck_assert_msg(is->kind == wanted->kind, "%s: kind %d", what, is->kind);
	ck_assert_msg(is->dialect == DIALECT_PCP, "%s: dialect %d", what, is->dialect);
	ck_assert_msg(is->status == wanted->status, "%s: status %d", what, is->status);
	ck_assert_msg(is->result == wanted->result, "%s: result %u", what, is->result);
	ck_assert_msg(is->has_clock == wanted->has_clock, "%s: clock? %d", what, is->has_clock);
	ck_assert_msg(is->clock == wanted->clock, "%s: clock %u", what, is->clock);
	ck_assert_msg(is->protocol == wanted->protocol, "%s: protocol %u", what, is->protocol);
	ck_assert_msg(is->internal_port == wanted->internal_port, "%s: internal port %u", what,
		      is->internal_port);
	ck_assert_msg(is->external_port == wanted->external_port, "%s: external port %u", what,
		      is->external_port);
	ck_assert_msg(is->lifetime == wanted->lifetime, "%s: lifetime %u", what, is->lifetime);
	ck_assert_msg(ip_is_equal(&is->address, &wanted->address), "%s: address", what);
	ck_assert_msg(is->retry_after == wanted->retry_after, "%s: retry after %llu ms", what,
		      (unsigned long long)is->retry_after);
}

static void assert_junk(const struct response *is, const char *what)
{
	assert_same(is, &(struct response){.kind = RESPONSE_JUNK}, what);
}

/* --- requests --- */

static const struct {
	const char *hex;
	struct message message;
} requests[] = {
	{"02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0a",
	 {.kind = ASK_ANNOUNCE}},
	{"02 00 00 00 00 00 00 00 20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 10",
	 {.kind = ASK_ANNOUNCE}},
	{"02 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 0a 02 00 02",
	 {.kind = ASK_ADDRESS}},
	/* a creation */
	{"02 01 00 00 00 00 1c 20 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0a 00 11 22 33 44 "
	 "55 66 77 88 99 aa bb 11 00 00 00 9c 40 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 00 00 "
	 "00 00",
	 {.kind = ASK_CREATE, .protocol = NATPMP_UDP, .internal_port = 40000, .lifetime = 7200}},
	/* its renewal after 203.0.113.5:51413 was assigned */
	{"02 01 00 00 00 00 1c 20 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0a 00 11 22 33 44 "
	 "55 66 77 88 99 aa bb 11 00 00 00 9c 40 c8 d5 00 00 00 00 00 00 00 00 00 00 ff ff cb 00 "
	 "71 05",
	 {.kind = ASK_CREATE,
	  .protocol = NATPMP_UDP,
	  .internal_port = 40000,
	  .suggested_port = 51413,
	  .lifetime = 7200,
	  .suggested_address = V4(203, 0, 113, 5)}},
	/* IPv6 */
	{"02 01 00 00 00 00 0e 10 20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 10 00 11 22 33 44 "
	 "55 66 77 88 99 aa bb 06 00 00 00 01 bb 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
	 "00 00",
	 {.kind = ASK_CREATE, .protocol = NATPMP_TCP, .internal_port = 443, .lifetime = 3600}},
	/* a deletion */
	{"02 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0a 00 11 22 33 44 "
	 "55 66 77 88 99 aa bb 11 00 00 00 9c 40 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 00 00 "
	 "00 00",
	 {.kind = ASK_DELETE, .protocol = NATPMP_UDP, .internal_port = 40000}},
	/* with PREFER_FAILURE */
	{"02 01 00 00 00 00 02 58 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0a 00 11 22 33 44 "
	 "55 66 77 88 99 aa bb 06 00 00 00 c3 55 c3 55 00 00 00 00 00 00 00 00 00 00 ff ff 00 00 "
	 "00 00 02 00 00 00",
	 {.kind = ASK_CREATE,
	  .protocol = NATPMP_TCP,
	  .is_exact = true,
	  .internal_port = 50005,
	  .suggested_port = 50005,
	  .lifetime = 600}},
};

/* Both ends as the request has them. */
static struct ends ends_of(const char *hex)
{
	uint8_t bytes[RESPONSE_MAX];
	struct ends ends = v4_ends;

	from_hex(hex, 0, bytes, sizeof(bytes));
	memcpy(&ends.own, bytes + 8, sizeof(ends.own));
	if (!ip_is_v4(&ends.own))
		ends.gateway = v6_ends.gateway;
	return ends;
}

static void assert_encodes(const struct message *message, const struct ends *ends, const char *hex)
{
	uint8_t wanted[RESPONSE_MAX], is[REQUEST_MAX];
	size_t len = load(hex, ends, wanted);

	memset(is, 0xa5, sizeof(is));
	ck_assert_uint_eq(dialect_pcp.encode(message, ends, is), len);
	ck_assert_mem_eq(is, wanted, len);
}

START_TEST(P10_requests_are_these_bytes)
{
	for (size_t i = 0; i < COUNT(requests); i++) {
		const struct ends ends = ends_of(requests[i].hex);
		assert_encodes(&requests[i].message, &ends, requests[i].hex);
	}
}

/* Every request there is, more or less. */
static void for_all_messages(void (*check)(const struct message *message, const struct ends *ends))
{
	static const struct ip_address addresses[] = {
		{{0}}, V4(203, 0, 113, 5), V4(0, 0, 0, 0), V6_OWN};

	for (unsigned i = 0; i < 4 * 2 * 2 * 2 * 2 * 4 * 2; i++) {
		const struct message message = {
			.kind = (uint8_t)(i % 4),
			.protocol = i / 4 % 2 ? NATPMP_UDP : NATPMP_TCP,
			.vpn = i / 8 % 2,
			.is_exact = i / 16 % 2,
			.internal_port = 40000,
			.suggested_port = i / 32 % 2 ? 40001 : 0,
			.lifetime = 7200,
			.suggested_address = addresses[i / 64 % 4],
		};
		check(&message, i / 256 ? &v6_ends : &v4_ends);
	}
}

static void check_header(const struct message *message, const struct ends *ends)
{
	uint8_t bytes[REQUEST_MAX];
	size_t len = dialect_pcp.encode(message, ends, bytes);
	bool is_map = message->kind == ASK_CREATE || message->kind == ASK_DELETE;

	ck_assert(len == 24 || len == 60 || len == 64);
	ck_assert_uint_eq(bytes[0], 2);
	ck_assert_uint_eq(bytes[1], is_map ? 1 : 0);
	ck_assert_mem_eq(bytes + 2, "\0\0", 2);
	ck_assert_mem_eq(bytes + 8, &ends->own, 16);
	if (!is_map) {
		ck_assert_uint_eq(len, 24);
		ck_assert_mem_eq(bytes + 4, "\0\0\0\0", 4); /* P47 */
		return;
	}
	ck_assert_uint_eq(bytes[36], message->protocol == NATPMP_UDP ? 17 : 6);
	ck_assert_mem_eq(bytes + 37, "\0\0\0", 3);
}

START_TEST(P10_reserved_fields_are_zero)
{
	for_all_messages(check_header);
}

static void check_version(const struct message *message, const struct ends *ends)
{
	uint8_t bytes[REQUEST_MAX];

	dialect_pcp.encode(message, ends, bytes);
	ck_assert_uint_eq(bytes[0], 2);
}

START_TEST(V4_version_1_is_never_sent)
{
	for_all_messages(check_version);
}

/* The one option is PREFER_FAILURE, where a port is to be had or none, and nowhere else. */
static void check_options(const struct message *message, const struct ends *ends)
{
	bool has_option =
		message->kind == ASK_CREATE && message->is_exact && message->suggested_port;
	uint8_t bytes[REQUEST_MAX];
	size_t len = dialect_pcp.encode(message, ends, bytes);

	ck_assert_uint_eq(len > MAP_LEN, has_option);
	if (len > MAP_LEN) {
		ck_assert_uint_eq(len, MAP_LEN + 4);
		ck_assert_mem_eq(bytes + MAP_LEN, "\2\0\0\0", 4);
	}
}

START_TEST(H11_no_option_but_prefer_failure)
{
	for_all_messages(check_options);
}

static void check_address(const struct message *message, const struct ends *ends)
{
	static const struct ip_address any_v4 = V4(0, 0, 0, 0), any_v6 = {{0}};
	const struct ip_address *wanted = ip_is_v4(&ends->own) ? &any_v4 : &any_v6;
	uint8_t bytes[REQUEST_MAX];

	if (dialect_pcp.encode(message, ends, bytes) < MAP_LEN)
		return;
	if (message->kind == ASK_CREATE && !ip_is_none(&message->suggested_address) &&
	    ip_is_v4(&message->suggested_address) == ip_is_v4(&ends->own))
		wanted = &message->suggested_address;
	ck_assert_mem_eq(bytes + 44, wanted, 16);
}

START_TEST(P16_address_is_of_our_family)
{
	for_all_messages(check_address);
}

START_TEST(P16_no_preference_in_either_family)
{
	const struct message message = {
		.kind = ASK_CREATE, .protocol = NATPMP_UDP, .internal_port = 9, .lifetime = 60};
	uint8_t bytes[REQUEST_MAX];

	dialect_pcp.encode(&message, &v4_ends, bytes);
	ck_assert_mem_eq(bytes + 42, "\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0\0", 18);
	dialect_pcp.encode(&message, &v6_ends, bytes);
	ck_assert_mem_eq(bytes + 42, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 18);
}

/* Whatever else the message says. */
START_TEST(P38_deletion_bytes)
{
	const struct message v4_message = {
		.kind = ASK_DELETE,
		.protocol = NATPMP_UDP,
		.is_exact = true,
		.internal_port = 40000,
		.suggested_port = 51413,
		.lifetime = 7200,
		.suggested_address = V4(203, 0, 113, 5),
	};
	struct message v6_message = v4_message;

	v6_message.suggested_address = v6_ends.own;
	assert_encodes(&v4_message, &v4_ends,
		       "02 01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0a "
		       "00 11 22 33 44 55 66 77 88 99 aa bb 11 00 00 00 9c 40 00 00 00 00 00 00 "
		       "00 00 00 00 00 00 ff ff 00 00 00 00");
	assert_encodes(&v6_message, &v6_ends,
		       "02 01 00 00 00 00 00 00 20 01 0d b8 00 01 00 00 00 00 00 00 00 00 00 10 "
		       "00 11 22 33 44 55 66 77 88 99 aa bb 11 00 00 00 9c 40 00 00 00 00 00 00 "
		       "00 00 00 00 00 00 00 00 00 00 00 00");
}

static void check_repetition(const struct message *message, const struct ends *ends)
{
	uint8_t first[REQUEST_MAX], again[REQUEST_MAX];

	memset(first, 0, sizeof(first));
	memset(again, 0xff, sizeof(again));
	size_t len = dialect_pcp.encode(message, ends, first);
	ck_assert_uint_eq(dialect_pcp.encode(message, ends, again), len);
	ck_assert_mem_eq(first, again, len);
}

START_TEST(P13_retransmission_is_the_same_bytes)
{
	for_all_messages(check_repetition);
}

/* --- the nonce --- */

struct nonce {
	uint8_t bytes[NONCE_LEN];
};

static struct nonce nonce_of(const struct ends *ends, uint8_t protocol, unsigned port)
{
	const struct message message = {.kind = ASK_CREATE,
					.protocol = protocol,
					.internal_port = (uint16_t)port,
					.lifetime = 7200};
	struct nonce nonce;
	uint8_t bytes[REQUEST_MAX];

	dialect_pcp.encode(&message, ends, bytes);
	memcpy(nonce.bytes, bytes + NONCE, NONCE_LEN);
	return nonce;
}

static int compare_nonces(const void *a, const void *b)
{
	return memcmp(a, b, NONCE_LEN);
}

static void assert_distinct(struct nonce *nonces, size_t count)
{
	qsort(nonces, count, sizeof(*nonces), compare_nonces);
	for (size_t i = 1; i < count; i++)
		ck_assert(compare_nonces(&nonces[i - 1], &nonces[i]) != 0);
}

START_TEST(P14_a_thousand_secrets_give_a_thousand_nonces)
{
	static struct nonce nonces[1000];
	struct ends ends = v4_ends;

	for (unsigned i = 0; i < COUNT(nonces); i++) {
		ends.secret[i % SECRET_LEN]++;
		nonces[i] = nonce_of(&ends, NATPMP_TCP, 80);
	}
	assert_distinct(nonces, COUNT(nonces));
}

START_TEST(P14_each_mapping_has_a_nonce)
{
	static struct nonce nonces[2 * 65536];

	for (unsigned i = 0; i < COUNT(nonces); i++)
		nonces[i] = nonce_of(&v4_ends, i % 2 ? NATPMP_TCP : NATPMP_UDP, i / 2);
	assert_distinct(nonces, COUNT(nonces));
}

START_TEST(P14_each_server_and_own_address_has_a_nonce)
{
	struct nonce nonces[1 + 2 * 16 + 1];
	struct ends ends = v4_ends;
	size_t count = 0;

	nonces[count++] = nonce_of(&ends, NATPMP_UDP, 40000);
	for (size_t i = 0; i < 16; i++) {
		ends = v4_ends;
		ends.gateway.bytes[i] ^= 1;
		nonces[count++] = nonce_of(&ends, NATPMP_UDP, 40000);
		ends = v4_ends;
		ends.own.bytes[i] ^= 1;
		nonces[count++] = nonce_of(&ends, NATPMP_UDP, 40000);
	}
	/* each in the place of the other */
	ends = (struct ends){v4_ends.gateway, v4_ends.own, SECRET};
	nonces[count++] = nonce_of(&ends, NATPMP_UDP, 40000);
	assert_distinct(nonces, count);
}

/* A change of these breaks all mappings of programs that kept their secret. They are of openssl. */
START_TEST(P15_nonce_outlives_the_process)
{
	const struct nonce v4_udp = nonce_of(&v4_ends, NATPMP_UDP, 40000);
	const struct nonce v6_tcp = nonce_of(&v6_ends, NATPMP_TCP, 443);
	uint8_t wanted[NONCE_LEN];

	from_hex("a7 b4 f3 76 01 83 1a 27 66 61 27 f3", 0, wanted, sizeof(wanted));
	ck_assert_mem_eq(v4_udp.bytes, wanted, NONCE_LEN);
	from_hex("46 da 0c a6 41 12 5e 36 50 6d 9c 86", 0, wanted, sizeof(wanted));
	ck_assert_mem_eq(v6_tcp.bytes, wanted, NONCE_LEN);
}

static void check_same_nonce(const struct message *message, const struct ends *ends)
{
	const struct nonce wanted = nonce_of(ends, message->protocol, message->internal_port);
	uint8_t bytes[REQUEST_MAX];

	if (dialect_pcp.encode(message, ends, bytes) >= MAP_LEN)
		ck_assert_mem_eq(bytes + NONCE, wanted.bytes, NONCE_LEN);
}

START_TEST(P15_renewal_and_deletion_have_the_nonce_of_the_creation)
{
	for_all_messages(check_same_nonce);
}

/* --- responses --- */

#define ANNOUNCE_IS RESPONSE_ADDRESS, .has_clock = true
#define UDP_IS      RESPONSE_MAPPING, .has_clock = true, .protocol = NATPMP_UDP
#define TCP_IS      RESPONSE_MAPPING, .has_clock = true, .protocol = NATPMP_TCP
#define BAD_VERSION RESPONSE_BAD_VERSION, .status = NATPMP_E_VERSION, .result = 1

static const struct {
	const char *hex;
	struct response response;
} responses[] = {
	/* ANNOUNCE */
	{"02 80 00 00 00 00 00 00 00 01 51 80 00 00 00 00 00 00 00 00 00 00 00 00",
	 {ANNOUNCE_IS, .clock = 86400}},
	{"02 80 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", {ANNOUNCE_IS}},
	{"02 80 00 00 00 00 00 00 00 00 00 3f 00 00 00 00 00 00 00 00 00 00 00 00",
	 {ANNOUNCE_IS, .clock = 63}},
	{"02 80 00 0c 00 00 07 08 00 01 51 80 00 00 00 00 00 00 00 00 00 00 00 00",
	 {ANNOUNCE_IS, .clock = 86400, .status = NATPMP_E_ADDRESS_MISMATCH, .result = 12,
	  .retry_after = 1800000}},
	/* MAP */
	{"02 81 00 00 00 00 1c 20 00 01 51 81 00 00 00 00 00 00 00 00 00 00 00 00 00 11 22 33 44 "
	 "55 66 77 88 99 aa bb 11 00 00 00 9c 40 c8 d5 00 00 00 00 00 00 00 00 00 00 ff ff cb 00 "
	 "71 05",
	 {UDP_IS, .clock = 86401, .internal_port = 40000, .external_port = 51413, .lifetime = 7200,
	  .address = V4(203, 0, 113, 5)}},
	{"02 81 00 00 00 00 0e 10 00 00 01 f4 00 00 00 00 00 00 00 00 00 00 00 00 00 11 22 33 44 "
	 "55 66 77 88 99 aa bb 06 00 00 00 01 bb 01 bb 20 01 0d b8 00 01 00 00 00 00 00 00 00 00 "
	 "00 10",
	 {TCP_IS, .clock = 500, .internal_port = 443, .external_port = 443, .lifetime = 3600,
	  .address = V6_OWN}},
	{"02 81 00 08 00 00 00 1e 00 01 51 82 00 00 00 00 00 00 00 00 00 00 00 00 00 11 22 33 44 "
	 "55 66 77 88 99 aa bb 11 00 00 00 9c 40 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 00 00 "
	 "00 00",
	 {UDP_IS, .clock = 86402, .status = NATPMP_E_NO_RESOURCES, .result = 8,
	  .internal_port = 40000, .retry_after = 30000}},
	{"02 81 00 02 00 00 15 18 00 01 51 83 00 00 00 00 00 00 00 00 00 00 00 00 00 11 22 33 44 "
	 "55 66 77 88 99 aa bb 11 00 00 00 9c 40 c8 d5 00 00 00 00 00 00 00 00 00 00 ff ff cb 00 "
	 "71 05",
	 {UDP_IS, .clock = 86403, .status = NATPMP_E_NOT_AUTHORIZED, .result = 2,
	  .internal_port = 40000, .retry_after = 5400000}},
	{"02 81 00 00 00 00 00 00 00 01 51 e4 00 00 00 00 00 00 00 00 00 00 00 00 00 11 22 33 44 "
	 "55 66 77 88 99 aa bb 11 00 00 00 9c 40 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 00 00 "
	 "00 00",
	 {UDP_IS, .clock = 86500, .internal_port = 40000, .address = V4(0, 0, 0, 0)}},
	{"02 81 00 00 ff ff ff ff 00 01 51 e5 00 00 00 00 00 00 00 00 00 00 00 00 00 11 22 33 44 "
	 "55 66 77 88 99 aa bb 06 00 00 00 00 50 00 50 00 00 00 00 00 00 00 00 00 00 ff ff cb 00 "
	 "71 05",
	 {TCP_IS, .clock = 86501, .internal_port = 80, .external_port = 80, .lifetime = 86400,
	  .address = V4(203, 0, 113, 5)}},
	{"02 81 00 0c 00 00 07 08 00 01 51 e6 00 00 00 00 00 00 ff ff c0 a8 01 0a 00 11 22 33 44 "
	 "55 66 77 88 99 aa bb 11 00 00 00 9c 40 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 00 00 "
	 "00 00",
	 {UDP_IS, .clock = 86502, .status = NATPMP_E_ADDRESS_MISMATCH, .result = 12,
	  .internal_port = 40000, .retry_after = 1800000}},
	/* the edges of every field */
	{"02 81 ff 00 ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff 00 11 22 33 44 "
	 "55 66 77 88 99 aa bb 06 ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff ff "
	 "ff ff",
	 {TCP_IS, .clock = 0xffffffff, .internal_port = 65535, .external_port = 65535,
	  .lifetime = 86400,
	  .address = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		       0xff, 0xff, 0xff}}}},
	/* unsupported version: of a gateway with version 3, of a PCP gateway to NAT-PMP, at odds
	 * with itself, and as short as can be */
	{"03 80 00 01 00 00 07 08 00 00 02 2b 00 00 00 00 00 00 00 00 00 00 00 00",
	 {BAD_VERSION, .retry_after = 1800000}},
	{"02 80 00 01 00 00 07 08 00 00 02 2b 00 00 00 00 00 00 00 00 00 00 00 00",
	 {BAD_VERSION, .retry_after = 1800000}},
	{"02 82 00 01 00 00 07 08 00 00 02 2b", {BAD_VERSION, .retry_after = 1800000}},
	{"02 81 00 01 00 00 07 08 00 00 02 2b 00 00 00 00 00 00 00 00 00 00 00 00",
	 {BAD_VERSION, .retry_after = 1800000}},
	{"02 80 00 01", {BAD_VERSION}},
};

/* Packets of others, and such as we may not believe. */
static const char *const junk[] = {
	/* PEER: success, CANNOT_PROVIDE_EXTERNAL, UNSUPP_OPCODE */
	"02 82 00 00 00 00 0e 10 00 01 52 48 00 00 00 00 00 00 00 00 00 00 00 00 00 11 22 33 44 55 "
	"66 77 88 99 aa bb 06 00 00 00 c3 5b c3 5b 00 00 00 00 00 00 00 00 00 00 ff ff cb 00 71 05 "
	"01 bb 00 00 00 00 00 00 00 00 00 00 00 00 ff ff c6 33 64 07",
	"02 82 00 0b 00 00 00 78 00 00 00 0c 00 00 00 00 00 00 00 00 00 00 00 00 00 11 22 33 44 55 "
	"66 77 88 99 aa bb 06 00 00 00 c3 5b c3 5b 00 00 00 00 00 00 00 00 00 00 ff ff cb 00 71 05 "
	"01 bb 00 00 00 00 00 00 00 00 00 00 00 00 ff ff c6 33 64 07",
	"02 82 00 04 00 00 07 08 00 01 52 49 00 00 00 00 00 00 00 00 00 00 00 00 00 11 22 33 44 55 "
	"66 77 88 99 aa bb 11 00 00 00 13 c4 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 "
	"13 c4 00 00 20 01 0d b8 00 09 00 00 00 00 00 00 00 00 00 07",
	/* a PEER request; MAP requests of all TCP ports, of all protocols, with THIRD_PARTY, with
	 * FILTER, with PORT_SET */
	"02 02 00 00 00 00 0e 10 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0a 00 11 22 33 44 55 "
	"66 77 88 99 aa bb 06 00 00 00 c3 5b 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 00 00 00 00 "
	"01 bb 00 00 00 00 00 00 00 00 00 00 00 00 ff ff c6 33 64 07",
	"02 01 00 00 00 00 02 58 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0a 00 11 22 33 44 55 "
	"66 77 88 99 aa bb 06 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 00 00 00 00",
	"02 01 00 00 00 00 02 58 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0a 00 11 22 33 44 55 "
	"66 77 88 99 aa bb 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 00 00 00 00",
	"02 01 00 00 00 00 02 58 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0a 00 11 22 33 44 55 "
	"66 77 88 99 aa bb 06 00 00 00 00 50 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 00 00 00 00 "
	"01 00 00 10 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 32",
	"02 01 00 00 00 00 02 58 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0a 00 11 22 33 44 55 "
	"66 77 88 99 aa bb 06 00 00 00 00 50 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 00 00 00 00 "
	"03 00 00 14 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 03 00 00 14 00 80 "
	"00 00 00 00 00 00 00 00 00 00 00 00 ff ff c6 33 64 07",
	"02 01 00 00 00 00 0e 10 00 00 00 00 00 00 00 00 00 00 ff ff c0 a8 01 0a 00 11 22 33 44 55 "
	"66 77 88 99 aa bb 11 00 00 00 c3 50 00 00 00 00 00 00 00 00 00 00 00 00 ff ff 00 00 00 00 "
	"82 00 00 05 00 64 c3 50 00 00 00 00",
	/* of a mapping of all protocols, and of SCTP, with a nonce of our secret */
	"02 81 00 00 00 00 1c 20 00 01 51 81 00 00 00 00 00 00 00 00 00 00 00 00 00 11 22 33 44 55 "
	"66 77 88 99 aa bb 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 ff ff cb 00 71 05",
	"02 81 00 00 00 00 1c 20 00 01 51 81 00 00 00 00 00 00 00 00 00 00 00 00 00 11 22 33 44 55 "
	"66 77 88 99 aa bb 84 00 00 00 9c 40 c8 d5 00 00 00 00 00 00 00 00 00 00 ff ff cb 00 71 05",
	/* no room for a nonce */
	"02 81 00 00 00 00 1c 20 00 01 51 81 00 00 00 00 00 00 00 00 00 00 00 00",
	"02 81 00 08 00 00 00 1e 00 01 51 82 00 00 00 00 00 00 00 00 00 00 00 00",
	/* AUTHENTICATION, and the last opcode */
	"02 83 00 00 00 00 00 00 00 01 51 80 00 00 00 00 00 00 00 00 00 00 00 00",
	"02 ff 00 00 00 00 00 00 00 01 51 80 00 00 00 00 00 00 00 00 00 00 00 00",
	/* other versions; NAT-PMP, and what it says to ours */
	"03 80 00 00 00 00 00 00 00 01 51 80 00 00 00 00 00 00 00 00 00 00 00 00",
	"ff 80 00 00 00 00 00 00 00 01 51 80 00 00 00 00 00 00 00 00 00 00 00 00",
	"01 80 00 00 00 00 00 00 00 01 51 80 00 00 00 00 00 00 00 00 00 00 00 00",
	"01 80 00 01 00 00 00 00 00 01 51 80 00 00 00 00 00 00 00 00 00 00 00 00",
	"00 80 00 01 00 00 04 b0",
	"00 00 00 01 00 00 04 b0",
	"00 81 00 01 00 00 04 b0",
	"00 80 00 00 00 01 51 80 cb 00 71 05",
	"00 81 00 00 00 01 51 82 1a e1 c8 d5 00 00 0e 10",
	/* 24 bytes of version 0, as one server answers to a length that it does not like */
	"00 80 00 03 00 00 00 00 00 00 02 2b 00 00 00 00 00 00 00 00 00 00 00 00",
};

START_TEST(P22_responses_are_read)
{
	for (size_t i = 0; i < COUNT(responses); i++) {
		struct response is = decode(responses[i].hex, &v4_ends);
		assert_same(&is, &responses[i].response, responses[i].hex);
		is = decode(responses[i].hex, &v6_ends);
		assert_same(&is, &responses[i].response, responses[i].hex);
	}
}

START_TEST(P22_other_packets_are_junk)
{
	for (size_t i = 0; i < COUNT(junk); i++) {
		struct response is = decode(junk[i], &v4_ends);
		assert_junk(&is, junk[i]);
	}
}

/* A gateway that reflects a request has said nothing. */
START_TEST(P22_requests_are_no_answers)
{
	for (size_t i = 0; i < COUNT(requests); i++) {
		const struct ends ends = ends_of(requests[i].hex);
		struct response is = decode(requests[i].hex, &ends);
		assert_junk(&is, requests[i].hex);
	}
}

/* A response says what it answers: what was asked makes no difference (P25). */
START_TEST(P25_read_beside_any_question)
{
	for (size_t i = 0; i < COUNT(responses); i++) {
		uint8_t bytes[RESPONSE_MAX];
		size_t len = load(responses[i].hex, &v4_ends, bytes);

		for (size_t j = 0; j < COUNT(requests); j++) {
			struct response is =
				dialect_pcp.decode(bytes, len, &requests[j].message, &v4_ends);
			assert_same(&is, &responses[i].response, responses[i].hex);
		}
	}
}

static const char granted[] =
	"02 81 00 00 00 00 1c 20 00 01 51 81 00 00 00 00 00 00 00 00 00 00 00 00 00 11 22 33 44 55 "
	"66 77 88 99 aa bb 11 00 00 00 9c 40 c8 d5 00 00 00 00 00 00 00 00 00 00 ff ff cb 00 71 05";
static const char announced[] =
	"02 80 00 00 00 00 00 00 00 01 51 80 00 00 00 00 00 00 00 00 00 00 00 00";

START_TEST(P22_length_has_4_bytes_at_least)
{
	uint8_t bytes[RESPONSE_MAX];

	load(announced, &v4_ends, bytes);
	bytes[3] = 1; /* from 4 bytes on, this can be read */
	for (size_t len = 0; len < 4; len++) {
		struct response is = decode_exactly(bytes, len, &v4_ends);
		assert_junk(&is, "short");
	}
	ck_assert_int_eq(decode_exactly(bytes, 4, &v4_ends).kind, RESPONSE_BAD_VERSION);
}

START_TEST(P22_response_bit)
{
	uint8_t bytes[RESPONSE_MAX];
	size_t len = load(granted, &v4_ends, bytes);

	bytes[1] &= 0x7f;
	for (unsigned result = 0; result < 256; result++) {
		bytes[3] = (uint8_t)result;
		struct response is = decode_exactly(bytes, len, &v4_ends);
		assert_junk(&is, "no response bit");
	}
}

START_TEST(P22_versions)
{
	uint8_t bytes[RESPONSE_MAX];
	size_t len = load(granted, &v4_ends, bytes);

	for (unsigned version = 0; version < 256; version++) {
		bytes[0] = (uint8_t)version;
		bytes[3] = 0;
		struct response is = decode_exactly(bytes, len, &v4_ends);
		ck_assert_uint_eq(is.kind, version == 2 ? RESPONSE_MAPPING : RESPONSE_JUNK);
		bytes[3] = 1;
		is = decode_exactly(bytes, len, &v4_ends);
		ck_assert_uint_eq(is.kind, version < 2 ? RESPONSE_JUNK : RESPONSE_BAD_VERSION);
		ck_assert(!is.has_clock);
	}
}

/* Its check comes before those of length and opcode. */
START_TEST(P22_unsupported_version_of_any_length_and_opcode)
{
	uint8_t bytes[1200] = {2, 0x80, 0, 1, 0, 0, 0, 60, 0xff, 0xff, 0xff, 0xff};

	for (size_t len = 4; len <= sizeof(bytes); len = len < 70 ? len + 1 : len + 113) {
		for (unsigned opcode = 0; opcode < 128; opcode++) {
			bytes[1] = (uint8_t)(0x80 | opcode);
			struct response is = decode_exactly(bytes, len, &v4_ends);
			const struct response wanted = {BAD_VERSION,
							.retry_after = len < 8 ? 0 : 60000};
			assert_same(&is, &wanted, "result 1");
		}
	}
}

static void assert_length(const char *hex, size_t len, bool is_good)
{
	uint8_t bytes[1200] = {0};

	load(hex, &v4_ends, bytes);
	struct response is = decode_exactly(bytes, len, &v4_ends);
	ck_assert_msg((is.kind != RESPONSE_JUNK) == is_good, "%zu bytes of %s", len, hex);
	if (!is_good)
		assert_junk(&is, hex);
}

START_TEST(P22_length_is_a_multiple_of_4_up_to_1100)
{
	for (size_t len = 0; len <= 1200; len++) {
		assert_length(announced, len, len >= 24 && len <= 1100 && len % 4 == 0);
		assert_length(granted, len, len >= 60 && len <= 1100 && len % 4 == 0);
	}
	ck_assert_uint_gt(RESPONSE_MAX, 1100); /* else a longer one would look like that long */
}

START_TEST(P22_opcodes)
{
	uint8_t bytes[RESPONSE_MAX];
	size_t len = load(granted, &v4_ends, bytes);

	for (unsigned opcode = 0; opcode < 128; opcode++) {
		bytes[1] = (uint8_t)(0x80 | opcode);
		struct response is = decode_exactly(bytes, len, &v4_ends);
		ck_assert_uint_eq(is.kind, opcode == 0   ? RESPONSE_ADDRESS
					   : opcode == 1 ? RESPONSE_MAPPING
							 : RESPONSE_JUNK);
		if (opcode > 1)
			assert_junk(&is, "opcode");
	}
}

/* What a prefix of that length is to be taken for. */
static void check_prefixes(const char *hex)
{
	uint8_t bytes[RESPONSE_MAX];
	size_t len = load(hex, &v4_ends, bytes);
	const struct response whole = decode_exactly(bytes, len, &v4_ends);

	for (size_t n = 0; n <= len; n++) {
		const size_t least = whole.kind == RESPONSE_BAD_VERSION ? 4
				     : whole.kind == RESPONSE_ADDRESS   ? 24
									: 60;
		struct response wanted = whole;
		struct response is = decode_exactly(bytes, n, &v4_ends);
		if (n < least || (n % 4 && whole.kind != RESPONSE_BAD_VERSION))
			wanted = (struct response){.kind = RESPONSE_JUNK};
		if (n < 8)
			wanted.retry_after = 0;
		assert_same(&is, &wanted, hex);
	}
}

static void for_all_packets(void (*check)(const char *hex))
{
	for (size_t i = 0; i < COUNT(requests); i++)
		check(requests[i].hex);
	for (size_t i = 0; i < COUNT(responses); i++)
		check(responses[i].hex);
	for (size_t i = 0; i < COUNT(junk); i++)
		check(junk[i]);
}

START_TEST(P22_every_prefix_of_every_packet)
{
	for_all_packets(check_prefixes);
}

START_TEST(P22_packets_at_any_address)
{
	uint8_t room[RESPONSE_MAX], bytes[MAP_LEN + 8];

	load(granted, &v4_ends, room);
	for (size_t offset = 0; offset < 8; offset++) {
		memcpy(bytes + offset, room, MAP_LEN);
		struct response is = dialect_pcp.decode(bytes + offset, MAP_LEN, NULL, &v4_ends);
		ck_assert_uint_eq(is.clock, 86401);
		ck_assert_uint_eq(is.internal_port, 40000);
		ck_assert_uint_eq(is.external_port, 51413);
		ck_assert_uint_eq(is.lifetime, 7200);
	}
}

/* --- whom to believe --- */

static bool is_of_the_match(size_t byte)
{
	return (byte >= NONCE && byte <= 36) || byte == 40 || byte == 41;
}

/* Each bit of nonce, protocol and internal port counts; of the rest only version, response bit,
 * opcode and result make it something else. */
START_TEST(P24_every_bit_flipped_of_a_grant)
{
	uint8_t bytes[RESPONSE_MAX];
	size_t len = load(granted, &v4_ends, bytes);

	for (size_t bit = 0; bit < 8 * len; bit++) {
		size_t byte = bit / 8;
		bytes[byte] ^= (uint8_t)(1U << bit % 8);
		struct response is = decode_exactly(bytes, len, &v4_ends);
		bytes[byte] ^= (uint8_t)(1U << bit % 8);
		if (is_of_the_match(byte))
			assert_junk(&is, "nonce, protocol or port");
		else if (byte >= 2 && byte != 3)
			ck_assert_msg(is.kind == RESPONSE_MAPPING, "bit %zu", bit);
	}
}

static void assert_stranger(const uint8_t *bytes, const struct ends *ends)
{
	struct response is = decode_exactly(bytes, MAP_LEN, ends);

	assert_junk(&is, "another end");
}

START_TEST(P24_answers_to_another_end)
{
	uint8_t bytes[RESPONSE_MAX];

	load(granted, &v4_ends, bytes);
	for (size_t bit = 0; bit < 128; bit++) {
		const uint8_t flip = (uint8_t)(1U << bit % 8);
		struct ends ends = v4_ends;
		ends.own.bytes[bit / 8] ^= flip;
		assert_stranger(bytes, &ends);
		ends = v4_ends;
		ends.gateway.bytes[bit / 8] ^= flip;
		assert_stranger(bytes, &ends);
		ends = v4_ends;
		ends.secret[bit / 8] ^= flip;
		assert_stranger(bytes, &ends);
	}
}

/* The nonce of one mapping proves nothing for another one. */
START_TEST(P24_nonce_of_another_mapping)
{
	uint8_t bytes[RESPONSE_MAX];

	load(granted, &v4_ends, bytes);
	make_nonce(&v4_ends, 6, 40000, bytes + NONCE);
	assert_stranger(bytes, &v4_ends);
	make_nonce(&v4_ends, 17, 40001, bytes + NONCE);
	assert_stranger(bytes, &v4_ends);
	make_nonce(&v4_ends, 17, 40000, bytes + NONCE);
	ck_assert_int_eq(decode_exactly(bytes, MAP_LEN, &v4_ends).kind, RESPONSE_MAPPING);
}

/* Whatever is damaged: no more than what the format allows comes out of it. */
static void check_flips(const char *hex)
{
	uint8_t bytes[RESPONSE_MAX], nonce[NONCE_LEN];
	size_t len = load(hex, &v4_ends, bytes);

	for (size_t bit = 0; bit < 8 * len; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
		struct response is = decode_exactly(bytes, len, &v4_ends);
		if (is.has_clock)
			ck_assert_msg(bytes[0] == 2 && len >= 24, "bit %zu of %s", bit, hex);
		if (is.kind == RESPONSE_MAPPING) {
			make_nonce(&v4_ends, bytes[36], is.internal_port, nonce);
			ck_assert_mem_eq(bytes + NONCE, nonce, NONCE_LEN);
		}
		if (is.result)
			ck_assert_msg(!is.external_port && !is.lifetime && ip_is_none(&is.address),
				      "bit %zu of %s", bit, hex);
		bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
}

START_TEST(P24_every_bit_of_every_packet_flipped)
{
	for_all_packets(check_flips);
}

/* --- options --- */

/* With these bytes at its end, the packet says what it says without them. */
static void assert_tail_is_ignored(const char *hex, const char *tail)
{
	uint8_t bytes[RESPONSE_MAX];
	size_t len = load(hex, &v4_ends, bytes);
	const struct response wanted = decode_exactly(bytes, len, &v4_ends);

	ck_assert(wanted.kind != RESPONSE_JUNK);
	len += from_hex(tail, 0, bytes + len, sizeof(bytes) - len);
	struct response is = decode_exactly(bytes, len, &v4_ends);
	assert_same(&is, &wanted, tail);
}

START_TEST(P26_options_are_ignored)
{
	static const char *const tails[] = {
		"02 00 00 00",                         /* the request's, sent back */
		"05 00 00 04 01 02 03 04",             /* mandatory, unknown to us */
		"63 00 00 00",                         /* 99 */
		"c8 00 00 05 01 02 03 04 05 00 00 00", /* 200, optional, padded */
		"c8 00 00 05 01 02 03 04",             /* longer than the packet */
		"05 00 ff ff",                         /* as long as can be */
		"63 00 04 4c 00 00 00 00",             /* 1100 */
		"00 00 00 00 00 00 00 00",             /* length 0 */
		"05 00 00 01 aa 63 00 00",             /* no padding before the next one */
		"01 00 00 10 00 00 00 00",             /* THIRD_PARTY, cut short */
		"ff ff ff ff ff ff ff ff",
	};
	static const char refused[] =
		"02 81 00 05 00 00 07 08 00 01 51 82 00 00 00 00 00 00 00 00 00 00 00 00 00 11 22 "
		"33 44 55 66 77 88 99 aa bb 11 00 00 00 9c 40 00 00 00 00 00 00 00 00 00 00 00 00 "
		"ff ff 00 00 00 00";

	for (size_t i = 0; i < COUNT(tails); i++) {
		assert_tail_is_ignored(granted, tails[i]);
		assert_tail_is_ignored(announced, tails[i]);
		assert_tail_is_ignored(refused, tails[i]);
	}
}

/* An option without its padding makes a length that no packet has. */
START_TEST(P26_missing_padding_at_the_end)
{
	uint8_t bytes[RESPONSE_MAX];
	size_t len = load(granted, &v4_ends, bytes);

	len += from_hex("c8 00 00 05 01 02 03 04 05", 0, bytes + len, sizeof(bytes) - len);
	struct response is = decode_exactly(bytes, len, &v4_ends);
	assert_junk(&is, "9 bytes of option");
}

/* --- results and times --- */

static int wanted_status(unsigned result)
{
	switch (result) {
	case 0:
		return NATPMP_OK;
	case 1:
		return NATPMP_E_VERSION;
	case 2:
		return NATPMP_E_NOT_AUTHORIZED;
	case 3:
	case 6:
		return NATPMP_E_MALFORMED;
	case 4:
		return NATPMP_E_OPCODE;
	case 5:
		return NATPMP_E_OPTION;
	case 7:
		return NATPMP_E_NETWORK_FAILURE;
	case 8:
		return NATPMP_E_NO_RESOURCES;
	case 9:
		return NATPMP_E_PROTOCOL;
	case 10:
		return NATPMP_E_QUOTA;
	case 11:
		return NATPMP_E_OTHER_PORT;
	case 12:
		return NATPMP_E_ADDRESS_MISMATCH;
	default:
		return NATPMP_E_RESULT;
	}
}

/* A grant or a refusal with that result and lifetime. */
static struct response decode_result(const char *hex, unsigned result, uint32_t lifetime)
{
	uint8_t bytes[RESPONSE_MAX];
	size_t len = load(hex, &v4_ends, bytes);

	bytes[3] = (uint8_t)result;
	for (unsigned i = 0; i < 4; i++)
		bytes[4 + i] = (uint8_t)(lifetime >> (24 - 8 * i));
	return decode_exactly(bytes, len, &v4_ends);
}

START_TEST(P22_result_codes)
{
	for (unsigned result = 0; result < 256; result++) {
		struct response map = decode_result(granted, result, 7200);
		struct response announce = decode_result(announced, result, 7200);

		ck_assert_int_eq(map.status, wanted_status(result));
		ck_assert_int_eq(announce.status, wanted_status(result));
		ck_assert_uint_eq(map.result, result);
		ck_assert_uint_eq(announce.result, result);
		ck_assert_uint_eq(map.retry_after != 0, result != 0);
		ck_assert_uint_eq(announce.retry_after != 0, result != 0);
	}
}

/* Port, address and lifetime of an error are no grant, even where a gateway sends them back. */
START_TEST(P22_fields_of_an_error_are_not_read)
{
	for (unsigned result = 2; result < 256; result++) {
		const struct response wanted = {
			UDP_IS,
			.clock = 86401,
			.status = wanted_status(result),
			.result = (uint16_t)result,
			.internal_port = 40000,
			.retry_after = 7200000,
		};
		struct response is = decode_result(granted, result, 7200);
		assert_same(&is, &wanted, "error");
	}
}

START_TEST(P28_lifetimes_are_cut_to_a_day)
{
	ck_assert_uint_eq(decode_result(granted, 0, 1).lifetime, 1);
	ck_assert_uint_eq(decode_result(granted, 0, 86399).lifetime, 86399);
	ck_assert_uint_eq(decode_result(granted, 0, 86400).lifetime, 86400);
	ck_assert_uint_eq(decode_result(granted, 0, 86401).lifetime, 86400);
	ck_assert_uint_eq(decode_result(granted, 0, UINT32_MAX).lifetime, 86400);
	for (unsigned result = 2; result < 256; result++) {
		ck_assert_uint_eq(decode_result(granted, result, 86399).retry_after, 86399000);
		ck_assert_uint_eq(decode_result(granted, result, 86401).retry_after, 86400000);
		ck_assert_uint_eq(decode_result(announced, result, UINT32_MAX).retry_after,
				  86400000);
	}
}

/* Many servers say 0 s, which is no leave to ask again at once. */
START_TEST(P29_an_error_lasts_for_a_while)
{
	for (unsigned result = 2; result < 256; result++) {
		bool is_short = result == 7 || result == 8 || result == 10 || result == 11;
		uint32_t least = is_short ? 30 : 1800;

		ck_assert_uint_eq(decode_result(granted, result, 0).retry_after, 1000 * least);
		ck_assert_uint_eq(decode_result(granted, result, least - 1).retry_after,
				  1000 * least);
		ck_assert_uint_eq(decode_result(granted, result, least).retry_after, 1000 * least);
		ck_assert_uint_eq(decode_result(granted, result, least + 1).retry_after,
				  1000 * (least + 1));
		ck_assert_uint_eq(decode_result(announced, result, 0).retry_after, 1000 * least);
	}
}

START_TEST(V6_unsupported_version_is_tried_again)
{
	ck_assert_uint_eq(decode_result(announced, 1, 0).retry_after, 30000);
	ck_assert_uint_eq(decode_result(announced, 1, 29).retry_after, 30000);
	ck_assert_uint_eq(decode_result(announced, 1, 60).retry_after, 60000);
	ck_assert_uint_eq(decode_result(announced, 1, 1799).retry_after, 1799000);
	ck_assert_uint_eq(decode_result(announced, 1, 7200).retry_after, 1800000);
	ck_assert_uint_eq(decode_result(announced, 1, UINT32_MAX).retry_after, 1800000);
}

/* To a question of NAT-PMP: the switch to PCP, and no clock of either dialect. */
START_TEST(V8_pcp_gateway_to_a_question_of_nat_pmp)
{
	static const char *const answers[] = {
		"02 80 00 01 00 00 07 08 00 00 02 2b 00 00 00 00 00 00 00 00 00 00 00 00",
		"02 82 00 01 00 00 07 08 00 00 02 2b",
	};

	for (size_t i = 0; i < COUNT(answers); i++) {
		const struct response wanted = {BAD_VERSION, .retry_after = 1800000};
		struct response is = decode(answers[i], &v4_ends);
		assert_same(&is, &wanted, answers[i]);
	}
}

int main(void)
{
	return RUN_TESTS(
		"pcp", P10_requests_are_these_bytes, P10_reserved_fields_are_zero,
		V4_version_1_is_never_sent, H11_no_option_but_prefer_failure,
		P16_address_is_of_our_family, P16_no_preference_in_either_family,
		P38_deletion_bytes, P13_retransmission_is_the_same_bytes,
		P14_a_thousand_secrets_give_a_thousand_nonces, P14_each_mapping_has_a_nonce,
		P14_each_server_and_own_address_has_a_nonce, P15_nonce_outlives_the_process,
		P15_renewal_and_deletion_have_the_nonce_of_the_creation, P22_responses_are_read,
		P22_other_packets_are_junk, P22_requests_are_no_answers,
		P25_read_beside_any_question, P22_length_has_4_bytes_at_least, P22_response_bit,
		P22_versions, P22_unsupported_version_of_any_length_and_opcode,
		P22_length_is_a_multiple_of_4_up_to_1100, P22_opcodes,
		P22_every_prefix_of_every_packet, P22_packets_at_any_address,
		P24_every_bit_flipped_of_a_grant, P24_answers_to_another_end,
		P24_nonce_of_another_mapping, P24_every_bit_of_every_packet_flipped,
		P26_options_are_ignored, P26_missing_padding_at_the_end, P22_result_codes,
		P22_fields_of_an_error_are_not_read, P28_lifetimes_are_cut_to_a_day,
		P29_an_error_lasts_for_a_while, V6_unsupported_version_is_tried_again,
		V8_pcp_gateway_to_a_question_of_nat_pmp);
}
