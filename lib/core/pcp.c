/* SPDX-License-Identifier: MIT */
/*
 * PCP on the wire, RFC 6887 sections 7, 11.1 and 14.1. All numbers are big-endian, all times are
 * in seconds, and an address has 16 bytes (ip.h).
 *
 *    0       1       2       3       4               8               12                 24
 *   +-------+-------+-------+-------+---------------+---------------+------------------+
 *   |vers. 2|128 + q|   -   |result |   lifetime    |  epoch time   |        -         | response
 *   +-------+-------+-------+-------+---------------+---------------+------------------+
 *   |   2   |   q   |       -       |   lifetime    |           own address            | request
 *   +-------+-------+---------------+---------------+----------------------------------+
 *
 *   ANNOUNCE, q = 0, is no more than this header. MAP, q = 1, goes on, in both directions:
 *
 *    24              36      37          40      42      44               60
 *   +---------------+-------+-----------+-------+-------+----------------+- - - - -
 *   |     nonce     |6 TCP, |     -     |intern.|extern.|    external    | options
 *   |               |17 UDP |           | port  | port  |    address     |
 *   +---------------+-------+-----------+-------+-------+----------------+- - - - -
 *
 *   In a request external port and address are what we suggest. The lifetime of an error tells how
 *   long it will last. A host that sees no packet of ours does not know the nonce, so it cannot
 *   answer for the gateway.
 */
#include "core/pcp.h"

#include <string.h>

#include "core/bytes.h"
#include "core/siphash.h"

enum {
	VERSION = 2, /* 1 was a vendor's: RFC 6886 section 1.1 */
	OPCODE_ANNOUNCE = 0,
	OPCODE_MAP = 1,
	RESPONSE_BIT = 0x80,
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
	OPTION_PREFER_FAILURE = 2,

	RESULT_VERSION = 1,
	RESULT_NETWORK_FAILURE = 7,
	RESULT_NO_RESOURCES = 8,
	RESULT_QUOTA = 10,
	RESULT_OTHER_PORT = 11,

	OFFSET_LIFETIME = 4,
	OFFSET_OWN = 8,
	OFFSET_EPOCH = 8,
	OFFSET_NONCE = 24,
	OFFSET_PROTOCOL = 36,
	OFFSET_INTERNAL_PORT = 40,
	OFFSET_EXTERNAL_PORT = 42,
	OFFSET_ADDRESS = 44,
	OFFSET_OPTION = 60,

	LENGTH_RESULT = 4,   /* of the shortest packet that has a result code */
	LENGTH_LIFETIME = 8, /* ... and a lifetime */
	LENGTH_HEADER = 24,
	LENGTH_MAP = 60,
	LENGTH_OPTION = 4, /* of an option without data */
	LENGTH_MAX = 1100,
	NONCE_LEN = 12,

	SHORT_ERROR = 30 * MS_PER_S, /* RFC 6887 section 7.4 */
	LONG_ERROR = 1800 * MS_PER_S,
	CLOCK_SLACK = 2 * MS_PER_S, /* section 8.5 */
};

/* --- the nonce --- */

/* A gateway changes or deletes a mapping only for a client that knows the nonce of its creation
 * (RFC 6887 section 11.3), so we must know it as long as the mapping lives, even in our next
 * process, and nobody else may guess it. It must differ from gateway to gateway (section 11.2):
 * else one gateway could speak for another. So it is no number to store, but a hash of the mapping
 * under our secret: the same secret gives the same nonce again, for a retransmission, a renewal or
 * a restart, and another one for each gateway, own address, protocol and internal port. */
static void nonce_derive(const struct ends *ends, uint8_t protocol, uint16_t internal_port,
			 uint8_t nonce[NONCE_LEN])
{
	uint8_t mapping[35], hash[SIPHASH_LEN];

	memcpy(mapping, ends->gateway.bytes, 16);
	memcpy(mapping + 16, ends->own.bytes, 16);
	mapping[32] = protocol; /* as in the packet */
	put16(mapping + 33, internal_port);
	siphash(ends->secret, mapping, sizeof(mapping), hash);
	memcpy(nonce, hash, NONCE_LEN);
}

static bool nonce_is_ours(const struct ends *ends, uint8_t protocol, uint16_t internal_port,
			  const uint8_t *nonce)
{
	uint8_t ours[NONCE_LEN];

	nonce_derive(ends, protocol, internal_port, ours);
	return memcmp(ours, nonce, NONCE_LEN) == 0;
}

/* --- requests --- */

/* The external address to suggest. All zero says: any of our family, in the way in which that
 * family writes it (RFC 6887 sections 5 and 11.1). A suggestion of the other family would ask for
 * another kind of mapping. */
static struct ip_address suggestion_of(const struct message *message, const struct ip_address *own)
{
	const struct ip_address any_v4 = {{[10] = 0xff, [11] = 0xff}}, any_v6 = {{0}};
	const struct ip_address *suggested = &message->suggested_address;

	if (message->kind == ASK_CREATE && !ip_is_none(suggested) &&
	    ip_is_v4(suggested) == ip_is_v4(own))
		return *suggested;
	return ip_is_v4(own) ? any_v4 : any_v6;
}

/* A deletion has lifetime 0, no port, no address (RFC 6887 section 15.1, erratum 3621) and no
 * option (section 13.2). */
static size_t encode_map(const struct message *message, const struct ends *ends, uint8_t *bytes)
{
	const struct ip_address suggested = suggestion_of(message, &ends->own);
	uint8_t protocol = message->protocol == NATPMP_UDP ? PROTOCOL_UDP : PROTOCOL_TCP;

	bytes[1] = OPCODE_MAP;
	nonce_derive(ends, protocol, message->internal_port, bytes + OFFSET_NONCE);
	bytes[OFFSET_PROTOCOL] = protocol;
	put16(bytes + OFFSET_INTERNAL_PORT, message->internal_port);
	memcpy(bytes + OFFSET_ADDRESS, suggested.bytes, sizeof(suggested.bytes));
	if (message->kind == ASK_DELETE)
		return LENGTH_MAP;
	put32(bytes + OFFSET_LIFETIME, message->lifetime);
	put16(bytes + OFFSET_EXTERNAL_PORT, message->suggested_port);
	/* The option needs a port to prefer to others: RFC 6887 section 13.2. */
	if (!message->is_exact || !message->suggested_port)
		return LENGTH_MAP;
	bytes[OFFSET_OPTION] = OPTION_PREFER_FAILURE;
	return LENGTH_MAP + LENGTH_OPTION;
}

static size_t encode(const struct message *message, const struct ends *ends,
		     uint8_t bytes[REQUEST_MAX])
{
	memset(bytes, 0, REQUEST_MAX);
	bytes[0] = VERSION;
	bytes[1] = OPCODE_ANNOUNCE;
	memcpy(bytes + OFFSET_OWN, ends->own.bytes, sizeof(ends->own.bytes));
	if (message->kind == ASK_CREATE || message->kind == ASK_DELETE)
		return encode_map(message, ends, bytes);
	return LENGTH_HEADER;
}

/* --- responses --- */

static int status_of_result(uint8_t result)
{
	static const int statuses[] = {
		NATPMP_OK,
		NATPMP_E_VERSION,
		NATPMP_E_NOT_AUTHORIZED,
		NATPMP_E_MALFORMED,
		NATPMP_E_OPCODE,
		NATPMP_E_OPTION,
		NATPMP_E_MALFORMED,
		NATPMP_E_NETWORK_FAILURE,
		NATPMP_E_NO_RESOURCES,
		NATPMP_E_PROTOCOL,
		NATPMP_E_QUOTA,
		NATPMP_E_OTHER_PORT,
		NATPMP_E_ADDRESS_MISMATCH,
	};

	return result < sizeof(statuses) / sizeof(statuses[0]) ? statuses[result] : NATPMP_E_RESULT;
}

static duration duration_cut(uint32_t seconds, duration least, duration most)
{
	return earlier(later((duration)seconds * MS_PER_S, least), most);
}

/* How long not to ask for the same again: as long as the gateway says, up to a day (RFC 6887
 * sections 8.3 and 15). Many gateways say 0, whatever the error; then we take the time that section
 * 7.4 recommends to them. The port of CANNOT_PROVIDE_EXTERNAL may be free again at any time. */
static duration error_retry_after(uint8_t result, uint32_t lifetime)
{
	bool is_short = result == RESULT_NETWORK_FAILURE || result == RESULT_NO_RESOURCES ||
			result == RESULT_QUOTA || result == RESULT_OTHER_PORT;

	return duration_cut(lifetime, is_short ? SHORT_ERROR : LONG_ERROR,
			    (duration)PCP_LIFETIME_MAX * MS_PER_S);
}

/* RFC 6887 section 9: try again after the lifetime or 30 minutes, the shorter; lifetime 0 must give
 * no loop. The error copies the request that the gateway could not read, so it may have any opcode
 * and length (section 8.2), and we read no clock from it. */
static struct response decode_bad_version(const uint8_t *bytes, size_t len)
{
	struct response r = {
		.kind = RESPONSE_BAD_VERSION,
		.dialect = DIALECT_PCP,
		.status = NATPMP_E_VERSION,
		.result = RESULT_VERSION,
		.version = bytes[0],
	};

	if (len >= LENGTH_LIFETIME)
		r.retry_after =
			duration_cut(get32(bytes + OFFSET_LIFETIME), SHORT_ERROR, LONG_ERROR);
	return r;
}

/* RFC 6887 section 11.4: protocol, internal port and nonce make it an answer to us. External port
 * and address of an error are our suggestion. Options may follow; we sent none whose answer would
 * tell anything, and all others are to be ignored (section 7.3), so no byte of them is read. */
static void decode_mapping(const uint8_t *bytes, size_t len, const struct ends *ends,
			   struct response *r)
{
	if (len < LENGTH_MAP)
		return;
	uint8_t protocol = bytes[OFFSET_PROTOCOL];
	uint16_t internal_port = get16(bytes + OFFSET_INTERNAL_PORT);
	if ((protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP) ||
	    !nonce_is_ours(ends, protocol, internal_port, bytes + OFFSET_NONCE))
		return;
	r->kind = RESPONSE_MAPPING;
	r->protocol = protocol == PROTOCOL_UDP ? NATPMP_UDP : NATPMP_TCP;
	r->internal_port = internal_port;
	if (r->status != NATPMP_OK)
		return;
	uint32_t lifetime = get32(bytes + OFFSET_LIFETIME);
	r->external_port = get16(bytes + OFFSET_EXTERNAL_PORT);
	r->lifetime = lifetime < PCP_LIFETIME_MAX ? lifetime : PCP_LIFETIME_MAX;
	memcpy(r->address.bytes, bytes + OFFSET_ADDRESS, sizeof(r->address.bytes));
}

/* The checks are in the order of RFC 6887 section 8.3. Versions 0 and 1 are NAT-PMP's matter. */
static struct response decode(const uint8_t *bytes, size_t len, const struct message *asked,
			      const struct ends *ends)
{
	const struct response junk = {.kind = RESPONSE_JUNK};
	struct response r = {.kind = RESPONSE_JUNK, .dialect = DIALECT_PCP};

	(void)asked; /* each response says what it answers */
	if (len < LENGTH_RESULT || bytes[0] < VERSION || !(bytes[1] & RESPONSE_BIT))
		return junk;
	if (bytes[3] == RESULT_VERSION)
		return decode_bad_version(bytes, len);
	if (bytes[0] != VERSION || len < LENGTH_HEADER || len > LENGTH_MAX || len % 4)
		return junk;
	r.result = bytes[3];
	r.status = status_of_result(bytes[3]);
	r.has_clock = true; /* in errors too: section 7.2 */
	r.clock = get32(bytes + OFFSET_EPOCH);
	if (r.status != NATPMP_OK)
		r.retry_after = error_retry_after(bytes[3], get32(bytes + OFFSET_LIFETIME));
	if (bytes[1] == (RESPONSE_BIT | OPCODE_ANNOUNCE))
		r.kind = RESPONSE_ADDRESS;
	else if (bytes[1] == (RESPONSE_BIT | OPCODE_MAP))
		decode_mapping(bytes, len, ends, &r);
	return r.kind == RESPONSE_JUNK ? junk : r;
}

/* --- time --- */

/* Evenly one of 0 to most, both included. */
static duration random_up_to(duration most, uint64_t random)
{
	return random % (most + 1);
}

/* RFC 6887 section 8.1.1: 3 s, then twice the time before but at most 1024 s, each time longer or
 * shorter by up to a tenth. */
static duration send_gap(unsigned sends, duration before, uint64_t random)
{
	duration gap = PCP_FIRST_WAIT;

	if (sends > 1 && before)
		gap = before < PCP_LAST_WAIT / 2 ? 2 * before : PCP_LAST_WAIT;
	gap = later(gap, PCP_FIRST_WAIT);
	return gap - gap / 10 + random_up_to(2 * (gap / 10), random);
}

static int64_t elapsed_from(instant from, instant to)
{
	/* Far beyond all clocks, and 16 times as much is still a number. */
	return to > from ? (int64_t)earlier(to - from, (duration)INT64_MAX / 32) : 0;
}

/* RFC 6887 section 8.5: the gateway restarted if its clock went back by more than a second, or if,
 * between two packets, one clock ran by less than 15/16 of the other, less 2 s. The RFC counts in
 * whole seconds, and rounds such that the exact fractions here decide the same. The sums are
 * signed, since the clock may go back, and in units of 1/16 ms.
 *
 * Of either packet we only know between which two instants it came. So the time between them is
 * any from the least, latest old to earliest new, to the most, earliest old to latest new. The
 * gateway's clock is too slow only if it is so for the least, and too fast only if it is so for the
 * most: else some time between them fits. */
static bool note_clock(struct gateway_clock *clock, uint32_t seconds, instant at_earliest,
		       instant at_latest)
{
	bool restarted = false;

	if (clock->is_known) {
		int64_t theirs = ((int64_t)seconds - (int64_t)clock->seconds) * MS_PER_S;
		int64_t least = elapsed_from(clock->at_latest, at_earliest);
		int64_t most = elapsed_from(clock->at_earliest, at_latest);
		bool is_back = theirs < -MS_PER_S;
		bool is_slow = 16 * (theirs + CLOCK_SLACK) < 15 * least;
		bool is_fast = 16 * (most + CLOCK_SLACK) < 15 * theirs;

		restarted = is_back || is_slow || is_fast;
	}
	*clock = (struct gateway_clock){
		.is_known = true,
		.seconds = seconds,
		.at_latest = at_latest,
		.at_earliest = at_earliest,
	};
	return restarted;
}

/* RFC 6887 section 11.2.1: the first try is between 1/2 and 5/8 of the lifetime, the second between
 * 3/4 and 13/16, and so on: n between 1 - 2^-n and that plus 2^-(n+2). There is no further try that
 * would come less than PCP_RENEWAL_GAP before the end; one that comes before is always that far
 * from the earliest time of the try before, too. */
static duration renewal_delay(duration lifetime, unsigned tries, uint64_t random)
{
	unsigned n = tries < 60 ? tries + 1 : 61;
	duration rest = (lifetime >> n) - random_up_to(lifetime >> (n + 2), random);

	return tries && rest < PCP_RENEWAL_GAP ? NEVER : lifetime - rest;
}

const struct dialect dialect_pcp = {
	.version = VERSION,
	.encode = encode,
	.decode = decode,
	.send_gap = send_gap,
	.sends = PCP_SENDS,
	.series_length = PCP_SERIES,
	.tries = PCP_TRIES,
	.note_clock = note_clock,
	.renewal_delay = renewal_delay,
	.renewal_gap = PCP_RENEWAL_GAP,
	.renews_by_one_send = true,
	.may_grant_longer = true,
};
