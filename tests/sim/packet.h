/* SPDX-License-Identifier: MIT */
/* packet - what a request of the client says, in either dialect; read without the core's help. */
#ifndef SIM_PACKET_H
#define SIM_PACKET_H

#include "core/dialect.h"

enum packet_kind {
	PACKET_STRANGE, /* no request that a correct client would send */
	PACKET_ADDRESS, /* NAT-PMP's question for the external address, or PCP's ANNOUNCE */
	PACKET_MAP,
};

struct packet {
	enum packet_kind kind;
	enum dialect_id dialect;
	/* of PACKET_MAP */
	uint8_t protocol; /* NATPMP_UDP or NATPMP_TCP */
	uint16_t internal_port, suggested_port;
	uint32_t lifetime;    /* s; 0: a deletion */
	bool prefers_failure; /* that suggested port or none */
};

struct packet packet_read(const uint8_t *bytes, size_t len);
/* Both are about the same mapping, or about none. */
bool packet_is_of_same(const struct packet *a, const struct packet *b);
bool packet_is_deletion(const struct packet *packet);

/* Bits of a set, as a model's mappings have them (enum model_maker). */
unsigned packet_makers(dialect_set dialects);

/* Numbers at an offset. */
uint16_t packet_get16(const uint8_t *bytes);
uint32_t packet_get32(const uint8_t *bytes);

/* Where the fields of PCP's packets are. */
enum {
	PCP_AT_RESULT = 3,
	PCP_AT_LIFETIME = 4,
	PCP_AT_CLOCK = 8,
	PCP_AT_OWN = 8,
	PCP_AT_NONCE = 24,
	PCP_AT_PROTOCOL = 36,
	PCP_AT_INTERNAL_PORT = 40,
	PCP_AT_EXTERNAL_PORT = 42,
	PCP_AT_ADDRESS = 44,
	PCP_HEADER = 24,
	PCP_MAP = 60,
	PCP_NONCE = 12,
};

#endif
