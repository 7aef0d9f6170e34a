/* SPDX-License-Identifier: MIT */
/*
 * dialect - what a port mapping protocol is to the rest of the core: bytes <-> question and
 * response, and the protocol's own rules of time. Nothing outside a dialect's file knows a byte.
 * There is one dialect today, NAT-PMP (natpmp.h).
 */
#ifndef CORE_DIALECT_H
#define CORE_DIALECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/instant.h"
#include "natpmpc.h"

enum {
	REQUEST_MAX = 24,    /* bytes of the longest request */
	RESPONSE_MAX = 1104, /* more than any valid packet (1100, RFC 6887 section 7), so that a
			      * longer one is seen to be */
};

enum message_kind {
	ASK_ADDRESS, /* what is your external address? */
	ASK_CREATE,  /* map this port, or keep it mapped */
	ASK_DELETE,  /* close this port; internal port 0: all of that protocol */
	ASK_PCP      /* do you speak PCP? Its ANNOUNCE question, RFC 6887 section 14.1 */
};

/* What a request says. A retransmission is the identical message. */
struct message {
	uint8_t kind;     /* enum message_kind */
	uint8_t protocol; /* natpmp_protocol, of ASK_CREATE and ASK_DELETE: one of the two */
	bool vpn;         /* ASK_CREATE: as natpmp_options.vpn_ports has it */
	uint16_t internal_port;
	uint16_t suggested_port; /* external; 0: no suggestion */
	uint32_t lifetime;       /* s, of ASK_CREATE */
};

enum response_kind {
	RESPONSE_JUNK,         /* not a response: drop it */
	RESPONSE_ADDRESS,      /* to ASK_ADDRESS, or an announcement */
	RESPONSE_MAPPING,      /* to ASK_CREATE or ASK_DELETE, and names the mapping */
	RESPONSE_UNNAMED,      /* a refusal of a mapping that does not name its port */
	RESPONSE_BAD_VERSION,  /* result 1: the gateway rejected our version */
	RESPONSE_PCP_ONLY,     /* the same, from a PCP server */
	RESPONSE_PCP_ANNOUNCED /* PCP's ANNOUNCE, asked for or not */
};

/* What a packet of the gateway says. Members that the packet does not carry are 0. */
struct response {
	enum response_kind kind;
	int status;       /* NATPMP_OK, or what the result code means */
	uint16_t result;  /* the result code as it came */
	bool has_clock;
	uint32_t clock; /* s, the gateway's */
	uint8_t protocol;
	uint16_t internal_port;
	uint16_t external_port; /* of a success */
	uint32_t lifetime;      /* s, of a success; of an error: how long it lasts, 0 = not told */
	uint32_t address;       /* external, host order, of a success */
};

/* The gateway's clock, as last seen. */
struct gateway_clock {
	bool is_known;
	uint32_t seconds;   /* since the start of its epoch ... */
	instant at_latest;  /* ... when our clock showed this, or some time before */
};

struct dialect {
	/* Write the request; returns its length. own_address: host order. */
	size_t (*encode)(const struct message *message, uint32_t own_address,
			 uint8_t bytes[REQUEST_MAX]);
	/* Read a packet. asked is the message in flight, NULL if there is none: a few refusals can
	 * be read only beside it. Never reads past len. */
	struct response (*decode)(const uint8_t *bytes, size_t len, const struct message *asked);
	/* When the nth send (from 0) is due after the first; n = sends: when the series is over. */
	duration (*send_delay)(unsigned n);
	unsigned sends;    /* of a whole series */
	unsigned patience; /* sends after which a question makes way for another */
	/* Take in the clock of a packet that came between two instants. True: the gateway has
	 * restarted since the last one, whenever it came. The first packet only initialises. */
	bool (*has_restarted)(struct gateway_clock *clock, uint32_t seconds, instant at_earliest,
			      instant at_latest);
	/* When to renew a mapping granted for that long, from the start of its lifetime; tries: how
	 * often it was tried before. NEVER: no more. */
	duration (*renewal_delay)(duration lifetime, unsigned tries);
	duration renewal_gap; /* at least, between two tries to renew a mapping */
};

#endif
