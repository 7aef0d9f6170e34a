/* SPDX-License-Identifier: MIT */
/*
 * NAT-PMP on the wire, RFC 6886 section 3. All numbers are big-endian; there is no transaction id
 * and no authentication.
 *
 *    0       1       2       3       4               8       10      12
 *   +-------+-------+---------------+---------------+-------+-------+---------------+
 *   |vers. 0|opcode |  result code  |seconds since  |intern.|extern.|   lifetime    |  response to
 * a |       |128 + q|               |start of epoch | port  | port  |      s        |  map request
 *   +-------+-------+---------------+---------------+-------+-------+---------------+
 *   |   0   |   q   |   reserved    |intern.|extern.|   lifetime    |     map request, 12 bytes
 *   +-------+-------+---------------+-------+-------+---------------+
 *   An address request is the first two bytes only. Its response ends with the address, at byte 8.
 */
#include "core/natpmp.h"

#include <string.h>

#include "core/bytes.h"

enum {
	OPCODE_ADDRESS = 0,
	OPCODE_UDP = 1,
	OPCODE_TCP = 2,
	RESPONSE_BIT = 0x80,

	RESULT_VERSION = 1,
	RESULT_OPCODE = 5,

	LENGTH_RESULT = 4, /* of the shortest packet that has a result code */
	LENGTH_CLOCK = 8,
	LENGTH_PORT = 10, /* ... that names the internal port */
	LENGTH_ADDRESS = 12,
	LENGTH_REQUEST = 12,
	LENGTH_MAPPING = 16,
};

/* --- requests --- */

static size_t encode(const struct message *message, const struct ends *ends,
		     uint8_t bytes[REQUEST_MAX])
{
	(void)ends; /* NAT-PMP has no nonce and names no address of this host */
	memset(bytes, 0, REQUEST_MAX);
	if (message->kind == ASK_ADDRESS)
		return 2;
	bytes[1] = message->protocol == NATPMP_UDP ? OPCODE_UDP : OPCODE_TCP;
	put16(bytes + 4, message->internal_port);
	/* A deletion must suggest port 0: RFC 6886 section 3.4. */
	if (message->kind == ASK_CREATE) {
		put16(bytes + 6, message->suggested_port);
		put32(bytes + 8, message->lifetime);
		/* VPN gateways expect internal port 0 and external port 1, in renewals too. */
		if (message->vpn)
			put32(bytes + 4, 1);
	}
	return LENGTH_REQUEST;
}

/* --- responses --- */

static int status_of_result(uint16_t result)
{
	static const int statuses[] = {
		NATPMP_OK,
		NATPMP_E_VERSION,
		NATPMP_E_NOT_AUTHORIZED,
		NATPMP_E_NETWORK_FAILURE,
		NATPMP_E_NO_RESOURCES,
		NATPMP_E_OPCODE,
	};

	return result < sizeof(statuses) / sizeof(statuses[0]) ? statuses[result] : NATPMP_E_RESULT;
}

static void decode_clock(const uint8_t *bytes, size_t len, struct response *r)
{
	if (len >= LENGTH_CLOCK) {
		r->has_clock = true;
		r->clock = get32(bytes + 4);
	}
}

/* Some servers refuse in the layout of the request, with the internal port in the place of the
 * clock. Only a comparison with the request shows that. */
static bool is_request_layout(const uint8_t *bytes, size_t len, const struct message *asked)
{
	return len == LENGTH_REQUEST && asked && asked->kind != ASK_ADDRESS &&
	       get16(bytes + 4) == asked->internal_port && asked->internal_port;
}

/* The external port and the lifetime of an error mean nothing (RFC 6886 section 3.5). Some servers
 * cut refusals short, to 4, 8 or 12 bytes. */
static void decode_refused_mapping(const uint8_t *bytes, size_t len, const struct message *asked,
				   struct response *r)
{
	if (is_request_layout(bytes, len, asked)) {
		r->internal_port = asked->internal_port;
		return;
	}
	if (len != LENGTH_REQUEST) /* else it may be a late one in that layout: no clock */
		decode_clock(bytes, len, r);
	if (len >= LENGTH_PORT)
		r->internal_port = get16(bytes + 8);
	else
		r->kind = RESPONSE_UNNAMED;
}

static void decode_mapping(const uint8_t *bytes, size_t len, struct response *r)
{
	if (len < LENGTH_MAPPING) {
		r->kind = RESPONSE_JUNK;
		return;
	}
	decode_clock(bytes, len, r);
	r->internal_port = get16(bytes + 8);
	r->external_port = get16(bytes + 10);
	r->lifetime = get32(bytes + 12);
}

static void decode_address(const uint8_t *bytes, size_t len, struct response *r)
{
	if (r->status == NATPMP_OK && len < LENGTH_ADDRESS) {
		r->kind = RESPONSE_JUNK;
		return;
	}
	decode_clock(bytes, len, r);
	if (r->status == NATPMP_OK)
		r->address = ip_from_v4(get32(bytes + 8));
}

static struct response decode(const uint8_t *bytes, size_t len, const struct message *asked,
			      const struct ends *ends)
{
	const struct response junk = {.kind = RESPONSE_JUNK};
	struct response r = {.kind = RESPONSE_MAPPING, .dialect = DIALECT_NATPMP};

	(void)ends;
	if (len < LENGTH_RESULT)
		return junk;
	if (bytes[0] != 0) /* PCP, or version 1, which is a vendor's (RFC 6886 section 1.1) */
		return junk;
	uint8_t opcode = bytes[1] & (RESPONSE_BIT - 1);
	r.result = get16(bytes + 2);
	r.status = status_of_result(r.result);
	/* Result 1 may come with any opcode, and even without the response bit (erratum 3618). */
	if (r.result == RESULT_VERSION) {
		r.kind = RESPONSE_BAD_VERSION;
		decode_clock(bytes, len, &r);
		if (len >= LENGTH_PORT) /* it is about a request of ours, not one in PCP */
			r.internal_port = get16(bytes + 8);
		return r;
	}
	if (!(bytes[1] & RESPONSE_BIT) || opcode > OPCODE_TCP)
		return junk;
	if (opcode == OPCODE_ADDRESS)
		r.kind = RESPONSE_ADDRESS;
	else
		r.protocol = opcode == OPCODE_UDP ? NATPMP_UDP : NATPMP_TCP;
	if (r.result == RESULT_OPCODE) { /* the rest may be the request: no clock */
		r.kind = r.kind == RESPONSE_ADDRESS ? RESPONSE_ADDRESS : RESPONSE_UNNAMED;
		return r;
	}
	if (r.kind == RESPONSE_ADDRESS)
		decode_address(bytes, len, &r);
	else if (r.status == NATPMP_OK)
		decode_mapping(bytes, len, &r);
	else
		decode_refused_mapping(bytes, len, asked, &r);
	return r.kind == RESPONSE_JUNK ? junk : r;
}

/* --- time --- */

/* Sends at 0, 250, 750, 1750, ... 63750 ms; over at 127750 (RFC 6886 section 3.1). */
static duration send_gap(unsigned sends, duration before, uint64_t random)
{
	(void)before;
	(void)random;
	return (duration)NATPMP_FIRST_WAIT << (sends - 1);
}

/* RFC 6886 section 3.6: the gateway restarted if seconds < old seconds + 7/8 of the elapsed time -
 * 2; a clock that runs ahead is no sign of it. The sum is signed and in units of 1/8000 s. */
static bool note_clock(struct gateway_clock *clock, uint32_t seconds, instant at_earliest,
		       instant at_latest)
{
	bool restarted = false;

	if (clock->is_known) {
		int64_t back = (int64_t)clock->seconds - (int64_t)seconds;
		duration elapsed =
			at_earliest > clock->at_latest ? at_earliest - clock->at_latest : 0;
		int64_t ms = (int64_t)earlier(elapsed, (duration)INT64_MAX / 16);

		restarted = 8000 * back + 7 * ms > 16000;
	}
	*clock = (struct gateway_clock){
		.is_known = true, .seconds = seconds, .at_latest = at_latest};
	return restarted;
}

/* At half the lifetime (RFC 6886 section 3.3), then at 3/4, 7/8 and so on, as PCP has it (RFC 6887
 * section 11.2.1); there is no try when less than NATPMP_RENEWAL_GAP is left. */
static duration renewal_delay(duration lifetime, unsigned tries, uint64_t random)
{
	(void)random;
	duration rest = tries < 63 ? lifetime >> (tries + 1) : 0;

	return tries && rest < NATPMP_RENEWAL_GAP ? NEVER : lifetime - rest;
}

const struct dialect dialect_natpmp = {
	.encode = encode,
	.decode = decode,
	.version = 0,
	.send_gap = send_gap,
	.sends = NATPMP_SENDS,
	.series_length = NATPMP_SERIES,
	.tries = NATPMP_TRIES,
	.note_clock = note_clock,
	.renewal_delay = renewal_delay,
	.renewal_gap = NATPMP_RENEWAL_GAP,
};
