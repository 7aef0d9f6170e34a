/* SPDX-License-Identifier: MIT */
/*
 * wire - datagram bytes <-> message structs (RFC 6886 section 3), nothing more.
 *
 * All numbers big-endian, no transaction id, no authentication:
 *
 *    0       1       2       3       4               8       10      12
 *   +-------+-------+---------------+---------------+-------+-------+---------------+
 *   |vers. 0|opcode |  result code  |seconds since  |intern.|extern.|   lifetime    |  map answer
 *   |       |128 + q|               |start of epoch | port  | port  |      s        |  16 bytes
 *   +-------+-------+---------------+---------------+-------+-------+---------------+
 *   |   0   |   q   |   reserved    |intern.|extern.|   lifetime    |     map request, 12 bytes
 *   +-------+-------+---------------+-------+-------+---------------+
 *   An address request is the first two bytes, its answer ends with the address at 8.
 */
#ifndef CORE_WIRE_H
#define CORE_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum wire_opcode {
	WIRE_ADDRESS = 0,
	WIRE_MAP_UDP = 1,
	WIRE_MAP_TCP = 2,
	WIRE_PCP_ANNOUNCE = 0x80 /* not NAT-PMP: PCP's liveness question, RFC 6887 section 14.1 */
};

struct wire_request {
	uint8_t opcode;
	uint16_t internal_port, external_port; /* of map requests only */
	uint32_t lifetime;                     /* s; 0 = delete */
};

enum wire_kind {
	WIRE_JUNK,        /* not an answer: drop it */
	WIRE_ANSWER,      /* to an address or map request */
	WIRE_BAD_OPCODE,  /* result 5: may be an echo of the request, so only the opcode counts */
	WIRE_BAD_VERSION, /* result 1: a NAT-PMP gateway that liked not our version */
	WIRE_PCP_ONLY,    /* a PCP server that liked not our version 0 */
	WIRE_PCP_ANNOUNCEMENT /* RFC 6887 section 14.1: asked for or not */
};

struct wire_answer {
	enum wire_kind kind;
	uint8_t opcode; /* the request's */
	uint16_t result;
	bool has_epoch;
	uint32_t epoch;         /* s, the gateway's clock */
	uint32_t address;       /* host order; of a successful WIRE_ADDRESS answer */
	uint16_t internal_port; /* of map answers, errors too */
	uint16_t external_port; /* of successful map answers */
	uint32_t lifetime;      /* s; as above */
};

#define WIRE_REQUEST_MAX 24
/* More than any valid packet (1100, RFC 6887 section 7), so that a longer one is seen to be. */
#define WIRE_ANSWER_MAX 1104

/* The bytes of a request; returns their number. own_address: host order, for PCP only. */
size_t wire_encode(const struct wire_request *request, uint32_t own_address,
		   uint8_t bytes[WIRE_REQUEST_MAX]);

/* What do these bytes say? Fields that the packet does not carry are zero. Never reads
 * past len; longer packets than need be are accepted and their tail ignored. */
struct wire_answer wire_decode(const uint8_t *bytes, size_t len);

#endif
